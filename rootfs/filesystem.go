package rootfs

import (
	"slices"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// fileSystem compiles the making of a new file system as a mount that is nowhere yet: nobody sees it before it is protected.
func (t *Tree) fileSystem(b *program.Builder, i int) program.Slot {
	m := t.Spec.Mounts[i]
	o := parse(m.Options)
	kind := kindOf(m)
	b.From("%s", step(i))
	source := m.Source
	if source == "" {
		source = kind
	}
	fs := b.Call(unix.SYS_FSOPEN, kind, unix.FSOPEN_CLOEXEC).Why("%s", reason(kind, m.Destination)).Keep()
	set(b, fs, "source", source, "its name in lists of mounts")
	t.label(b, fs, kind)
	b.From("%s", step(i))
	if t.filled(m, o) { // what is to be read only must be written first
		o.super = slices.DeleteFunc(o.super, func(w string) bool { return w == "ro" })
		o.attr.set &^= unix.MOUNT_ATTR_RDONLY
	}
	configure(b, fs, o)
	return made(b, fs, o.attr.set)
}

// configure compiles the options of a file system, one by one: the kernel's refusal is of the one that it does not know.
func configure(b *program.Builder, fs program.Slot, o options) {
	for _, w := range slices.Concat(o.super, o.data) {
		if key, value, valued := strings.Cut(w, "="); valued {
			set(b, fs, key, value, "with this option")
		} else {
			b.Call(unix.SYS_FSCONFIG, fs, unix.FSCONFIG_SET_FLAG, key, nil, 0).Why("with this option")
		}
	}
}

// made compiles the last steps: a file system that has its options becomes a mount.
func made(b *program.Builder, fs program.Slot, attr uint64) program.Slot {
	b.Call(unix.SYS_FSCONFIG, fs, unix.FSCONFIG_CMD_CREATE, nil, nil, 0).Why("make it")
	mount := b.Call(unix.SYS_FSMOUNT, fs, unix.FSMOUNT_CLOEXEC, attr).Why("as a mount that is nowhere yet").Keep()
	b.Close(fs)
	return mount
}

func set(b *program.Builder, fs program.Slot, key, value, why string) {
	b.Call(unix.SYS_FSCONFIG, fs, unix.FSCONFIG_SET_STRING, key, value, 0).Why("%s", why)
}

// label gives a new file system the SELinux context of all its files. The kernel's own file systems have labels of their own.
func (t *Tree) label(b *program.Builder, fs program.Slot, kind string) {
	if t.Spec.Linux == nil || t.Spec.Linux.MountLabel == "" || kind == "proc" || kind == "sysfs" || kind == "cgroup2" {
		return
	}
	b.From("linux.mountLabel")
	set(b, fs, "context", t.Spec.Linux.MountLabel, "the SELinux context of all that is in it")
}

func kindOf(m specs.Mount) string {
	if m.Type == "cgroup" {
		return "cgroup2" // cgroup v1 is not offered
	}
	return m.Type
}

// isNew says whether a mount is a new file system that fsopen(2) makes.
func (t *Tree) isNew(m specs.Mount) bool {
	_, _, bind := t.bound(m)
	return !bind && !stacked(m) && !parse(m.Options).remount
}

// reason is the sentence for a new file system.
func reason(kind, at string) string {
	switch kind {
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
	return "what config.json asks for"
}
