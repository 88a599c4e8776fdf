package confine

import (
	"errors"

	"glassbox/linux"
	"glassbox/program"
	"glassbox/seccomp"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// compileFilter returns what adds the step that installs the filter; nil where the spec has none.
func compileFilter(s *specs.LinuxSeccomp) (install func(*program.Builder), err error) {
	if s == nil {
		return nil, nil
	}
	if s.ListenerPath != "" {
		return nil, errors.New("linux.seccomp.listenerPath: this build hands no listener on")
	}
	flags, err := seccomp.Flags(s.Flags)
	if err != nil {
		return nil, err
	}
	filter, err := seccomp.Compile(s, linux.Native())
	if err != nil {
		return nil, err
	}
	return func(b *program.Builder) {
		b.From("linux.seccomp")
		b.Call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, program.Filter(filter)).
			Why("the kernel runs this program before each system call from here on, and answers the forbidden ones itself")
	}, nil
}
