package why

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const capSysAdmin = unix.CAP_SYS_ADMIN

// nowhere is a path that leads to nothing: with it a call fails before it changes anything.
const nowhere = "/proc/self/nowhere"

var mountErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"mount", "fsopen", "fsconfig", "fsmount", "move_mount", "open_tree", "mount_setattr"}, Objects: "[TYPE|TARGET]", Manual: "mount(2), mount_namespaces(7)",
		Causes: []Cause{
			noAdmin, foreignMounts,
			{
				Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp",
				test: func(p *probe) verdict {
					return p.filtered(unix.EPERM, func() error { return unix.Mount("none", nowhere, "tmpfs", 0, "") })
				},
			},
			{
				Name: "file system not for user namespaces", Why: "in a user namespace only file systems that are marked for it may be mounted (FS_USERNS_MOUNT: proc, sysfs, tmpfs, devpts, mqueue, cgroup2, overlay, fuse ...), not ext4 and others that trust their device",
				Check: "readlink /proc/self/ns/user; lsns -t user", Fix: "mount it on the host and bind it (-v), or use a FUSE driver (fuse2fs)", Learn: "user-namespace", test: typeRefused,
			},
			{
				Name: "locked options", Why: "mounts that came from a more privileged mount namespace keep ro, nosuid, nodev, noexec and atime: a remount or bind that would clear one is refused (mount_namespaces(7))",
				Check: "findmnt -o TARGET,OPTIONS TARGET", Fix: "repeat the options in the remount: mount -o remount,bind,ro,nosuid,nodev ...", Learn: "mount-namespace", test: lockedOptions,
			},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"proc", "sysfs", "mount_too_revealing"}, Objects: "[PID]", Manual: "user_namespaces(7), proc(5)",
		Causes: []Cause{
			{
				Name: "too revealing", Why: "a new proc or sysfs in a user namespace must not show more than one that is mounted already: where files of every visible one are covered by mounts, as containers' masks do, the kernel refuses (mount_too_revealing)",
				Check: "findmnt -R /proc", Fix: "bind the /proc that is there (mount --rbind /proc DIR): it shows the processes of the outer namespace; or start the outer container with --security-opt systempaths=unconfined",
				Learn: "user-namespace", test: tooRevealing,
			},
			{
				Name: "pid namespace of another user namespace", Why: "proc shows a PID namespace, so mounting it wants CAP_SYS_ADMIN in the user namespace that owns that; sysfs asks the same of the network namespace",
				Check: "readlink /proc/self/ns/user /proc/self/ns/pid", Fix: "make them together: unshare --user --map-root-user --mount --pid --fork --mount-proc",
				Learn: "pid-namespace", test: func(p *probe) verdict { return p.process().foreign("pid") },
			},
			noAdmin, foreignMounts,
		},
		tried: func(p *probe) []string { return p.tryCreate("proc") },
	},
	{
		Errno: unix.EACCES, Calls: []string{"mount", "move_mount"}, Objects: "[SOURCE]", Manual: "mount(2)",
		Causes: []Cause{
			{
				Name: "read-only block device", Why: "a device that can only be read is mounted with -o ro, or not at all",
				Check: "cat /sys/class/block/NAME/ro", Fix: "mount -o ro ...", Learn: "mount-namespace", test: readOnlyDevice,
			},
			module,
			{
				Name: "no way through", Why: "every directory of both paths must be searchable (x) by the caller",
				Check: "namei -l PATH", Fix: "chmod +x the directory, or another place", Learn: "volumes", test: func(p *probe) verdict { return p.blockedPath(p.object(0)) },
			},
		},
	},
	{
		Errno: unix.EBUSY, Calls: []string{"mount", "remount"}, Objects: "[TARGET]", Manual: "mount(2)",
		Causes: []Cause{
			{
				Name: "the same again", Why: "a file system is not mounted a second time onto the very mount point where it is already: sysfs, cgroup2, mqueue and a block device are each one file system, however often one asks (proc is a new one each time, since Linux 5.8)",
				Check: "findmnt TARGET", Fix: "it is there already; or mount it at another place", Learn: "mount-namespace", test: mountedAlready,
			},
			{
				Name: "files open for writing", Why: "a remount to ro waits for nobody: it is refused as long as a file of the file system is open for writing",
				Check: "fuser -vm TARGET", Fix: "end who writes, or make this mount alone read-only: mount -o remount,bind,ro TARGET", Learn: "mount-namespace", test: writersOn,
			},
		},
	},
	{
		Errno: unix.ENOENT, Calls: []string{"mount", "move_mount"}, Objects: "[SOURCE] TARGET", Manual: "mount(2)",
		Causes: []Cause{{
			Name: "path that is not there", Why: "mount(2) makes neither its target nor the source of a bind mount; looked up as this process's root shows them",
			Check: "ls -ld SOURCE TARGET", Fix: "mkdir -p TARGET (or touch it, for a file)", Learn: "volumes", test: missingPath,
		}},
	},
	{
		Errno: unix.ENOTDIR, Calls: []string{"mount", "move_mount"}, Objects: "SOURCE TARGET", Manual: "mount(2)",
		Causes: []Cause{{
			Name: "a directory and a file", Why: "a directory is bound onto a directory and a file onto a file, nothing else; -v makes a source that is missing, as a directory",
			Check: "ls -ld SOURCE TARGET", Fix: "make the source what the target is; remove the directory that an earlier -v has made", Learn: "volumes", test: differentKinds,
		}},
	},
	{
		Errno: unix.ENODEV, Calls: []string{"mount", "fsopen"}, Objects: "TYPE", Manual: "filesystems(5)",
		Causes: []Cause{{
			Name: "unknown file system", Why: "the kernel has no file system of that name, and found no module for it; a container cannot load one",
			Check: "cat /proc/filesystems; modprobe TYPE", Fix: "modprobe TYPE on the host, or another kernel", Learn: "mount-namespace", test: unknownType,
		}},
	},
	{
		Errno: unix.ENOTBLK, Calls: []string{"mount"}, Objects: "SOURCE", Manual: "mount(2)",
		Causes: []Cause{{
			Name: "no block device", Why: "that type of file system lies on a block device, and the source is none",
			Check: "stat -c %F SOURCE", Fix: "name the device, or -o loop for an image file; -t tmpfs needs none", Learn: "mount-namespace", test: noBlockDevice,
		}},
	},
	{
		Errno: unix.ENOSPC, Calls: []string{"mount", "move_mount"}, Manual: "mount_namespaces(7)",
		Causes: []Cause{{
			Name: "too many mounts", Why: "a mount namespace holds at most fs.mount-max mounts; recursive binds below themselves double them each time",
			Check: "wc -l < /proc/self/mountinfo; sysctl fs.mount-max", Fix: "umount what is stacked (mount with --make-rprivate first), or raise fs.mount-max", Learn: "mount-namespace", test: manyMounts,
		}},
	},
	{
		Errno: unix.EINVAL, Calls: []string{"mount", "remount", "move_mount", "propagation"}, Objects: "[TARGET [SOURCE]]", Manual: "mount(2)",
		Causes: []Cause{
			{
				Name: "no mount point", Why: "remount, --make-private and their like, and --move are for mount points; a directory inside a mount is none",
				Check: "findmnt TARGET", Fix: "make it one: mount --bind DIR DIR", Learn: "mount-namespace", test: notMountPoint,
			},
			{
				Name: "unbindable source", Why: "a mount that was made unbindable is not bound elsewhere", Check: "findmnt -o TARGET,PROPAGATION SOURCE",
				Fix: "mount --make-private SOURCE", Learn: "mount-namespace", test: unbindable,
			},
			{
				Name: "locked mounts below", Why: "in a user namespace's mount namespace a bind without --rbind would uncover what others have covered: mounts from a more privileged namespace stay together",
				Check: "findmnt -R SOURCE", Fix: "mount --rbind", Learn: "user-namespace", test: lockedBelow,
			},
			{
				Name: "shared parent", Why: "--move refuses a mount whose parent is shared, and an unbindable one into a shared place", Check: "findmnt -o TARGET,PROPAGATION -T TARGET",
				Fix: "mount --make-private on the parent, in a mount namespace of one's own", Learn: "mount-namespace", test: sharedParent,
			},
			{
				Name: "unknown option", Why: "the file system does not know an option, or not its value; which one, its log in the kernel says", Check: "dmesg | tail; strace -e trace=fsconfig mount ...",
				Fix: "leave options out one by one", Learn: "mount-namespace",
			},
		},
	},
	{
		Errno: unix.EBUSY, Calls: []string{"umount", "umount2"}, Objects: "TARGET", Manual: "umount(2)",
		Causes: []Cause{
			{
				Name: "in use", Why: "a mount stays while a process of this mount namespace has a file of it open, stands in it, or runs a program from it",
				Check: "fuser -vm TARGET", Fix: "end them, or let them go on with what nobody else sees any more: umount -l TARGET", Learn: "mount-namespace", test: inUse,
			},
			{
				Name: "mounts below", Why: "a mount on which others are mounted is unmounted after them", Check: "findmnt -R TARGET", Fix: "umount -R TARGET", Learn: "mount-namespace", test: mountsBelow,
			},
		},
	},
	{
		Errno: unix.EINVAL, Calls: []string{"umount", "umount2"}, Objects: "TARGET", Manual: "umount(2)",
		Causes: []Cause{
			{
				Name: "no mount point", Why: "nothing is mounted there in this mount namespace; in another one it may be", Check: "findmnt TARGET; grep TARGET /proc/*/mountinfo",
				Fix: "unmount it where it is mounted: nsenter -t PID -m umount TARGET", Learn: "mount-namespace", test: notMountPoint,
			},
			{
				Name: "locked mount", Why: "a mount that came from a more privileged mount namespace cannot be taken away alone: it may cover what is not to be seen", Check: "readlink /proc/self/ns/mnt; lsns -t user",
				Fix: "unmount the tree that was made here, or do it outside", Learn: "user-namespace", test: lockedMount,
			},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"umount", "umount2"}, Manual: "umount(2)",
		Causes: []Cause{noAdmin, foreignMounts, {
			Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp",
			test: func(p *probe) verdict {
				return p.filtered(unix.EPERM, func() error { return unix.Unmount(nowhere, 0) })
			},
		}},
	},
	{
		Errno: unix.EROFS, Calls: []string{"write", "open", "mkdir", "read-only"}, Objects: "PATH", Manual: "mount(8)",
		Causes: []Cause{
			{
				Name: "read-only mount", Why: "the mount has the option ro, whatever the file's mode says and whoever asks: --read-only, -v ...:ro, or a path of /proc and /sys that containers get read-only",
				Check: "findmnt -T PATH", Fix: "write to a volume or a tmpfs (--tmpfs /tmp), or leave out --read-only", Learn: "volumes", test: readOnlyMount,
			},
			{
				Name: "read-only file system", Why: "the file system itself is read-only: it was mounted so, or the kernel made it so after an error of the disk", Check: "findmnt -T PATH -o TARGET,OPTIONS,FS-OPTIONS; dmesg | grep -i remount",
				Fix: "look at the disk; then mount -o remount,rw", Learn: "volumes", test: readOnlySuper,
			},
		},
	},
}

// tryCreate makes a file system that is mounted nowhere, and lets go of it.
func (p *probe) tryCreate(kind string) []string {
	if !p.process().self() {
		return nil
	}
	err := create(kind)
	if err == nil {
		return []string{"fsopen and fsconfig(FSCONFIG_CMD_CREATE) of " + kind + ", as this process: it may"}
	}
	return []string{"fsopen and fsconfig(FSCONFIG_CMD_CREATE) of " + kind + ", as this process: " + err.Error()}
}

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

// tooRevealing follows fs/namespace.c, mnt_already_visible: some mount of the same type must be whole, but for locked mounts on directories that
// are always empty.
func tooRevealing(p *probe) verdict {
	if !p.inUserNamespace() {
		return no("%s is the first user namespace, where the rule does not apply", p.proc("ns/user"))
	}
	all, covered := p.mounts(), []string(nil)
	for _, m := range all {
		if m.kind != "proc" || m.root != "/" {
			continue
		}
		over := maskedBy(all, m)
		if len(over) == 0 {
			return no("%s: %s is whole", p.proc("mountinfo"), m.point)
		}
		covered = append(covered, m.point+" is covered at "+list(over))
	}
	if covered == nil {
		return yes("%s: no proc is mounted that could be seen whole", p.proc("mountinfo"))
	}
	return verdict{Yes, covered}
}

func maskedBy(all []mounted, proc mounted) (points []string) {
	empty := []string{"/sys/fs/binfmt_misc", "/fs/nfsd"}
	for _, m := range all {
		if m.parent == proc.id && !slices.Contains(empty, strings.TrimPrefix(m.point, strings.TrimSuffix(proc.point, "/"))) {
			points = append(points, m.point)
		}
	}
	return points
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
	return when(len(under) > 0, "mounts below %s: %d %s", source, len(under), list(under))
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
	_, isRoot, err := p.on(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	if !isRoot {
		return no("%s is no mount point", p.object(0))
	}
	return unknown("%s is mounted here; whether it came along when the namespace was made, the kernel does not tell", p.object(0))
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
