package why

import "golang.org/x/sys/unix"

const capSysAdmin = unix.CAP_SYS_ADMIN

// nowhere is a path that leads to nothing: with it a call fails before it changes anything.
const nowhere = "/proc/self/nowhere"

var mountErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"mount", "fsopen", "fsconfig", "move_mount", "open_tree", "mount_setattr"}, Objects: "[TYPE|TARGET]", Manual: "mount(2), mount_namespaces(7)",
		Causes: []Cause{
			noAdmin, foreignMounts, noCapability,
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
		Errno: unix.EACCES, Calls: []string{"mount", "move_mount"}, Objects: "[SOURCE]", Manual: "mount(2)",
		Causes: []Cause{
			{
				Name: "read-only block device", Why: "a device that can only be read is mounted with -o ro, or not at all",
				Check: "cat /sys/class/block/NAME/ro", Fix: "mount -o ro ...", Learn: "mount-namespace", test: readOnlyDevice,
			},
			mountModule,
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
