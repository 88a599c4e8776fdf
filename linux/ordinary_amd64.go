package linux

import "golang.org/x/sys/unix"

const (
	statAt     = unix.SYS_NEWFSTATAT
	statAtName = "newfstatat"
)

// ordinaryLegacy are calls that only old architectures have.
var ordinaryLegacy = [...]Call{
	{Number: unix.SYS_STAT, Name: "stat", Args: []Argument{path, attributes}},
	{Number: unix.SYS_LSTAT, Name: "lstat", Args: []Argument{path, attributes}},
	{Number: unix.SYS_ACCESS, Name: "access", Args: []Argument{path, {Form: Set, Names: AccessTests, Unknown: "?_OK"}}},
	{Number: unix.SYS_POLL, Name: "poll", Args: []Argument{address, count32, integer}},
	{Number: unix.SYS_SELECT, Name: "select", Args: []Argument{integer, address, address, address, address}},
	{Number: unix.SYS_PAUSE, Name: "pause"},
	{Number: unix.SYS_ALARM, Name: "alarm", Args: []Argument{count32}},
	{Number: unix.SYS_RENAME, Name: "rename", Args: []Argument{path, path}},
	{Number: unix.SYS_GETDENTS, Name: "getdents", Args: []Argument{fd, address, count32}},
	{Number: unix.SYS_TIME, Name: "time", Args: []Argument{address}},
	{Number: unix.SYS_ARCH_PRCTL, Name: "arch_prctl", Args: []Argument{{Form: One, Names: Names{{0x1001, "ARCH_SET_GS"}, {0x1002, "ARCH_SET_FS"}, {0x1003, "ARCH_GET_FS"}, {0x1004, "ARCH_GET_GS"}, {0x3001, "0x3001 /* ARCH_??? */"}}, Unknown: "ARCH_???"}, {Form: Pointer}}},
	{Number: unix.SYS_EPOLL_WAIT, Name: "epoll_wait", Args: []Argument{fd, address, integer, integer}},
	{Number: unix.SYS_EPOLL_CREATE, Name: "epoll_create", Args: []Argument{integer}},
}

// statSize is sizeof(struct stat); its mode and size lie at these offsets, arch/x86/include/uapi/asm/stat.h.
const (
	statSize = 144
	StatMode = 24
	StatRdev = 40
	StatLen  = 48
)
