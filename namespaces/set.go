// Package namespaces says which namespaces of a container are new, joined or shared, with their id maps, names and clocks.
package namespaces

import (
	"fmt"
	"slices"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Set is a container's namespaces, from linux.namespaces. A kind that is in neither list is shared with the host.
type Set struct {
	New  uint64 // CLONE_NEW* flags of those to make
	Join []Joined
}

// Joined is an existing namespace that the container enters.
type Joined struct {
	Flag uint64
	Path string
	From string
}

var flags = map[specs.LinuxNamespaceType]uint64{
	specs.PIDNamespace:     unix.CLONE_NEWPID,
	specs.NetworkNamespace: unix.CLONE_NEWNET,
	specs.MountNamespace:   unix.CLONE_NEWNS,
	specs.IPCNamespace:     unix.CLONE_NEWIPC,
	specs.UTSNamespace:     unix.CLONE_NEWUTS,
	specs.UserNamespace:    unix.CLONE_NEWUSER,
	specs.CgroupNamespace:  unix.CLONE_NEWCGROUP,
	specs.TimeNamespace:    unix.CLONE_NEWTIME,
}

// Types are the words for linux.namespaces[].type, sorted.
func Types() []string {
	var list []string
	for kind := range flags {
		list = append(list, string(kind))
	}
	slices.Sort(list)
	return list
}

// Of reads the set from config.json.
func Of(spec *specs.Spec) (Set, error) {
	var s Set
	if spec.Linux == nil {
		return s, nil
	}
	seen := uint64(0)
	for i, n := range spec.Linux.Namespaces {
		flag, ok := flags[n.Type]
		if !ok {
			return s, fmt.Errorf("linux.namespaces[%d]: unknown type %q", i, n.Type)
		}
		if seen&flag != 0 {
			return s, fmt.Errorf("linux.namespaces[%d]: %q is listed twice", i, n.Type)
		}
		seen |= flag
		if n.Path == "" {
			s.New |= flag
			continue
		}
		if !strings.HasPrefix(n.Path, "/") {
			return s, fmt.Errorf("linux.namespaces[%d].path: %q is not absolute", i, n.Path)
		}
		s.Join = append(s.Join, Joined{flag, n.Path, fmt.Sprintf("linux.namespaces[%d].path", i)})
	}
	return s, nil
}

// Sharing is the set without the joined namespaces of these flags: we are in them already.
func (s Set) Sharing(flags uint64) Set {
	s.Join = slices.DeleteFunc(slices.Clone(s.Join), func(j Joined) bool { return j.Flag&flags != 0 })
	return s
}

// Check refuses what a config.json wants of namespaces that are not the container's own, and maps, clocks and names that the kernel
// would refuse.
func (s Set) Check(spec *specs.Spec) error {
	if err := s.checkMaps(MapsOf(spec)); err != nil {
		return err
	}
	if err := s.checkOffsets(spec.Linux.TimeOffsets); err != nil {
		return err
	}
	if err := s.checkSysctls(spec.Linux.Sysctl); err != nil {
		return err
	}
	if err := s.checkDevices(spec.Linux.NetDevices); err != nil {
		return err
	}
	return s.checkNames(spec)
}

// Makes says whether config.json asks for a new namespace of a kind.
func Makes(spec *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return spec.Linux != nil && slices.Contains(spec.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
}

// Own reports whether the namespace is not the host's: new or joined.
func (s Set) Own(flag uint64) bool { return s.New&flag != 0 || s.Joins(flag) }

// Joins reports whether it is an existing one that is entered.
func (s Set) Joins(flag uint64) bool {
	for _, j := range s.Join {
		if j.Flag == flag {
			return true
		}
	}
	return false
}

// Flags are the CLONE_NEW* flags of all namespaces that are not the host's.
func (s Set) Flags() uint64 {
	flags := s.New
	for _, j := range s.Join {
		flags |= j.Flag
	}
	return flags
}

// late are the namespaces that clone3 cannot make as we need them. A cgroup namespace's root is the group of who unshares it, so
// the process must be in its group first. The offsets of a time namespace can be written only while nobody is in it.
const late = unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// Clone is the flags for clone3. When a second clone follows (Forks), the PID namespace is left to it, since its first
// process must be the one that stays. A namespace belongs to the user namespace in which it was made: so with one that is joined
// nothing is made before.
func (s Set) Clone() uint64 {
	if s.Joins(unix.CLONE_NEWUSER) {
		return 0
	}
	f := s.New &^ late
	if s.Forks() {
		f &^= unix.CLONE_NEWPID
	}
	return f
}

// Forks reports whether a second clone is needed: PID and time namespaces are entered only by children.
func (s Set) Forks() bool {
	return s.New&unix.CLONE_NEWTIME != 0 || s.Joins(unix.CLONE_NEWPID) || s.Joins(unix.CLONE_NEWTIME) ||
		s.Joins(unix.CLONE_NEWUSER) && s.New&unix.CLONE_NEWPID != 0
}

// Held is what a child has taken hold of while the host's files are still before it.
type Held struct {
	join    []program.Slot
	offsets program.Slot // of the clocks
}

// Open compiles the steps that take hold of the namespaces to join and of the clocks' file: once a mount namespace was joined, paths
// lead elsewhere, and once a user namespace was, files of ours are not ours.
func (s Set) Open(b *program.Builder, offsets map[string]specs.LinuxTimeOffset) Held {
	var h Held
	for _, j := range s.Join {
		b.From("%s", j.From)
		h.join = append(h.join, b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, j.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0).
			Why("take hold of the %s to join", Title(j.Flag)).Keep())
	}
	if len(offsets) > 0 {
		h.offsets = openOffsets(b)
	}
	return h
}

// Enter compiles the joins, the user namespace first, since it gives the rights for the others.
func (s Set) Enter(b *program.Builder, held Held) {
	for pass := range 2 {
		for i, j := range s.Join {
			if (j.Flag == unix.CLONE_NEWUSER) == (pass == 0) {
				b.From("%s", j.From)
				b.Call(unix.SYS_SETNS, held.join[i], j.Flag).Why("join the %s", Title(j.Flag))
			}
		}
	}
	for _, slot := range held.join {
		b.Close(slot)
	}
	if s.Joins(unix.CLONE_NEWUSER) {
		become(b, "linux.namespaces", "linux.namespaces")
	}
}

// Rest compiles what clone3 left: cgroup and time namespaces, with a second clone PID namespaces, and all that are to belong to a user
// namespace that was joined.
func (s Set) Rest(b *program.Builder, held Held, offsets map[string]specs.LinuxTimeOffset) {
	b.From("linux.namespaces")
	if rest := s.New &^ (late | unix.CLONE_NEWPID); s.Joins(unix.CLONE_NEWUSER) && rest != 0 {
		b.Call(unix.SYS_UNSHARE, rest).Why("make the new namespaces: they belong to the user namespace that was joined")
	}
	if s.New&unix.CLONE_NEWCGROUP != 0 {
		b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP).Why("new cgroup namespace: our own group is its root, the host's tree is out of sight")
	}
	if s.New&unix.CLONE_NEWTIME != 0 {
		b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWTIME).Why("new time namespace for our children")
	}
	if len(offsets) > 0 {
		writeOffsets(b, held.offsets, offsets)
	}
	b.From("linux.namespaces")
	if s.Forks() && s.New&unix.CLONE_NEWPID != 0 {
		b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWPID).Why("new PID namespace for our children: the next process made is its PID 1")
	}
	if s.Forks() {
		b.Fork("make the process that enters these namespaces and stays; this one ends")
	}
}

// Title is the kind of namespace in words.
func Title(flag uint64) string {
	switch flag {
	case unix.CLONE_NEWPID:
		return "PID namespace"
	case unix.CLONE_NEWNET:
		return "network namespace"
	case unix.CLONE_NEWNS:
		return "mount namespace"
	case unix.CLONE_NEWIPC:
		return "IPC namespace"
	case unix.CLONE_NEWUTS:
		return "UTS namespace"
	case unix.CLONE_NEWUSER:
		return "user namespace"
	case unix.CLONE_NEWCGROUP:
		return "cgroup namespace"
	case unix.CLONE_NEWTIME:
		return "time namespace"
	}
	return "namespace"
}
