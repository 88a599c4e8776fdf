package seccomp

import (
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Notifies says whether the profile asks somebody else about calls, SCMP_ACT_NOTIFY, and refuses what cannot work: between the filter and
// that somebody having the descriptor to answer by, the process must still be able to write to its host.
func Notifies(s *specs.LinuxSeccomp) (bool, error) {
	if s.DefaultAction == specs.ActNotify {
		return false, errors.New("linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default action")
	}
	notifies := false
	for i, call := range s.Syscalls {
		if call.Action != specs.ActNotify {
			continue
		}
		notifies = true
		if slices.Contains(call.Names, "write") {
			return false, fmt.Errorf("linux.seccomp.syscalls[%d]: SCMP_ACT_NOTIFY cannot be used for the write syscall", i)
		}
	}
	switch {
	case s.ListenerPath == "" && s.ListenerMetadata != "":
		return false, errors.New("linux.seccomp.listenerMetadata: set without listenerPath")
	case notifies && s.ListenerPath == "":
		return false, errors.New("linux.seccomp.listenerPath: missing, and SCMP_ACT_NOTIFY needs somebody to ask")
	}
	return notifies, nil
}
