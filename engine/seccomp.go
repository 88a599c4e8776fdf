package engine

import (
	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// filter draws which system calls are forbidden, as moby's daemon/seccomp_linux.go does: Docker's default profile, which depends on the
// capabilities; none for privileged containers; or what the user gave.
func (d *drawing) filter() (err error) {
	switch profile := d.security.seccomp; {
	case profile == noFilter || profile == "" && d.HostConfig.Privileged:
	case profile == "" || profile == builtinFilter:
		d.spec.Linux.Seccomp, err = seccomp.GetDefaultProfile(d.spec)
	default:
		d.spec.Linux.Seccomp, err = userProfile(profile, d.spec)
	}
	return err
}

func userProfile(text string, spec *specs.Spec) (*specs.LinuxSeccomp, error) {
	profile, err := seccomp.LoadProfile(text, spec)
	if err != nil {
		return nil, invalid("%w", err)
	}
	return profile, nil
}
