package rootfs

import (
	"sort"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// sysctls compiles linux.sysctl: writes below /proc/sys, before it becomes read-only.
func (t *Tree) sysctls(b *program.Builder) {
	if t.Spec.Linux == nil {
		return
	}
	var names []string
	for name := range t.Spec.Linux.Sysctl {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		b.From("linux.sysctl[%s]", name)
		b.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), t.Spec.Linux.Sysctl[name], "a kernel parameter of the container's own namespaces")
	}
}

// protect compiles what must not be seen (maskedPaths), not be written (readonlyPaths), the read-only root and its propagation.
func (t *Tree) protect(b *program.Builder) {
	if t.Spec.Process != nil {
		t.workingDir(b)
	}
	if l := t.Spec.Linux; l != nil {
		for _, p := range l.ReadonlyPaths {
			b.From("linux.readonlyPaths")
			b.Call(unix.SYS_MOUNT, p, p, nil, unix.MS_BIND|unix.MS_REC, nil).Tolerate(unix.ENOENT).Why("make %s a mount of its own", p)
			attr := mountAttr(unix.MOUNT_ATTR_RDONLY, 0, 0)
			b.Call(unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, p, unix.AT_RECURSIVE, attr, len(attr)).Tolerate(unix.ENOENT).Why("so that it can be read only")
		}
		for _, p := range l.MaskedPaths {
			b.From("linux.maskedPaths")
			mask(b, p)
		}
	}
	if t.Spec.Root.Readonly {
		b.From("root.readonly")
		attr := mountAttr(unix.MOUNT_ATTR_RDONLY, 0, 0)
		b.Call(unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/", 0, attr, len(attr)).Why("nothing in the root can be written")
	}
	if l := t.Spec.Linux; l != nil && l.RootfsPropagation != "" {
		if p, ok := propagations[strings.TrimPrefix(l.RootfsPropagation, "r")]; ok {
			b.From("linux.rootfsPropagation")
			attr := mountAttr(0, 0, p)
			b.Call(unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/", recursive(strings.HasPrefix(l.RootfsPropagation, "r")), attr, len(attr)).Why("whether the container's mounts are passed on")
		}
	}
}

// directoriesToMask are those of the usual masked paths that are directories; the kernel's own files do not change kind.
var directoriesToMask = map[string]bool{
	"/proc/acpi": true, "/proc/asound": true, "/proc/scsi": true, "/sys/firmware": true, "/sys/devices/virtual/powercap": true,
}

// filesToMask are those that are files.
var filesToMask = map[string]bool{
	"/proc/interrupts": true, "/proc/kcore": true, "/proc/keys": true, "/proc/latency_stats": true,
	"/proc/sched_debug": true, "/proc/timer_list": true, "/proc/timer_stats": true,
}

// mask compiles the hiding of one path: a file under /dev/null, a directory under an empty tmpfs. Where the kind is not known both are
// tried: the kernel refuses the wrong one with ENOTDIR.
func mask(b *program.Builder, p string) {
	if !directoriesToMask[p] && !strings.HasSuffix(p, "/thermal_throttle") {
		b.Call(unix.SYS_MOUNT, "/dev/null", p, nil, unix.MS_BIND, nil).Tolerate(unix.ENOENT, unix.ENOTDIR).Why("hide %s: it tells or does things to the whole machine", p)
	}
	if !filesToMask[p] {
		b.Call(unix.SYS_MOUNT, "tmpfs", p, "tmpfs", unix.MS_RDONLY, "size=0k,nr_inodes=1").Tolerate(unix.ENOENT, unix.ENOTDIR).Why("hide %s under an empty directory", p)
	}
}
