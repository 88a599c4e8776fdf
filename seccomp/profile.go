package seccomp

import (
	"fmt"
	"slices"

	"glassbox/linux"

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
	found      []bool // which of them a call was found for
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
		found := make([]bool, len(call.Names))
		for _, c := range alternatives {
			p.rules = append(p.rules, rule{names: call.Names, found: found, action: act, conditions: c})
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
	code, known := actions[a]
	switch {
	case !known:
		return 0, fmt.Errorf("linux.seccomp.%s: unknown action %q", field, a)
	case a == specs.ActErrno || a == specs.ActTrace:
		return code | datum, nil
	case errno != nil:
		return 0, fmt.Errorf("linux.seccomp.%s: errnoRet has no meaning for %s", field, a)
	}
	return code, nil
}

// unknown are the names that were not found, and are no other architecture's either.
func (p *profile) unknown() (names []string) {
	for _, r := range p.rules {
		for i, name := range r.names {
			if !r.multiplexed && !r.found[i] && !anywhere(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func anywhere(name string) bool {
	return slices.ContainsFunc(linux.Architectures, func(a linux.Architecture) bool { _, known := a.Of(name); return known })
}
