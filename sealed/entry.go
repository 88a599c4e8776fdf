package sealed

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// entry is glassrun's first instruction where the linker was told so (-E glassbox/sealed.entry, test/build.sh). A program that must run
// from a sealed file is then executed again before the Go runtime has begun, which so begins only once: sealing costs a quarter of what
// it costs Self, a fifth of a start. What cannot be done here is left to Self, which looks whether it was.
//
// What follows runs on the process's first stack with no runtime around it: nosplit code, raw system calls, no allocation.
func entry()

// entering are the commands that enter containers. Any argument that is such a word counts: where the command stands is for the real
// parser, and sealing a program that needs it not does no harm.
var entering = [...]string{"run", "create", "exec", "monitor", "attend"}

// text is a string of C's, of which we look at the first bytes.
type text [16]byte

var (
	self    = text{'/', 'p', 'r', 'o', 'c', '/', 's', 'e', 'l', 'f', '/', 'e', 'x', 'e'}
	nothing text
)

// again comes back when there is nothing to seal, or it cannot be done. On the stack lie argc, the arguments, NULL, the environment, NULL:
// execve(2) has put them there.
//
//go:nosplit
//go:norace
func again(stack *[1 << 24]*text) {
	argc := uintptr(unsafe.Pointer(stack[0]))
	if !enters(stack[1:1+argc]) || readOnly(unix.SYS_STATFS, uintptr(unsafe.Pointer(&self))) {
		return
	}
	here := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall(unix.SYS_OPEN_TREE, uintptr(here), uintptr(unsafe.Pointer(&self)), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if errno != 0 {
		return
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	unix.RawSyscall6(unix.SYS_MOUNT_SETATTR, fd, uintptr(unsafe.Pointer(&nothing)), unix.AT_EMPTY_PATH, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if readOnly(unix.SYS_FSTATFS, fd) { // else it would come here again, for ever
		unix.RawSyscall6(unix.SYS_EXECVEAT, fd, uintptr(unsafe.Pointer(&nothing)), uintptr(unsafe.Pointer(&stack[1])), uintptr(unsafe.Pointer(&stack[2+argc])), unix.AT_EMPTY_PATH, 0)
	}
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
}

//go:nosplit
//go:norace
func readOnly(call, file uintptr) bool {
	var st unix.Statfs_t
	_, _, errno := unix.RawSyscall(call, file, uintptr(unsafe.Pointer(&st)), 0)
	return errno == 0 && st.Flags&unix.ST_RDONLY != 0
}

//go:nosplit
//go:norace
func enters(args []*text) bool {
	for _, arg := range args {
		for i := range entering {
			if arg.is(entering[i]) {
				return true
			}
		}
	}
	return false
}

//go:nosplit
//go:norace
func (t *text) is(word string) bool {
	for i := range len(word) {
		if t[i] != word[i] {
			return false
		}
	}
	return t[len(word)] == 0
}
