package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mount compiles mounts[i].
func (t *Tree) mount(b *program.Builder, i int, held mounts) error {
	m := t.Spec.Mounts[i]
	m.Destination = destination(m)
	o := parse(m.Options)
	b.From("%s", step(i))
	if err := t.insideProc(m, o); err != nil {
		return fmt.Errorf("%s.%w", step(i), err)
	}
	if o.remount {
		t.remount(b, m, o)
		return nil
	}
	tree := held[step(i)]
	source, _, bound := t.bound(m)
	dir := true
	switch {
	case bound:
		m.Source = filepath.Join(source, o.subpath)
		dir = source == t.Cgroup || t.Kinds[m.Source]&unix.S_IFMT == unix.S_IFDIR
		t.protectBind(b, tree, o)
	case stacked(m):
		t.protectBind(b, tree, o)
	default:
		if o.copyUp && m.Type != "tmpfs" {
			return fmt.Errorf("%s.options: tmpcopyup is for a tmpfs, and this is %q", step(i), m.Type)
		}
		passOn(b, tree, o.propagation)
	}
	filled := t.filled(m, o)
	at, existed := t.mountPoint(b, m, dir, filled && !o.copyUp)
	if filled {
		if o.copyUp {
			t.copyUp(b, i, tree, at)
		} else {
			t.liken(b, i, tree, at, existed)
		}
		if o.attr.set&unix.MOUNT_ATTR_RDONLY != 0 {
			setAttr(b, tree, 0, readOnly, 0, "protect it before anybody can see it")
		}
	}
	t.place(b, m, tree, at)
	return nil
}

// destination is where a mount goes: a path that begins at the root, though old bundles write it without.
func destination(m specs.Mount) string { return path.Clean("/" + m.Destination) }

// mountPoint compiles the making and holding of what is mounted on, and may keep the answer to whether it was there.
func (t *Tree) mountPoint(b *program.Builder, m specs.Mount, dir, keep bool) (at, existed program.Slot) {
	if !dir {
		t.file(b, m.Destination)
		return t.hold(b, m.Destination, 0, 0, "hold the mount point"), 0
	}
	existed = t.directory(b, m.Destination, keep)
	resolve := uint64(0)
	if kernels(m) {
		// masks and sysctls rely on these: they go to their own place and not where a link of the image leads
		resolve = unix.RESOLVE_NO_SYMLINKS
	}
	return t.hold(b, m.Destination, unix.O_DIRECTORY, resolve, "hold the mount point"), existed
}

// place puts the detached mount on its mount point.
func (t *Tree) place(b *program.Builder, m specs.Mount, tree any, at program.Slot) {
	move(b, tree, at, t.shown(m))
	b.Close(at)
	t.covered(m.Destination)
	if t.keep(m) {
		t.kernel[m.Destination] = tree
	} else if slot, ok := tree.(program.Slot); ok {
		b.Close(slot)
	}
}

// kernels says whether a mount is a new file system in which there is nothing but the kernel's.
func kernels(m specs.Mount) bool { return m.Type == "proc" || m.Type == "sysfs" || m.Type == "devpts" }

// keep says whether to hold on to a mount: one of the kernel's file systems. What is done in them later goes by these, and not by a path on which
// somebody may have put something else.
func (t *Tree) keep(m specs.Mount) bool { return kernels(m) && !parse(m.Options).bind && !t.Still }

// belowProc are the only places below /proc on which something may be mounted: what lxcfs and the like put there.
var belowProc = []string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo",
	"/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
}

// insideProc refuses what would put something else in the place of /proc or a part of it: programs believe what they read there, and the
// confinement of a process is written there (CVE-2019-16884, CVE-2019-19921).
func (t *Tree) insideProc(m specs.Mount, o options) error {
	_, _, bound := t.bound(m)
	switch inside := strings.HasPrefix(m.Destination, "/proc/"); {
	case o.remount:
		return nil
	case inside && !slices.Contains(belowProc, m.Destination):
		return fmt.Errorf("destination: %q cannot be mounted because it is inside /proc", m.Destination)
	case m.Destination == "/proc" && m.Type != "proc" && !(bound && path.Clean(m.Source) == "/proc"):
		return fmt.Errorf("destination: %q cannot be mounted because it is not of type proc", m.Destination)
	}
	return nil
}

// remount compiles the change of what is mounted at the destination already.
func (t *Tree) remount(b *program.Builder, m specs.Mount, o options) {
	at := t.hold(b, m.Destination, 0, 0, "hold what is mounted there")
	if o.bind {
		o.super = nil // the mount alone
	}
	if len(o.super)+len(o.data) > 0 {
		fs := b.Call(unix.SYS_FSPICK, at, "", unix.FSPICK_CLOEXEC|unix.FSPICK_EMPTY_PATH).Why("take its file system to change it").Keep()
		configure(b, fs, o)
		b.Call(unix.SYS_FSCONFIG, fs, unix.FSCONFIG_CMD_RECONFIGURE, nil, nil, 0).Why("change it")
		b.Close(fs)
	}
	if o.rec.any() {
		setAttr(b, at, unix.AT_RECURSIVE, o.rec, 0, "change it and all that is mounted below it")
	}
	passOn(b, at, o.propagation)
	if o.attr.any() {
		setAttr(b, at, 0, o.attr, 0, "change the mount")
	}
	b.Close(at)
}

// protectBind compiles the attributes of a mount that shows what is mounted elsewhere too. It is changed while it is detached: it is
// never seen without its protection.
func (t *Tree) protectBind(b *program.Builder, tree any, o options) {
	if o.rec.any() {
		setAttr(b, tree, unix.AT_RECURSIVE, o.rec, 0, "protect it and all that is mounted below it")
	}
	if len(o.propagation) == 0 {
		o.propagation = []propagation{{unix.MS_PRIVATE, true}}
	}
	passOn(b, tree, o.propagation)
	if o.attr.any() {
		setAttr(b, tree, 0, o.attr, 0, "protect it before anybody can see it")
	}
}

// passOn compiles the propagation of a mount, in the order of the words: slave, then shared, is both.
func passOn(b *program.Builder, tree any, list []propagation) {
	for _, p := range list {
		setAttr(b, tree, recursive(p.recursive), attributes{}, p.kind, "say whether mounts below are passed on between host and container")
	}
}

func (t *Tree) shown(m specs.Mount) string {
	_, _, bound := t.bound(m)
	switch {
	case m.Source == t.Cgroup && bound:
		return "the container's own cgroup, seen as the root of all"
	case stacked(m):
		return "show them at " + m.Destination
	case bound:
		return "show " + m.Source + " at " + m.Destination
	}
	return "put it at " + m.Destination
}

// move puts a detached mount on a held mount point.
func move(b *program.Builder, tree any, at program.Slot, why string) program.Added {
	return b.Call(unix.SYS_MOVE_MOUNT, tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH).Why("%s", why)
}

func recursive(yes bool) int {
	if yes {
		return unix.AT_RECURSIVE
	}
	return 0
}

func setAttr(b *program.Builder, tree any, flags int, a attributes, propagation uint64, why string) program.Added {
	attr := mountAttr(a, propagation)
	return b.Call(unix.SYS_MOUNT_SETATTR, tree, "", unix.AT_EMPTY_PATH|flags, attr, len(attr)).Why("%s", why)
}

// mountAttr is struct mount_attr, mount_setattr(2).
func mountAttr(a attributes, propagation uint64) []byte {
	b := binary.NativeEndian.AppendUint64(nil, a.set)
	b = binary.NativeEndian.AppendUint64(b, a.cleared())
	b = binary.NativeEndian.AppendUint64(b, propagation)
	return binary.NativeEndian.AppendUint64(b, 0)
}

var readOnly = attributes{set: unix.MOUNT_ATTR_RDONLY}

// check refuses, by the field's name, a tree that cannot be built.
func (t *Tree) check() error {
	l := t.Spec.Linux
	if t.Foreign {
		switch {
		case l != nil && l.RootfsPropagation != "":
			return errors.New("linux.rootfsPropagation: the mount namespace is not the container's own")
		case t.Layers != nil, slices.ContainsFunc(t.Spec.Mounts, stacked):
			return errors.New("linux.namespaces: an overlay is mounted only in a mount namespace of the container's own")
		}
	}
	if l != nil && l.RootfsPropagation != "" {
		if _, known := propagations[strings.TrimPrefix(l.RootfsPropagation, "r")]; !known {
			return fmt.Errorf("linux.rootfsPropagation: %q is none of private, slave, shared and unbindable, with or without r before it", l.RootfsPropagation)
		}
	}
	if t.Layers == nil {
		root := Root(t.Spec, t.Dir)
		switch mode, known := t.Kinds[root]; {
		case !known:
			return fmt.Errorf("root.path: invalid rootfs: %s does not exist", root)
		case mode&unix.S_IFMT == unix.S_IFLNK:
			return fmt.Errorf("root.path: invalid rootfs: %s is a symbolic link", root)
		case mode&unix.S_IFMT != unix.S_IFDIR:
			return fmt.Errorf("root.path: invalid rootfs: %s is not a directory", root)
		}
	}
	for i, m := range t.Spec.Mounts {
		if m.Destination == "" {
			return fmt.Errorf("%s.destination: missing", step(i))
		}
		if destination(m) == "/" && !parse(m.Options).remount {
			return fmt.Errorf("%s.destination: %q is the root itself", step(i), m.Destination)
		}
	}
	return errors.Join(t.checkSysctls(), t.checkDevices())
}
