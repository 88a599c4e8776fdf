package doctor

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"unsafe"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

const newerKernel = "use a newer kernel; in a container or sandbox: one whose seccomp filter lets this call through"

func kernelProbes() []probe {
	return []probe{
		{"kernel", "clone3", "every container's process is made by it, with a pidfd that names the process for good", "", tryClone3},
		{"kernel", "pidfd", "signals and waiting go by pidfds: a number could have become another process's", "", tryPidfd},
		{"kernel", "openat2", "paths in a container are resolved below its root, so that no link leads out", "", tryOpenat2},
		{"kernel", "close_range", "no descriptor of ours reaches a container's program", "", tryCloseRange},
		{"kernel", "mount-api", "mounts are made where nobody sees them, get their attributes, and are put in place last", "mount-namespace", tryMountAPI},
		{"kernel", "pivot_root", "the host's tree is let go of: with chroot alone a program climbs out", "by-hand", tryPivot},
		{"kernel", "proc", "a container sees its own processes in /proc", "by-hand", tryProc},
		{"kernel", "overlay", "a container writes over its image's layers, which stay as they are", "layers", tryOverlayMount},
		{"kernel", "overlay-writes", "deleted files become whiteouts, changed ones are copied up", "layers", tryOverlayWrites},
		{"kernel", "overlay-exec", "programs are executed from the container's own tree", "layers", tryOverlayExec},
		{"kernel", "overlay-userns", "--userns: layers are shown by id-mapped mounts, with no file changed or copied", "user-namespace", tryOverlayUser},
		{"kernel", "seccomp", "system calls that containers do not need are refused", "capabilities-seccomp", trySeccomp},
		{"kernel", "seccomp-notify", "run --trace, and profiles whose calls another program decides on", "capabilities-seccomp", trySeccompNotify},
	}
}

func tryClone3(*machine) finding {
	if err := child(0, nil, nil); err != nil {
		return fail(said(err), newerKernel)
	}
	return pass("made a process, signals reset, with a pidfd")
}

func tryPidfd(*machine) finding {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fail("pidfd_open: "+named(err), newerKernel)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, 0, nil, 0); err != nil {
		return fail("pidfd_send_signal: "+named(err), newerKernel)
	}
	copied, err := unix.PidfdGetfd(fd, fd, 0)
	if err != nil {
		return fail("pidfd_getfd: "+named(err), newerKernel)
	}
	unix.Close(copied)
	return pass("pidfd_open, pidfd_send_signal and pidfd_getfd work")
}

func tryOpenat2(*machine) finding {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/proc", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fail("openat2(RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS): "+named(err), newerKernel)
	}
	if err == nil {
		unix.Close(fd)
	}
	return pass("resolves below a root, without magic links")
}

func tryCloseRange(*machine) finding {
	err := child(0, nil, func(b *program.Builder) {
		b.Call(unix.SYS_CLOSE_RANGE, 3, ^uint32(0), unix.CLOSE_RANGE_CLOEXEC).Why("mark all descriptors")
	})
	if err != nil {
		return fail(said(err), newerKernel)
	}
	return pass("marks a range of descriptors at once")
}

// private takes a new mount namespace out of its parent's peer groups.
func private(b *program.Builder) {
	b.Call(unix.SYS_MOUNT, nil, "/", nil, unix.MS_REC|unix.MS_PRIVATE, nil).Why("what is mounted here stays here")
}

// memory mounts a tmpfs by the newer calls, on dir.
func memory(b *program.Builder, dir string) {
	context := b.Call(unix.SYS_FSOPEN, "tmpfs", unix.FSOPEN_CLOEXEC).Why("a file system to be").Keep()
	b.Call(unix.SYS_FSCONFIG, context, unix.FSCONFIG_SET_STRING, "mode", "755", 0).Why("an option")
	b.Call(unix.SYS_FSCONFIG, context, unix.FSCONFIG_CMD_CREATE, nil, nil, 0).Why("make it")
	mount := b.Call(unix.SYS_FSMOUNT, context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID).Why("a mount of it that nobody sees").Keep()
	attr := make([]byte, unsafe.Sizeof(unix.MountAttr{}))
	binary.NativeEndian.PutUint64(attr, unix.MOUNT_ATTR_NODEV)
	b.Call(unix.SYS_MOUNT_SETATTR, mount, "", unix.AT_EMPTY_PATH, attr, len(attr)).Why("an attribute")
	b.Call(unix.SYS_MOVE_MOUNT, mount, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH).Why("put it in its place")
	tree := b.Call(unix.SYS_OPEN_TREE, unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).Why("take a copy, as a bind mount does").Keep()
	b.Close(tree)
	b.Close(mount)
	b.Close(context)
}

const asRoot = "run glassbox as root (sudo); inside another container: give that one --privileged, or --cap-add for what is missing"

func tryMountAPI(m *machine) finding {
	dir, err := m.beside(m.root.Run)
	if err != nil {
		return fail(named(err), asRoot)
	}
	err = child(unix.CLONE_NEWNS, nil, func(b *program.Builder) { private(b); memory(b, dir) })
	if err != nil {
		return fail(said(err), denied(err))
	}
	return pass("fsopen, fsconfig, fsmount, mount_setattr, move_mount, open_tree work")
}

func tryPivot(m *machine) finding {
	dir, err := m.beside(m.root.Run)
	if err != nil {
		return fail(named(err), asRoot)
	}
	err = child(unix.CLONE_NEWNS, nil, func(b *program.Builder) {
		private(b)
		memory(b, dir)
		b.Call(unix.SYS_CHDIR, dir).Why("stand in the root to be")
		b.Call(unix.SYS_PIVOT_ROOT, ".", ".").Why("make it the root, the host's on top of it")
		b.Call(unix.SYS_UMOUNT2, ".", unix.MNT_DETACH).Why("let go of the host's tree")
	})
	switch {
	case err == nil:
		return pass("changed the root of a mount namespace, and let go of the host's")
	case errors.Is(err, unix.EINVAL):
		return fail(said(err), "move to a root that is a mount first (switch_root); or run --no-pivot with glassrun").
			because("pivot_root(2) refuses an initramfs as the root: the first mount of all cannot be moved")
	}
	return fail(said(err), denied(err))
}

func tryProc(m *machine) finding {
	dir, err := m.beside(m.root.Run)
	if err != nil {
		return fail(named(err), asRoot)
	}
	at, err := folders(dir, "proc")
	if err != nil {
		return fail(named(err), asRoot)
	}
	mount := func(b *program.Builder) {
		private(b)
		b.Call(unix.SYS_MOUNT, "proc", at[0], "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, nil).Why("show the processes of this namespace")
	}
	if err := child(unix.CLONE_NEWPID|unix.CLONE_NEWNS, nil, mount); err != nil {
		return fail(said(err), denied(err))
	}
	err = child(unix.CLONE_NEWUSER|unix.CLONE_NEWPID|unix.CLONE_NEWNS, nil, mount)
	switch masks := masks(); {
	case err == nil:
		return pass("mounted, also in a user namespace")
	case errors.Is(err, unix.EPERM) && len(masks) > 0:
		return warn("not in a user namespace: "+said(err)+"; over our /proc lie "+strings.Join(masks, " "), "run the container around this one with --security-opt systempaths=unconfined").
			because("a user namespace may mount proc only where it sees all of one already: what is mounted over parts of /proc would come to light (mount_too_revealing)")
	}
	return warn("not in a user namespace: "+said(err), "see the checks of the area namespaces")
}

// masks are the mounts that hide parts of our /proc.
func masks() []string {
	var all []string
	for line := range strings.Lines(text("/proc/self/mountinfo")) {
		if w := strings.Fields(line); len(w) > 4 && strings.HasPrefix(w[4], "/proc/") && w[4] != "/proc/sys/fs/binfmt_misc" {
			all = append(all, w[4])
		}
	}
	return all
}

// denied is the cure for a refusal, by its errno.
func denied(err error) string {
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		return newerKernel
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
		return "raise the limit: sysctl -w user.max_mnt_namespaces=10000 (see: glassbox doctor namespaces)"
	}
	return asRoot
}
