package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/linux"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mounts are the detached bind mounts taken from the host, by what they are for: slots, or with a user namespace descriptors of the host.
type mounts map[string]any

// Take is something of the host's that a container shows.
type Take struct {
	For       string // mounts[3], or the path of a device
	From      string
	Source    string
	Subpath   string // what of the source is shown; empty: all
	Recursive bool
	Shift     bool // with the owners that the new user namespace counts
	Why       string
}

// Host is the descriptor of a take that the host makes.
func (t Take) Host() program.Host { return program.Host(t.For) }

// flags for open_tree(2).
func (t Take) flags() int {
	f := unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC
	if t.Recursive {
		f |= unix.AT_RECURSIVE
	}
	if t.Subpath != "" {
		f |= unix.AT_EMPTY_PATH
	}
	return f
}

// path is where the host finds it, if nobody changes a link meanwhile: good for looking, not for taking.
func (t Take) path() string { return filepath.Join(t.Source, t.Subpath) }

// Takes lists them.
func (t *Tree) Takes() ([]Take, error) {
	var list []Take
	for i, m := range t.Spec.Mounts {
		source, recursive, ok := t.bound(m)
		if !ok {
			continue
		}
		o := parse(m.Options)
		take := Take{step(i), step(i) + ".source", source, o.subpath, recursive, o.idmap, "take hold of " + source + " on the host"}
		if _, known := t.Kinds[take.path()]; !known && source != t.Cgroup {
			return nil, fmt.Errorf("mounts[%d]: bind source %s does not exist", i, take.path())
		}
		if err := t.shiftable(m, o); err != nil {
			return nil, fmt.Errorf("mounts[%d]: %w", i, err)
		}
		list = append(list, take)
	}
	if t.UserNS && !t.Still {
		for _, d := range t.deviceList() {
			list = append(list, Take{For: d.Path, From: d.from, Source: d.host, Why: "take hold of the host's device: mknod is not for a user namespace"})
		}
	}
	return list, nil
}

// shiftable refuses maps of owners that are not those of the container.
func (t *Tree) shiftable(m specs.Mount, o options) error {
	l := t.Spec.Linux
	switch {
	case o.idmap && !t.Shift:
		return errors.New("idmap: there is no new user namespace whose map could be used")
	case len(m.UIDMappings) == 0 && len(m.GIDMappings) == 0:
		return nil
	case l == nil || !slices.Equal(m.UIDMappings, l.UIDMappings) || !slices.Equal(m.GIDMappings, l.GIDMappings):
		return errors.New("uidMappings: a mount has the maps of the container's user namespace, or none")
	}
	return nil
}

// take compiles the taking as the child does it. What is below a source is found from its descriptor and never outside of it.
func (t Take) take(b *program.Builder) program.Slot {
	b.From("%s", t.From)
	if t.Subpath == "" {
		return b.Call(unix.SYS_OPEN_TREE, unix.AT_FDCWD, t.Source, t.flags()).Why("%s", t.Why).Keep()
	}
	base := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, t.Source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC).Why("hold %s on the host", t.Source).Keep()
	how := openHow(unix.O_PATH|unix.O_CLOEXEC, beneath)
	part := b.Call(unix.SYS_OPENAT2, base, t.Subpath, how, len(how)).Why("%s", partly).Keep()
	b.Close(base)
	tree := b.Call(unix.SYS_OPEN_TREE, part, "", t.flags()).Why("take hold of it").Keep()
	b.Close(part)
	return tree
}

const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS

const partly = "find what is asked for below it: whatever links lie there, none can lead out"

// Requests are the take as the host makes it: the root of a user namespace may not pass through the host's private directories.
func (t Take) Requests(keep func(program.Host, *os.File)) []program.Request {
	take := program.Request{
		Call: fmt.Sprintf("open_tree(AT_FDCWD, %q, %s)", t.Source, linux.OpenTreeFlags.Join(uint64(t.flags()), "OPEN_TREE_???")), From: t.From, Why: t.Why,
		Gives: "<" + t.For + ">",
		Do: func() error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, t.Source, uint(t.flags()))
			if err == nil {
				keep(t.Host(), os.NewFile(uintptr(fd), t.Source))
			}
			return err
		},
	}
	if t.Subpath == "" {
		return []program.Request{take}
	}
	base, part := -1, -1
	take.Call = fmt.Sprintf(`open_tree(<part>, "", %s)`, linux.OpenTreeFlags.Join(uint64(t.flags()), "OPEN_TREE_???"))
	take.Do = func() error {
		defer unix.Close(part)
		fd, err := unix.OpenTree(part, "", uint(t.flags()))
		if err == nil {
			keep(t.Host(), os.NewFile(uintptr(fd), t.path()))
		}
		return err
	}
	return []program.Request{{
		Call: fmt.Sprintf("openat(AT_FDCWD, %q, O_PATH|O_DIRECTORY|O_CLOEXEC)", t.Source), From: t.From, Why: "hold " + t.Source + " on the host", Gives: "<source>",
		Do: func() (err error) {
			base, err = unix.Open(t.Source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			return err
		},
	}, {
		Call: fmt.Sprintf("openat2(<source>, %q, {flags=O_PATH|O_CLOEXEC, resolve=RESOLVE_NO_MAGICLINKS|RESOLVE_BENEATH}, 24)", t.Subpath), From: t.From, Why: partly, Gives: "<part>",
		Do: func() (err error) {
			defer unix.Close(base)
			part, err = unix.Openat2(base, t.Subpath, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath})
			return err
		},
	}, take}
}

// ShiftRequest shows a take with the owners that the child's user namespace counts. It is mounted nowhere yet, which is when that
// can be done, mount_setattr(2).
func (t Take) ShiftRequest(tree func() *os.File, pid func() int) program.Request {
	return program.Request{
		Call: fmt.Sprintf(`mount_setattr(<%s>, "", AT_EMPTY_PATH, {attr_set=MOUNT_ATTR_IDMAP, attr_clr=0, propagation=0 /* MS_??? */, userns_fd=<user namespace>}, 32)`, t.For),
		From: strings.TrimSuffix(t.From, ".source") + ".options", Why: "show its files' owners as the user namespace counts them: on the disk they stay as they are",
		Do: func() error {
			user, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid()))
			if err != nil {
				return err
			}
			defer user.Close()
			f := tree()
			defer f.Close()
			return unix.MountSetattr(int(f.Fd()), "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(user.Fd())})
		},
	}
}

// gather compiles the taking of what the host gives, while its paths can still be named.
func (t *Tree) gather(b *program.Builder) (mounts, error) {
	takes, err := t.Takes()
	held := mounts{}
	for _, take := range takes {
		if t.Shift {
			held[take.For] = take.Host()
			continue
		}
		held[take.For] = take.take(b)
	}
	for i, m := range t.Spec.Mounts {
		if t.UserNS && held[step(i)] == nil && (m.Type == "proc" || m.Type == "sysfs") {
			held[step(i)] = t.early(b, i)
		}
	}
	return held, err
}

// early compiles the making of a proc or sysfs while the host's can still be seen: the kernel gives a user namespace only what
// it sees already (mount_too_revealing, fs/namespace.c). It is put in its place later.
func (t *Tree) early(b *program.Builder, i int) program.Slot {
	m := t.Spec.Mounts[i]
	o := parse(m.Options)
	b.From("%s", step(i))
	fs := b.Call(unix.SYS_FSOPEN, m.Type, unix.FSOPEN_CLOEXEC).Why("a new %s, of this user namespace's own: it must be made while the host's can be seen", m.Type).Keep()
	for _, word := range o.data {
		key, value, isString := strings.Cut(word, "=")
		if isString {
			b.Call(unix.SYS_FSCONFIG, fs, unix.FSCONFIG_SET_STRING, key, value, 0).Why("with this option")
		} else {
			b.Call(unix.SYS_FSCONFIG, fs, unix.FSCONFIG_SET_FLAG, key, nil, 0).Why("with this option")
		}
	}
	b.Call(unix.SYS_FSCONFIG, fs, unix.FSCONFIG_CMD_CREATE, nil, nil, 0).Why("make it")
	mount := b.Call(unix.SYS_FSMOUNT, fs, unix.FSMOUNT_CLOEXEC, o.set).Why("as a mount that is nowhere yet").Keep()
	b.Close(fs)
	return mount
}

// Sources are the host's paths that a container's bind mounts show, and those that may have to stand in for a file system which a
// user namespace cannot mount.
func Sources(spec *specs.Spec, dir string) []string {
	t := Tree{Spec: spec, Dir: dir}
	list := []string{"/proc", "/sys", kcore}
	for _, m := range spec.Mounts {
		if source, _, ok := t.bound(m); ok {
			list = append(list, filepath.Join(source, parse(m.Options).subpath))
		}
	}
	return list
}

// bound says whether a mount shows something of the host, and what. In a user namespace that shares the host's network, sysfs cannot be
// mounted; with the host's PIDs, proc cannot: the host's own is shown in their place.
func (t *Tree) bound(m specs.Mount) (source string, recursive, ok bool) {
	o := parse(m.Options)
	switch {
	case o.bind || m.Type == "bind":
		return t.absolute(m.Source), o.recursive || m.Type == "bind" && !o.bind, true
	case m.Type == "sysfs" && t.UserNS && !t.OwnNet:
		return "/sys", true, true
	case m.Type == "proc" && t.UserNS && !t.OwnPID:
		return "/proc", true, true
	case (m.Type == "cgroup2" || m.Type == "cgroup") && t.Cgroup != "":
		return t.Cgroup, false, true // what a new mount of cgroup2 would show, without its 10 ms in the kernel
	}
	return "", false, false
}

// mount compiles mounts[i].
func (t *Tree) mount(b *program.Builder, i int, held mounts) error {
	m := t.Spec.Mounts[i]
	if !path.IsAbs(m.Destination) {
		m.Destination = "/" + m.Destination // the spec says absolute, but old bundles are relative
	}
	o := parse(m.Options)
	b.From("%s", step(i))
	if tree, ok := held[step(i)]; ok {
		source, _, isBind := t.bound(m)
		if stacked(m) {
			t.attach(b, m, tree, o, true)
			return nil
		}
		if !isBind { // made early
			t.directories(b, m.Destination)
			place(b, tree, hold(b, m.Destination, unix.O_DIRECTORY, unix.RESOLVE_NO_SYMLINKS, "hold the mount point"), reason(m.Type, m.Destination))
			t.covered(m.Destination)
			return nil
		}
		m.Source = filepath.Join(source, o.subpath)
		t.attach(b, m, tree, o, source == t.Cgroup || t.Kinds[m.Source]&unix.S_IFMT == unix.S_IFDIR)
		return nil
	}
	fstype, source := m.Type, m.Source
	if fstype == "cgroup" {
		fstype = "cgroup2" // cgroup v1 is not offered
	}
	if source == "" {
		source = fstype
	}
	if o.copyUp {
		return fmt.Errorf("%s: tmpcopyup is not supported", step(i))
	}
	t.directories(b, m.Destination)
	// proc and sysfs are what masks and sysctls rely on: they go to their own place and not where a link of the image leads
	links := uint64(0)
	if fstype == "proc" || fstype == "sysfs" {
		links = unix.RESOLVE_NO_SYMLINKS
	}
	at := hold(b, m.Destination, unix.O_DIRECTORY, links, "hold the mount point")
	b.Call(unix.SYS_FCHDIR, at).Why("stand in it")
	b.Call(unix.SYS_MOUNT, source, ".", fstype, o.flags, data(o.data)).Why("%s", reason(fstype, m.Destination))
	b.Call(unix.SYS_CHDIR, "/").Why("back to the root")
	b.Close(at)
	t.covered(m.Destination)
	if o.propagation != 0 {
		t.propagate(b, m.Destination, o)
	}
	return nil
}

func data(words []string) any {
	if len(words) == 0 {
		return nil
	}
	return strings.Join(words, ",")
}

func (t *Tree) propagate(b *program.Builder, p string, o options) {
	flags := 0
	if o.recProp {
		flags = unix.AT_RECURSIVE
	}
	attr := mountAttr(0, 0, o.propagation)
	b.Call(unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, p, flags, attr, len(attr)).Why("say whether mounts below are passed on")
}

// attach compiles the attributes of a bind mount and puts it in its place. It is changed while it is detached: it is
// never seen without its protection.
func (t *Tree) attach(b *program.Builder, m specs.Mount, tree any, o options, dir bool) {
	if o.recSet|o.recClear != 0 {
		setAttr(b, tree, unix.AT_RECURSIVE, mountAttr(o.recSet, o.recClear, 0), "protect it and all that is mounted below it")
	}
	propagation := o.propagation
	if propagation == 0 {
		propagation, o.recProp = unix.MS_PRIVATE, true
	}
	setAttr(b, tree, recursive(o.recProp), mountAttr(0, 0, propagation), "say whether mounts below are passed on between host and container")
	if o.set|o.clear != 0 {
		setAttr(b, tree, 0, mountAttr(o.set, o.clear, 0), "protect it before anybody can see it")
	}
	kind := uint64(0)
	if dir {
		t.directories(b, m.Destination)
		kind = unix.O_DIRECTORY
	} else {
		t.file(b, m.Destination)
	}
	at := hold(b, m.Destination, kind, 0, "hold the mount point")
	place(b, tree, at, t.shown(m))
	t.covered(m.Destination)
}

func (t *Tree) shown(m specs.Mount) string {
	if m.Source == t.Cgroup {
		return "the container's own cgroup, seen as the root of all"
	}
	if stacked(m) {
		return "show them at " + m.Destination
	}
	return "show " + m.Source + " at " + m.Destination
}

// place puts a detached mount on a held mount point.
func place(b *program.Builder, tree any, at program.Slot, why string) {
	b.Call(unix.SYS_MOVE_MOUNT, tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH).Why("%s", why)
	if slot, ok := tree.(program.Slot); ok {
		b.Close(slot)
	}
	b.Close(at)
}

func recursive(yes bool) int {
	if yes {
		return unix.AT_RECURSIVE
	}
	return 0
}

func setAttr(b *program.Builder, tree any, flags int, attr []byte, why string) {
	b.Call(unix.SYS_MOUNT_SETATTR, tree, "", unix.AT_EMPTY_PATH|flags, attr, len(attr)).Why("%s", why)
}

// mountAttr is struct mount_attr, mount_setattr(2). An atime attribute is one value of a field, so the field is cleared first.
func mountAttr(set, clear, propagation uint64) []byte {
	const atime = unix.MOUNT_ATTR_RELATIME | unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_STRICTATIME
	if (set|clear)&atime != 0 {
		clear = clear&^uint64(atime) | unix.MOUNT_ATTR__ATIME
	}
	b := binary.NativeEndian.AppendUint64(nil, set)
	b = binary.NativeEndian.AppendUint64(b, clear)
	b = binary.NativeEndian.AppendUint64(b, propagation)
	return binary.NativeEndian.AppendUint64(b, 0)
}

// reason is the sentence for a new file system.
func reason(fstype, at string) string {
	switch fstype {
	case "proc":
		return "/proc shows the processes of this PID namespace and no other"
	case "sysfs":
		return "/sys shows the devices, and the interfaces of this network namespace"
	case "devpts":
		return "terminals of the container's own"
	case "mqueue":
		return "POSIX message queues of this IPC namespace"
	case "tmpfs":
		if at == "/dev" {
			return "an empty /dev: only the devices made below exist in it"
		}
		return "memory that looks like a directory, gone with the container"
	}
	return "mount what config.json asks for"
}
