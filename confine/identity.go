package confine

import (
	"encoding/binary"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Identity compiles who the process is. The bounding set is cut while we hold CAP_SETPCAP; PR_SET_KEEPCAPS keeps the permitted set over
// the change of user, for Rights to give up.
func (in Inherited) Identity(b *program.Builder, u specs.User, want Capabilities) {
	in.bound(b, want)
	if in.Secure != 0 {
		b.Call(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, 0, 0, 0, 0).From("").Why("our parent had securebits: root and set-uid work as usual")
	}
	b.From("process.user")
	b.Call(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1, 0, 0, 0).From("").Why("keep the permitted capabilities over the change of user")
	groups := make([]byte, 0, 4*len(u.AdditionalGids))
	for _, g := range u.AdditionalGids {
		groups = binary.NativeEndian.AppendUint32(groups, g)
	}
	drop := b.Call(unix.SYS_SETGROUPS, len(u.AdditionalGids), groups).From("process.user.additionalGids").Why("no supplementary group but these")
	if in.Ungrouped && len(groups) == 0 {
		drop.Tolerate(unix.EPERM) // there are none any more
	}
	b.Call(unix.SYS_SETRESGID, u.GID, u.GID, u.GID).From("process.user.gid").Why("be this group")
	b.Call(unix.SYS_SETRESUID, u.UID, u.UID, u.UID).From("process.user.uid").Why("be this user, for good: real, effective and saved")
	umask := uint32(0o22)
	if u.Umask != nil {
		umask = *u.Umask
	}
	b.From("process.user.umask")
	b.Call(unix.SYS_UMASK, umask).Why("new files are not writable for others")
}

// Rights compiles what the process may still do: the last steps before execve, so that nothing else has to pass the filter; their order
// is the argument. capset gives up what is not wanted, and no_new_privs makes sure that execve gives nothing back. Without
// no_new_privs the kernel takes a filter only from who has CAP_SYS_ADMIN: then that is given up after the filter, which must let
// the one capset pass. What the filter gives to listen to its notifications is handed to listen, right after it is in force.
func Rights(b *program.Builder, p *specs.Process, want Capabilities, filter *Filter, listen func(program.Slot)) {
	b.From("process.capabilities.ambient")
	b.Call(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0).Why("no ambient capability is inherited")
	const admin = 1 << unix.CAP_SYS_ADMIN
	late := filter != nil && !p.NoNewPrivileges && want.effective&admin == 0
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
	if filter != nil {
		if installed := filter.install(b); filter.Notifies() {
			listen(installed.Keep())
		}
	}
	if late {
		want.set(b).Why("keep these capabilities and no other")
	}
}
