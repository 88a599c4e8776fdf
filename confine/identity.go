package confine

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"glassbox/linux"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Identity compiles who the process is. The bounding set is cut while we hold CAP_SETPCAP; PR_SET_KEEPCAPS keeps the permitted set over
// the change of user, for Rights to give up.
func (in Inherited) Identity(b *program.Builder, p *specs.Process) error {
	want, err := capabilitiesOf(p.Capabilities)
	if err != nil {
		return err
	}
	in.bound(b, want)
	if in.Secure != 0 {
		b.Call(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, 0, 0, 0, 0).From("").Why("our parent had securebits: root and set-uid work as usual")
	}
	b.From("process.user")
	b.Call(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0, 0, 0).From("").Why("keep the permitted capabilities over the change of user")
	groups := make([]byte, 0, 4*len(p.User.AdditionalGids))
	for _, g := range p.User.AdditionalGids {
		groups = binary.NativeEndian.AppendUint32(groups, g)
	}
	b.Call(unix.SYS_SETGROUPS, len(p.User.AdditionalGids), groups).From("process.user.additionalGids").Why("no supplementary group but these")
	b.Call(unix.SYS_SETRESGID, p.User.GID, p.User.GID, p.User.GID).From("process.user.gid").Why("be this group")
	b.Call(unix.SYS_SETRESUID, p.User.UID, p.User.UID, p.User.UID).From("process.user.uid").Why("be this user, for good: real, effective and saved")
	umask := uint32(0o22)
	if p.User.Umask != nil {
		umask = *p.User.Umask
	}
	b.From("process.user.umask")
	b.Call(unix.SYS_UMASK, umask).Why("new files are not writable for others")
	return nil
}

// Rights compiles what the process may still do: the last steps before execve, so that nothing else has to pass the filter; their order
// is the argument. capset gives up what is not wanted, and no_new_privs makes sure that execve gives nothing back. Without
// no_new_privs the kernel takes a filter only from who has CAP_SYS_ADMIN: then that is given up after the filter, which must let
// the one capset pass.
func Rights(b *program.Builder, p *specs.Process, filter *specs.LinuxSeccomp) error {
	want, err := capabilitiesOf(p.Capabilities)
	if err != nil {
		return err
	}
	install, err := compileFilter(filter)
	if err != nil {
		return err
	}
	b.From("process.capabilities.ambient")
	b.Call(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0).Why("no ambient capability is inherited")
	const admin = 1 << unix.CAP_SYS_ADMIN
	late := install != nil && !p.NoNewPrivileges && want.effective&admin == 0
	if late {
		more := want
		more.effective, more.permitted = want.effective|admin, want.permitted|admin
		more.set(b).Why("keep these capabilities, and CAP_SYS_ADMIN until the filter is in place")
	} else {
		want.set(b).Why("keep these capabilities and no other")
	}
	want.raise(b)
	if p.NoNewPrivileges {
		b.From("process.noNewPrivileges")
		b.Call(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).Why("execve never gives more than this: set-uid programs and file capabilities have no effect")
	}
	if install != nil {
		install(b)
	}
	if late {
		want.set(b).Why("keep these capabilities and no other")
	}
	return nil
}

// sets are the five capability sets, capabilities(7), as bit masks.
type sets struct{ bounding, effective, inheritable, permitted, ambient uint64 }

func capabilitiesOf(c *specs.LinuxCapabilities) (sets, error) {
	var s sets
	if c == nil {
		return s, nil
	}
	for _, f := range []struct {
		field string
		names []string
		mask  *uint64
	}{
		{"bounding", c.Bounding, &s.bounding}, {"effective", c.Effective, &s.effective}, {"inheritable", c.Inheritable, &s.inheritable},
		{"permitted", c.Permitted, &s.permitted}, {"ambient", c.Ambient, &s.ambient},
	} {
		for i, name := range f.names {
			n, ok := linux.Capabilities.Value(name)
			if !ok {
				return s, fmt.Errorf("process.capabilities.%s[%d]: unknown capability %q", f.field, i, name)
			}
			*f.mask |= 1 << n
		}
	}
	return s, nil
}

// bound drops from the bounding set whatever is not wanted: nothing that is executed later can get it back.
func (in Inherited) bound(b *program.Builder, want sets) {
	b.From("process.capabilities.bounding")
	for drop := in.Bounding &^ want.bounding; drop != 0; drop &= drop - 1 {
		n := bits.TrailingZeros64(drop)
		b.Call(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, n, 0, 0, 0).Why("%s: out of reach for this process and all that it starts", linux.Capabilities.Of(uint64(n)))
	}
}

// set compiles capset.
func (s sets) set(b *program.Builder) program.Added {
	header := binary.NativeEndian.AppendUint32(nil, unix.LINUX_CAPABILITY_VERSION_3)
	header = binary.NativeEndian.AppendUint32(header, 0)
	var data []byte
	for shift := 0; shift < 64; shift += 32 {
		for _, mask := range []uint64{s.effective, s.permitted, s.inheritable} {
			data = binary.NativeEndian.AppendUint32(data, uint32(mask>>shift))
		}
	}
	b.From("process.capabilities")
	return b.Call(unix.SYS_CAPSET, header, data)
}

// raise compiles, one by one, the ambient set, which execve keeps for a user who is not root.
func (s sets) raise(b *program.Builder) {
	b.From("process.capabilities.ambient")
	for m := s.ambient; m != 0; m &= m - 1 {
		n := bits.TrailingZeros64(m)
		raise := b.Call(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, n, 0, 0).
			Why("%s: kept over execve although the user is not root", linux.Capabilities.Of(uint64(n)))
		if s.permitted&s.inheritable&(1<<n) == 0 {
			raise.Tolerate(unix.EPERM) // only what is permitted and inheritable can be ambient; `runc spec` writes such bundles
		}
	}
}
