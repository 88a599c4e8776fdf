package confine

import (
	"strings"

	"glassbox/linux"
	"glassbox/program"
	"glassbox/seccomp"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Filter is linux.seccomp compiled for this machine. As JSON it can be kept for the processes that follow the first one.
type Filter struct {
	Program  []byte `json:",omitempty"` // struct sock_filter, eight bytes each
	Flags    uint64 `json:",omitempty"` // of seccomp(2)
	Listener string `json:",omitempty"` // the socket to which the descriptor for notifications goes; empty: there are none
	Metadata string `json:",omitempty"` // goes with it

	Unknown []string `json:",omitempty"` // names in the profile that mean nothing
}

// CompileFilter compiles it; nil where the spec has none.
func CompileFilter(s *specs.LinuxSeccomp) (*Filter, error) {
	if s == nil {
		return nil, nil
	}
	notifies, err := seccomp.Notifies(s)
	if err != nil {
		return nil, err
	}
	f := &Filter{}
	if notifies {
		f.Listener, f.Metadata = s.ListenerPath, s.ListenerMetadata
	}
	if f.Flags, err = seccomp.Flags(s.Flags, notifies); err != nil {
		return nil, err
	}
	if f.Program, f.Unknown, err = seccomp.Compile(s, linux.Native()); err != nil {
		return nil, err
	}
	return f, nil
}

// Notifies says whether installing the filter gives a descriptor that the host has to hand on.
func (f *Filter) Notifies() bool {
	return f != nil && f.Flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
}

// install adds the step that puts the filter into force. Its result is the descriptor for notifications, if there are any.
func (f *Filter) install(b *program.Builder) program.Added {
	b.From("linux.seccomp")
	why := "the kernel runs this program before each system call from here on, and answers the forbidden ones itself"
	if len(f.Unknown) > 0 {
		why += "; the profile also names what is no system call here: " + strings.Join(f.Unknown, ", ")
	}
	return b.Call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, f.Flags, program.Filter(f.Program)).Why("%s", why)
}
