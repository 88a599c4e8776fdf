package program

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The child's contract. Between clone3's return and execve the child is one thread with a copy of a Go process around
// it: locks may be held for ever by threads that do not exist here, the scheduler and the garbage collector are
// gone, and its stack cannot grow. So the child
//   - runs nosplit code only, on the stack it was born on;
//   - allocates nothing and calls nothing but raw system calls and the vDSO's clock;
//   - reads its program from, and writes its results to, a mapping that it shares with the host;
//   - never returns: it ends in execve or in exit_group.

// launch makes the child and, in it, interprets code. Only the host returns from it. Every signal is blocked meanwhile: a handler of the Go
// runtime must not run in the child. CLONE_CLEAR_SIGHAND removes the handlers; the program's first step unblocks. As long as
// signals are blocked, nosplit code cannot be moved to another thread, so none has to be locked (which would start one more).
//
//go:norace
//go:nosplit
func launch(clone *cloneArgs, s *state, code []instruction, notes []ran, clock bool) (pid uintptr, errno unix.Errno) {
	all, before := ^uint64(0), uint64(0)
	sigmask(&all, &before)
	pid, _, errno = unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(clone)), sizeofCloneArgs, 0)
	if errno == 0 && pid == 0 {
		interpret(s, code, notes, clock)
	}
	sigmask(&before, nil)
	return pid, errno
}

// skipped is noted as the result of a step that was left out: no call returns it.
const skipped = math.MinInt64

// patience is how often a path is resolved anew because somebody on the machine mounted or renamed meanwhile: below a directory the
// kernel cannot tell an attack from a coincidence, and answers EAGAIN, openat2(2).
const patience = 10000

//go:norace
//go:nosplit
func interpret(s *state, code []instruction, notes []ran, clock bool) {
	for i := range code {
		in := &code[i]
		s.reached = uint32(i)
		if s.skip == uint32(i)+1 {
			notes[i].result = skipped
			continue
		}
		args := in.args
		for a := range args {
			if in.inSlots&(1<<a) != 0 {
				args[a] = s.slots[args[a]]
			}
		}
		r, _, errno := unix.RawSyscall6(in.call, args[0], args[1], args[2], args[3], args[4], args[5])
		for again := 0; in.resolves && errno == unix.EAGAIN && again < patience; again++ {
			r, _, errno = unix.RawSyscall6(in.call, args[0], args[1], args[2], args[3], args[4], args[5])
		}
		if in.forks && errno == 0 && r != 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0) // the other one goes on with the next step
		}
		result := int64(r)
		if errno != 0 {
			result = -int64(errno)
		} else if in.whole && r != args[2] {
			errno = unix.EPIPE // end of file at a gate: the host is gone; or a write cut short
		}
		notes[i].result = result
		if clock {
			notes[i].at = nanotime()
		}
		if in.result != 0 {
			s.slots[in.result] = uintptr(result)
		}
		if errno != 0 && !tolerated(in, errno) {
			s.errno = uint32(errno)
			s.failed = uint32(i) + 1
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 127, 0, 0)
		}
	}
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
}

//go:norace
//go:nosplit
func tolerated(in *instruction, errno unix.Errno) bool {
	for i := range in.tolerate {
		if in.tolerate[i] == uint16(errno) {
			return true
		}
	}
	return false
}

// nanotime reads the monotonic clock through the vDSO, without a system call where the clock source allows it.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64
