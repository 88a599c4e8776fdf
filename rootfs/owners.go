package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/linux"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Owners is as whom an id-mapped mount shows the owners of its files, mount_setattr(2). The kernel takes such a map from a user
// namespace, whose descriptor it is given: the container's own, one that exists at a path, or one that is made for its maps alone.
type Owners struct {
	From string // mounts[3].options
	flag int    // AT_RECURSIVE: what is mounted below, too

	path     string // of a user namespace; empty: see uid, gid
	uid, gid []specs.LinuxIDMapping
	child    bool // the user namespace is that of the container's process, which does not exist yet
}

// owners says as whom a mount shows its files; nil: as they are.
func (t *Tree) owners(m specs.Mount, o options) (*Owners, error) {
	mapped := len(m.UIDMappings) > 0
	if mapped != (len(m.GIDMappings) > 0) {
		return nil, errors.New("uidMappings: a mount has both uidMappings and gidMappings, or neither")
	}
	if !mapped && !o.idmap {
		return nil, nil
	}
	if !o.bind && m.Type != "bind" {
		return nil, errors.New("options: idmap is for bind mounts")
	}
	owners := &Owners{flag: recursive(o.ridmap)}
	l := t.Spec.Linux
	switch same := l != nil && slices.Equal(m.UIDMappings, l.UIDMappings) && slices.Equal(m.GIDMappings, l.GIDMappings); {
	case t.Shift && (same || !mapped):
		owners.child = true
	case mapped:
		owners.uid, owners.gid = m.UIDMappings, m.GIDMappings
	default:
		if owners.path = t.joinedUser(); owners.path == "" {
			return nil, errors.New("options: idmap: neither the mount nor the container has maps: there is no user namespace")
		}
	}
	return owners, nil
}

// joinedUser is the path of the user namespace that the container joins.
func (t *Tree) joinedUser() string {
	if t.Spec.Linux == nil {
		return ""
	}
	for _, n := range t.Spec.Linux.Namespaces {
		if n.Type == specs.UserNamespace {
			return n.Path
		}
	}
	return ""
}

// OfChild says whether the map is that of the container's own new user namespace: it can be used once that has its ids.
func (o *Owners) OfChild() bool { return o != nil && o.child }

// Requests change the owners that a take shows, which is mounted nowhere yet: only then it can be done. pid is the container's process,
// for a map that is its own.
func (o *Owners) Requests(take Take, tree func() *os.File, pid func() int) []program.Request {
	from := strings.TrimSuffix(take.From, ".source")
	user := func() string { return filepath.Join("/proc", strconv.Itoa(pid()), "ns/user") }
	var before, after []program.Request
	switch {
	case o.path != "":
		user = func() string { return o.path }
	case !o.child:
		m := &mapper{from: from}
		before, after = m.make(o), m.end()
		user = func() string { return filepath.Join("/proc", strconv.Itoa(m.process.Pid), "ns/user") }
	}
	flags := unix.AT_EMPTY_PATH | o.flag
	return append(append(before, program.Request{
		Call: fmt.Sprintf(`mount_setattr(<%s>, "", %s, {attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0 /* MS_??? */, userns_fd=<user namespace>}, 32)`,
			take.For, linux.MountSetattrFlags.Join(uint64(flags), "AT_???")),
		From: from + ".options", Why: "show its files' owners as the user namespace counts them: on the disk they stay as they are",
		Do: func() error {
			ns, err := os.Open(user())
			if err != nil {
				return err
			}
			defer ns.Close()
			f := tree()
			if o.child {
				defer f.Close()
			}
			return unix.MountSetattr(int(f.Fd()), "", uint(flags), &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())})
		},
	}), after...)
}

// mapper is a process that does nothing but be in a user namespace with the maps of one mount, until the kernel has looked at them.
type mapper struct {
	from    string
	process *program.Process
}

func (m *mapper) make(o *Owners) []program.Request {
	return []program.Request{{
		Call: "clone3({flags=CLONE_PIDFD|CLONE_NEWUSER|CLONE_CLEAR_SIGHAND, pidfd=<memory>, exit_signal=SIGCHLD, stack=NULL, stack_size=0}, 88)",
		From: m.from + ".uidMappings", Why: "a process that waits in a user namespace for the mount's maps", Gives: "<process>",
		Do: func() error {
			var b program.Builder
			b.Begin()
			b.Gate("mapped", "wait until the maps have been used")
			var err error
			m.process, err = program.Start(b.Program(), program.Clone{Flags: unix.CLONE_NEWUSER}, nil, false)
			return err
		},
		Undo: m.stop,
	}, m.write("uid_map", m.from+".uidMappings", o.uid), m.write("gid_map", m.from+".gidMappings", o.gid)}
}

func (m *mapper) write(name, from string, maps []specs.LinuxIDMapping) program.Request {
	text := ""
	for _, e := range maps {
		text += fmt.Sprintf("%d %d %d\n", e.ContainerID, e.HostID, e.Size)
	}
	return program.Request{
		Call: fmt.Sprintf("write(\"/proc/PID/%s\", %q, %d)", name, text, len(text)), From: from, Why: "whose files are shown as whose",
		Do: func() error {
			f, err := os.OpenFile(filepath.Join("/proc", strconv.Itoa(m.process.Pid), name), os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(text)
				f.Close()
			}
			return err
		},
	}
}

func (m *mapper) end() []program.Request {
	return []program.Request{{
		Call: "pidfd_send_signal(<process>, SIGKILL, NULL, 0)", From: m.from + ".uidMappings", Why: "the mount keeps the maps: nobody need wait in the namespace any more",
		Do: m.stop,
	}}
}

func (m *mapper) stop() error {
	if m.process != nil {
		m.process.Kill()
		m.process = nil
	}
	return nil
}
