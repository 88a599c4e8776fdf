package linux

import "golang.org/x/sys/unix"

const (
	statAt     = unix.SYS_FSTATAT
	statAtName = "newfstatat"
)

// ordinaryLegacy are calls that only old architectures have.
var ordinaryLegacy = [...]Call{}
