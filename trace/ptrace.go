package trace

import (
	"encoding/binary"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// request is ptrace(2) without what libraries add to it.
func request(what, tid int, addr, data uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(what), uintptr(tid), addr, data, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// info is struct ptrace_syscall_info: which call, with what, or what came of it, on every architecture alike.
type info struct {
	op   byte
	data [84]byte
}

func callInfo(tid int) (*info, error) {
	var i info
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(i), uintptr(unsafe.Pointer(&i)), 0, 0)
	if errno != 0 {
		return nil, errno
	}
	return &i, nil
}

// word is the 64-bit word at an offset of the struct.
func (i *info) word(offset int) uint64 { return binary.LittleEndian.Uint64(i.data[offset-1:]) }

// After op, padding, arch and two pointers, the union begins at 24.
func (i *info) number() uint64 { return i.word(24) }
func (i *info) result() int64  { return int64(i.word(24)) }
func (i *info) args() (args [6]uint64) {
	for n := range args {
		args[n] = i.word(32 + 8*n)
	}
	return args
}

// memoryOf reads a process's memory, page by page: one that is not there ends the reading, and what came before it counts.
func memoryOf(tid int) func(address uint64, into []byte) int {
	page := uint64(os.Getpagesize())
	return func(address uint64, into []byte) int {
		done := 0
		for done < len(into) {
			at := address + uint64(done)
			n := int(min(page-at%page, uint64(len(into)-done)))
			local := []unix.Iovec{{Base: &into[done]}}
			local[0].SetLen(n)
			got, err := unix.ProcessVMReadv(tid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: n}}, 0)
			if err != nil || got <= 0 {
				break
			}
			done += got
		}
		return done
	}
}

// sender says who sent the signal that a task is about to get, sigaction(2): the kernel tells a process's number as the receiver's PID
// namespace has it, 0 for one outside. thread: it was sent by tgkill(2).
func sender(tid int) (who string, thread bool) {
	var s struct {
		signo, errno, code int32
		_                  int32
		pid                int32
		rest               [108]byte
	}
	if err := request(unix.PTRACE_GETSIGINFO, tid, 0, uintptr(unsafe.Pointer(&s))); err != nil {
		return "", false
	}
	const byThread = -6 // SI_TKILL
	thread = s.code == byThread
	switch {
	case s.code > 0 && s.signo == int32(unix.SIGCHLD):
		return "a child's end", false
	case s.code > 0:
		return "the kernel", false
	case s.pid == 0:
		return "a process outside the container", thread
	}
	return "process " + strconv.Itoa(int(s.pid)), thread
}
