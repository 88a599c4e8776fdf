package seccomp

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// profile is linux.seccomp, checked.
type profile struct {
	fallback uint32 // the action for calls that no rule names
	stub     bool   // calls that nobody had thought of when the profile was written do not exist: ENOSYS
	rules    []rule
	answers  answers
}

// rule is one entry of linux.seccomp.syscalls.
type rule struct {
	names      []string
	action     uint32
	conditions []condition // all must hold

	multiplexed bool // see multiplex.go: of 32-bit x86 only
}

func read(s *specs.LinuxSeccomp) (*profile, error) {
	fallback, err := action("defaultAction", s.DefaultAction, s.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	p := &profile{fallback: fallback, stub: stubs(s)}
	for i, call := range s.Syscalls {
		field := fmt.Sprintf("syscalls[%d]", i)
		act, err := action(field+".action", call.Action, call.ErrnoRet)
		if err != nil {
			return nil, err
		}
		if len(call.Names) == 0 {
			return nil, fmt.Errorf("linux.seccomp.%s.names: empty", field)
		}
		alternatives, err := conditions(field, call.Args)
		if err != nil {
			return nil, err
		}
		for _, c := range alternatives {
			p.rules = append(p.rules, rule{names: call.Names, action: act, conditions: c})
		}
		if len(call.Args) == 0 {
			p.rules = append(p.rules, multiplexed(call.Names, act)...)
		}
	}
	return p, nil
}

// stubs is runc's rule: a profile that forbids what it does not name answers EPERM also for calls younger than itself, and a C library
// that would do without a new call takes that for the end. Unless the profile says ENOSYS anyway.
func stubs(s *specs.LinuxSeccomp) bool {
	if s.DefaultErrnoRet != nil && *s.DefaultErrnoRet == uint(unix.ENOSYS) {
		return false
	}
	return s.DefaultAction != specs.ActAllow && s.DefaultAction != specs.ActLog
}

// action is what the filter returns: the action and, in the low 16 bits, its datum.
func action(field string, a specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	datum := uint32(unix.EPERM)
	if errno != nil {
		if *errno > 0xffff {
			return 0, fmt.Errorf("linux.seccomp.%s: errnoRet %d is more than the 16 bits that a filter can return", field, *errno)
		}
		datum = uint32(*errno)
	}
	switch a {
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO | datum, nil
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE | datum, nil
	}
	if errno != nil {
		return 0, fmt.Errorf("linux.seccomp.%s: errnoRet has no meaning for %s", field, a)
	}
	switch a {
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, nil
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, nil
	case specs.ActNotify:
		return unix.SECCOMP_RET_USER_NOTIF, nil
	}
	return 0, fmt.Errorf("linux.seccomp.%s: unknown action %q", field, a)
}
