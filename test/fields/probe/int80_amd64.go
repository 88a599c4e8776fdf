package probe

import (
	"os/exec"

	"golang.org/x/sys/unix"
)

// gate makes a call the way that 32-bit programs do. From a 64-bit one it is the i386 call all the same, with registers of 32 bits.
func gate(number, a, b, c, d, e, f uint32) int32

// I386 says whether this kernel takes such calls: where it does not, int 0x80 is a fault (SIGSEGV), which a child may die of.
func I386() bool {
	c := exec.Command("/proc/self/exe", "call", "i386:getpid")
	c.Args[0] = "probe"
	return c.Run() == nil
}

func int80(number uintptr, a [6]uintptr) unix.Errno {
	r := gate(uint32(number), uint32(a[0]), uint32(a[1]), uint32(a[2]), uint32(a[3]), uint32(a[4]), uint32(a[5]))
	if r < 0 && r >= -4095 {
		return unix.Errno(-r)
	}
	return 0
}
