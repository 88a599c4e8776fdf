package namespaces

import (
	"errors"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// checkNames refuses names for the container that would be the host's.
func (s Set) checkNames(spec *specs.Spec) error {
	switch {
	case s.Own(unix.CLONE_NEWUTS):
	case spec.Hostname != "":
		return errors.New("hostname: unable to set hostname without a private UTS namespace")
	case spec.Domainname != "":
		return errors.New("domainname: unable to set domainname without a private UTS namespace")
	}
	for _, name := range []struct{ from, value string }{{"hostname", spec.Hostname}, {"domainname", spec.Domainname}} {
		if len(name.value) > longestName {
			return errors.New(name.from + ": longer than 64 bytes")
		}
	}
	return nil
}

// longestName is __NEW_UTS_LEN, sethostname(2).
const longestName = 64

// Hostname compiles sethostname and setdomainname.
func Hostname(b *program.Builder, spec *specs.Spec) {
	if spec.Hostname != "" {
		b.From("hostname")
		b.Call(unix.SYS_SETHOSTNAME, spec.Hostname, len(spec.Hostname)).Why("name the container: only its UTS namespace sees it")
	}
	if spec.Domainname != "" {
		b.From("domainname")
		b.Call(unix.SYS_SETDOMAINNAME, spec.Domainname, len(spec.Domainname)).Why("set the NIS domain name")
	}
}
