package confine

import (
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What cannot be had is left out, and said: unknown names, what this process has not itself, and what no capset or prctl would take.
func TestCapabilities(t *testing.T) {
	const chown, kill, admin = 1 << unix.CAP_CHOWN, 1 << unix.CAP_KILL, 1 << unix.CAP_SYS_ADMIN
	all := []string{"CAP_KILL", "CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_FUN"}
	want, warnings := Inherited{Bounding: chown | kill}.Capabilities(&specs.LinuxCapabilities{
		Bounding: all, Permitted: all[:2], Effective: all, Inheritable: all[:1], Ambient: all[:2],
	})
	if want != (Capabilities{bounding: chown | kill, permitted: chown | kill, effective: chown | kill, inheritable: kill, ambient: kill}) {
		t.Errorf("the sets are %+v", want)
	}
	said := []string{
		"process.capabilities: ignoring unknown or unavailable capabilities: [CAP_FUN CAP_SYS_ADMIN]",
		"process.capabilities.ambient: ignoring what is not permitted and inheritable: [CAP_CHOWN]",
	}
	if !slices.Equal(warnings, said) {
		t.Errorf("the warnings are %q", warnings)
	}
	mapped := Inherited{Bounding: chown, CanRaise: true}.Mapped()
	if mapped.Bounding&admin == 0 || mapped.CanRaise {
		t.Errorf("in a user namespace: %+v", mapped)
	}
}
