package doctor

import (
	"encoding/binary"
	"runtime"
	"strings"
	"unsafe"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// actions are what a filter may do with a call, seccomp(2).
var actions = []struct {
	name  string
	value uint32
}{
	{"kill_process", 0x80000000}, {"kill_thread", 0}, {"trap", 0x30000}, {"errno", 0x50000}, {"user_notif", 0x7fc00000},
	{"trace", 0x7ff00000}, {"log", 0x7ffc0000}, {"allow", 0x7fff0000},
}

const withSeccomp = "use a kernel with CONFIG_SECCOMP_FILTER"

// trySeccomp asks for each action, and sets a filter that refuses one call and allows the others.
func trySeccomp(*machine) finding {
	var missing []string
	for _, a := range actions {
		if !available(a.value) {
			missing = append(missing, a.name)
		}
	}
	err := child(0, nil, func(b *program.Builder) {
		b.Call(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).Why("who has no rights may filter itself only so")
		b.Call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, refusing(unix.SYS_GETPPID, unix.EPERM)).Why("refuse getppid")
		b.Call(unix.SYS_GETPPID).Tolerate(unix.EPERM).Why("refused")
	})
	switch {
	case err != nil:
		return fail(said(err), cure(err, withSeccomp))
	case len(missing) > 0:
		return warn("a filter works; the kernel lacks the actions "+strings.Join(missing, " "), "use a newer kernel").because("profiles that name these actions are refused")
	}
	return pass("set a filter; all eight actions are there")
}

func available(action uint32) bool {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}

// refusing is a filter that answers one call with an error, sock_filter by sock_filter (linux/filter.h).
func refusing(call uint32, with unix.Errno) program.Filter {
	const load, equal, answer = 0x20, 0x15, 0x06
	var f program.Filter
	add := func(code uint16, yes, no byte, k uint32) {
		f = binary.NativeEndian.AppendUint16(f, code)
		f = append(f, yes, no)
		f = binary.NativeEndian.AppendUint32(f, k)
	}
	add(load, 0, 0, 0) // the call's number: the first field of struct seccomp_data
	add(equal, 0, 1, call)
	add(answer, 0, 0, 0x50000|uint32(with))
	add(answer, 0, 0, 0x7fff0000)
	return f
}

func trySeccompNotify(*machine) finding {
	if !available(0x7fc00000) {
		return warn("SECCOMP_RET_USER_NOTIF is not available", "use Linux 5.0 or newer")
	}
	err := child(0, nil, func(b *program.Builder) {
		b.Call(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).Why("who has no rights may filter itself only so")
		listener := b.Call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, refusing(unix.SYS_GETPPID, unix.EPERM)).Why("a filter with a listener").Keep()
		b.Close(listener)
	})
	if err != nil {
		return warn(said(err), cure(err, "end what has a listener on this process already: a process can have one"))
	}
	return pass("a filter gave a listener (" + runtime.GOARCH + ")")
}
