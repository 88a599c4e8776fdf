package linux

import "golang.org/x/sys/unix"

const (
	statAt     = unix.SYS_FSTATAT
	statAtName = "newfstatat"
)

// ordinaryLegacy are calls that only old architectures have.
var ordinaryLegacy = [...]Call{}

// statSize is sizeof(struct stat); its mode and size lie at these offsets, include/uapi/asm-generic/stat.h.
const (
	statSize = 128
	StatMode = 16
	StatRdev = 32
	StatLen  = 48
)
