package seccomp

import (
	"slices"

	"glassbox/linux"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// reading is what a profile says of a call, read slowly from top to bottom: nothing is sorted, merged or compiled. Tests hold the compiler
// against it.
func reading(s *specs.LinuxSeccomp, native linux.Architecture, c call) uint32 {
	a, known := caller(s, native, c)
	if !known {
		return killed
	}
	var always *specs.LinuxSyscall
	for i, r := range s.Syscalls {
		switch {
		case meant(r, a, c) && len(r.Args) > 0:
			if hold(r.Args, c) {
				return act(r.Action, r.ErrnoRet)
			}
		case meant(r, a, c):
			if always == nil {
				always = &s.Syscalls[i]
			}
		case len(r.Args) == 0 && behind(r, a, c):
			return act(r.Action, r.ErrnoRet)
		}
	}
	switch {
	case always != nil:
		return act(always.Action, always.ErrnoRet)
	case stubs(s) && younger(s, a, c.number):
		return denied(unix.ENOSYS)
	}
	return act(s.DefaultAction, s.DefaultErrnoRet)
}

// caller is the architecture whose call it is, if the profile lets it in.
func caller(s *specs.LinuxSeccomp, native linux.Architecture, c call) (linux.Architecture, bool) {
	for _, a := range linux.Architectures {
		in := a.Name == native.Name || slices.Contains(s.Architectures, specs.Arch(a.Name))
		x32 := c.arch == unix.AUDIT_ARCH_X86_64 && c.number >= linux.X32Bit
		if in && a.Audit == c.arch && a.X32 == x32 {
			return a, true
		}
	}
	return linux.Architecture{}, false
}

func meant(r specs.LinuxSyscall, a linux.Architecture, c call) bool {
	return slices.ContainsFunc(r.Names, func(name string) bool { n, known := a.Of(name); return known && n == c.number })
}

// behind: the rule names a function that socketcall or ipc of 32-bit x86 is to call.
func behind(r specs.LinuxSyscall, a linux.Architecture, c call) bool {
	if a.Audit != unix.AUDIT_ARCH_I386 {
		return false
	}
	function := ""
	socketcall, _ := a.Of("socketcall")
	ipc, _ := a.Of("ipc")
	switch first := c.args[0]; {
	case c.number == socketcall && first > 0 && first <= uint64(len(sockets)):
		function = sockets[first-1]
	case c.number == ipc && first&0xffff < uint64(len(objects)):
		function = objects[first&0xffff]
	}
	return function != "" && slices.Contains(r.Names, function)
}

// hold: all conditions, or where several are of one argument any.
func hold(args []specs.LinuxSeccompArg, c call) bool {
	var met int
	seen, twice := map[uint]bool{}, false
	for _, a := range args {
		if holds(a, c.args[a.Index]) {
			met++
		}
		twice = twice || seen[a.Index]
		seen[a.Index] = true
	}
	return met == len(args) || twice && met > 0
}

// younger than all that the profile names of this architecture.
func younger(s *specs.LinuxSeccomp, a linux.Architecture, number uint32) bool {
	base := uint32(0)
	if a.X32 {
		base = linux.X32Bit
	}
	for _, r := range s.Syscalls {
		names := r.Names
		if a.Audit == unix.AUDIT_ARCH_I386 && len(r.Args) == 0 { // the way behind names these, too
			for _, name := range r.Names {
				if slices.Contains(sockets[:], name) {
					names = append(slices.Clone(names), "socketcall")
				} else if slices.Contains(objects[1:], name) {
					names = append(slices.Clone(names), "ipc")
				}
			}
		}
		for _, name := range names {
			n, known := a.Of(name)
			if known && n >= number && n < base+private || known && n >= base+private && n <= number {
				return false
			}
		}
	}
	return true
}

func act(a specs.LinuxSeccompAction, errno *uint) uint32 {
	code := actions[a]
	if a == specs.ActErrno || a == specs.ActTrace {
		if errno != nil {
			return code | uint32(*errno)
		}
		return code | uint32(unix.EPERM)
	}
	return code
}
