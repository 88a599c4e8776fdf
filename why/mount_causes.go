package why

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// create makes a file system that is mounted nowhere, and lets go of it.
func create(kind string) error {
	fd, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("fsconfig", unix.FsconfigCreate(fd))
}

func typeRefused(p *probe) verdict {
	kind := p.object(0)
	switch {
	case !p.inUserNamespace():
		return no("%s is the first user namespace", p.proc("ns/user"))
	case kind == "" || strings.Contains(kind, "/"):
		return unknown("the process is in a user namespace; name the type: why EPERM mount ext4")
	}
	if !p.self() {
		return p.elsewhere()
	}
	err := create(kind)
	return when(strings.HasSuffix(text(err), unix.EPERM.Error()), "tried to make a %s here, without mounting it: %s", kind, text(err))
}

func text(err error) string {
	if err == nil {
		return "it may be made"
	}
	return err.Error()
}

func lockedOptions(p *probe) verdict {
	if !p.inUserNamespace() {
		return no("%s is the first user namespace: nothing is locked", p.proc("ns/user"))
	}
	target := p.object(0)
	if !strings.Contains(target, "/") {
		return unknown("name the target: why EPERM mount /mnt")
	}
	m, _, err := p.on(target)
	if err != nil {
		return unknown("%v", err)
	}
	for _, o := range []string{"ro", "nosuid", "nodev", "noexec"} {
		if slices.Contains(m.options, o) {
			return yes("%s: %s", p.proc("mountinfo"), m)
		}
	}
	return no("%s: %s", p.proc("mountinfo"), m)
}

func readOnlyDevice(p *probe) verdict {
	source := p.object(0)
	var s unix.Stat_t
	if source == "" || unix.Stat(source, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFBLK {
		return unknown("name the device: why EACCES mount /dev/loop0")
	}
	fd, err := unix.Open(source, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return unknown("%s: %v", source, err)
	}
	defer unix.Close(fd)
	ro, err := unix.IoctlGetInt(fd, unix.BLKROGET)
	if err != nil {
		return unknown("ioctl BLKROGET on %s: %v", source, err)
	}
	return when(ro != 0, "ioctl BLKROGET on %s: %d", source, ro)
}

func mountedAlready(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the target: why EBUSY mount /mnt")
	}
	m, isRoot, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	if !isRoot {
		return no("%s is no mount point: it lies on %s", p.object(0), m)
	}
	one := slices.Contains([]string{"sysfs", "cgroup2", "mqueue", "securityfs", "debugfs", "tracefs", "devtmpfs"}, m.kind) || strings.HasPrefix(m.source, "/dev/")
	return when(one, "%s: %s, from %s", p.proc("mountinfo"), m, m.source)
}

func writersOn(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the target: why EBUSY mount /mnt")
	}
	m, _, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	var writers []string
	for _, pid := range pids() {
		for _, d := range opened("/proc/" + itoa(pid)) {
			if at, known := d.mount(); known && at == m.id && d.writes() {
				writers = append(writers, named(pid))
				break
			}
		}
	}
	return when(len(writers) > 0, "open for writing on mount %d (%s): %s", m.id, m.point, orNobody(writers))
}

func orNobody(all []string) string {
	if len(all) == 0 {
		return "by nobody whose /proc/PID/fdinfo can be read"
	}
	return list(all)
}

func missingPath(p *probe) verdict {
	if len(p.objects) == 0 {
		return unknown("name the paths: why ENOENT mount SOURCE TARGET")
	}
	for _, o := range p.objects {
		if _, err := os.Stat(o); err != nil {
			return yes("%v", err)
		}
	}
	return no("%s: there", join(p.objects))
}

func differentKinds(p *probe) verdict {
	if len(p.objects) < 2 {
		return unknown("name both: why ENOTDIR mount SOURCE TARGET")
	}
	a, err := os.Stat(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	b, err := os.Stat(p.object(1))
	if err != nil {
		return unknown("%v", err)
	}
	kind := func(i os.FileInfo) string {
		if i.IsDir() {
			return "a directory"
		}
		return "no directory"
	}
	return when(a.IsDir() != b.IsDir(), "%s is %s, %s is %s", p.object(0), kind(a), p.object(1), kind(b))
}

func unknownType(p *probe) verdict {
	kind := p.object(0)
	if kind == "" {
		return unknown("name the type: why ENODEV mount TYPE")
	}
	table, err := read("/proc/filesystems")
	if err != nil {
		return unknown("%v", err)
	}
	for line := range strings.Lines(table) {
		if w := strings.Fields(line); len(w) > 0 && w[len(w)-1] == kind {
			return no("/proc/filesystems has %s", kind)
		}
	}
	return yes("/proc/filesystems has no %s", kind)
}

func noBlockDevice(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the source: why ENOTBLK mount SOURCE")
	}
	info, err := os.Stat(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	block := info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0
	return when(!block, "mode of %s: %s", p.object(0), info.Mode())
}

func manyMounts(p *probe) verdict {
	most, known := number("/proc/sys/fs/mount-max")
	n := uint64(len(p.mounts()))
	if !known {
		return unknown("/proc/sys/fs/mount-max cannot be read; %s has %d mounts", p.proc("mountinfo"), n)
	}
	return when(2*n > most, "%s has %d mounts; fs.mount-max is %d", p.proc("mountinfo"), n, most)
}

func notMountPoint(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the path")
	}
	m, isRoot, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	return when(!isRoot, "statx of %s: mount point %v; it lies on %s", p.object(0), isRoot, m)
}

func unbindable(p *probe) verdict {
	source := p.object(1)
	if source == "" {
		return unknown("name the source too: why EINVAL mount TARGET SOURCE")
	}
	m, _, err := p.on(source)
	if err != nil {
		return unknown("%v", err)
	}
	return when(slices.Contains(m.optional, "unbindable"), "%s: %s [%s]", p.proc("mountinfo"), m, strings.Join(m.optional, " "))
}

func lockedBelow(p *probe) verdict {
	if !p.inUserNamespace() {
		return no("%s is the first user namespace: nothing is locked", p.proc("ns/user"))
	}
	source := p.object(1)
	if source == "" {
		return unknown("name the source too: why EINVAL mount TARGET SOURCE")
	}
	m, _, err := p.on(source)
	if err != nil {
		return unknown("%v", err)
	}
	var under []string
	for _, point := range p.below(m.id) {
		if strings.HasPrefix(point+"/", strings.TrimSuffix(whole(source), "/")+"/") {
			under = append(under, point)
		}
	}
	if !p.self() || len(under) == 0 {
		return when(len(under) > 0, "mounts below %s: %d %s", source, len(under), list(under))
	}
	err = bindAlone(source)
	return when(errors.Is(err, unix.EINVAL), "mounts below %s: %d %s; a copy without them: %s", source, len(under), list(under), copied(err))
}

func sharedParent(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the path")
	}
	m, isRoot, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	if !isRoot {
		return no("%s is no mount point", p.object(0))
	}
	parent, found := byID(p.mounts(), m.parent)
	if !found {
		return no("%s has no parent that this process can see", m.point)
	}
	return when(parent.shared(), "its parent %s: [%s]", parent, strings.Join(parent.optional, " "))
}

func inUse(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the mount point: why EBUSY umount TARGET")
	}
	m, isRoot, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	if !isRoot {
		return no("%s is no mount point", p.object(0))
	}
	found := users(m.id)
	return when(len(found) > 0, "mount %d (%s): %s", m.id, m.point, orUnused(found))
}

func orUnused(all []string) string {
	if len(all) == 0 {
		return "used by nobody whose /proc/PID can be read"
	}
	return list(all)
}

func mountsBelow(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the mount point: why EBUSY umount TARGET")
	}
	m, isRoot, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	if !isRoot {
		return no("%s is no mount point", p.object(0))
	}
	under := p.below(m.id)
	return when(len(under) > 0, "mounts on it: %d %s", len(under), list(under))
}

func lockedMount(p *probe) verdict {
	if !p.inUserNamespace() {
		return no("%s is the first user namespace: nothing is locked", p.proc("ns/user"))
	}
	if p.object(0) == "" {
		return unknown("name the mount point")
	}
	m, isRoot, err := p.on(p.object(0))
	switch {
	case err != nil:
		return unknown("%v", err)
	case !isRoot:
		return no("%s is no mount point", p.object(0))
	case !p.self():
		return p.elsewhere()
	}
	err = bindAlone(filepath.Dir(m.point))
	return when(errors.Is(err, unix.EINVAL), "a copy of what is mounted at %s, without the mounts below it and %s among them: %s", filepath.Dir(m.point), m.point, copied(err))
}

func copied(err error) string {
	if err == nil {
		return "it may be made"
	}
	return err.Error()
}

// bindAlone tries a bind mount of a directory without what is mounted below it, attached nowhere: the kernel refuses it where a mount below is
// locked, since it would show what that covers (fs/namespace.c, has_locked_children).
func bindAlone(dir string) error {
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func readOnlyMount(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the path: why EROFS write PATH")
	}
	m, _, err := p.on(existing(p.object(0)))
	if err != nil {
		return unknown("%v", err)
	}
	return when(m.readOnly(), "%s: %s", p.proc("mountinfo"), m)
}

func readOnlySuper(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the path: why EROFS write PATH")
	}
	m, _, err := p.on(existing(p.object(0)))
	if err != nil {
		return unknown("%v", err)
	}
	return when(slices.Contains(m.super, "ro"), "%s: file system %s of %s has the options %s", p.proc("mountinfo"), m.kind, m.point, strings.Join(m.super, ","))
}
