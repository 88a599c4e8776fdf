package rootfs

import (
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// mountRoot compiles the mounting of the root file system. The child stands in it from then on.
func (t *Tree) mountRoot(b *program.Builder) {
	b.From("root.path")
	switch {
	case t.Layers == nil:
		dir := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, t.rootPlace(), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0).Why("hold the directory that will be the root: itself, not what a link leads to").Keep()
		tree := b.Call(unix.SYS_OPEN_TREE, dir, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE).Why("make it a mount, which pivot_root asks for").Keep()
		if t.Foreign {
			setAttr(b, tree, unix.AT_RECURSIVE, attributes{}, unix.MS_SLAVE, "what is mounted in it stays invisible to others, who have its mounts too")
		} else {
			move(b, tree, dir, "put the mount where the directory is")
		}
		b.Call(unix.SYS_FCHDIR, tree).Why("stand in what will be the root")
		if !t.Foreign { // the close of a mount that is attached nowhere takes it apart for all who want to mount in it: that waits for the end
			b.Close(tree)
		}
		b.Close(dir)
	case t.Shift: // the host has mounted it, and we stand in it already
	default:
		t.Layers.mount(b)
		b.Call(unix.SYS_CHDIR, t.Layers.Mount).Why("stand in what will be the root")
	}
}

// becomeRoot compiles the change of the root to where the child stands, and lets go of the host's tree.
func (t *Tree) becomeRoot(b *program.Builder) {
	b.From("root.path")
	switch {
	case t.bare():
		b.Call(unix.SYS_CHROOT, ".").Why("make it the root of this process: an experiment, the host's tree stays mounted around it")
	case t.Foreign:
		b.Call(unix.SYS_CHROOT, ".").Why("make it the root of this process: that of the mount namespace is others' too")
	case t.NoPivot:
		t.chroot(b)
	default:
		host := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0).Why("hold the host's root, to let go of it").Keep()
		b.Call(unix.SYS_PIVOT_ROOT, ".", ".").Why("make it the root; the host's tree is now stacked on it, and can be let go of")
		b.Call(unix.SYS_FCHDIR, host).Why("stand in the host's root")
		b.Call(unix.SYS_UMOUNT2, ".", unix.MNT_DETACH).Why("let go of the host's whole tree: no path leads to it any more")
		b.Close(host)
	}
	b.Call(unix.SYS_CHDIR, "/").Why("stand in the container's root")
	t.pivoted = true
}

// chroot compiles what takes pivot_root's place in an initramfs, whose root cannot be moved away: the new root covers it. The host's tree
// stays below, so its proc and sysfs go first: otherwise a user namespace that the container makes could mount them anew, unmasked.
func (t *Tree) chroot(b *program.Builder) {
	for _, p := range t.Kernels {
		if t.UserNS { // which may not unmount what it has inherited
			b.Call(unix.SYS_MOUNT, "tmpfs", p, "tmpfs", unix.MS_RDONLY, "nr_inodes=1").Tolerate(unix.ENOENT).Why("cover the host's %s, which would stay below the root", p)
			continue
		}
		b.Call(unix.SYS_UMOUNT2, p, unix.MNT_DETACH).Tolerate(unix.ENOENT, unix.EINVAL).Why("let go of the host's %s, which would stay below the root", p)
	}
	b.Call(unix.SYS_MOUNT, ".", "/", nil, unix.MS_MOVE, nil).Why("cover the host's tree with the container's: --no-pivot")
	b.Call(unix.SYS_CHROOT, ".").Why("make it the root")
}

// bare: chroot alone takes the place of pivot_root, which refuses where mounts are shared, and in the host's own mount namespace would change
// the host's root. Only experiments are so.
func (t *Tree) bare() bool { return t.Without == "pivot_root" || t.passes() }

// passes: what is mounted appears on the host.
func (t *Tree) passes() bool { return t.Without == "propagation" || t.Without == "mount" }

// finish compiles what the whole root is: read-only, and whether its mounts are passed on.
func (t *Tree) finish(b *program.Builder) {
	if t.Spec.Root.Readonly {
		b.From("root.readonly")
		attr := mountAttr(readOnly, 0)
		b.Call(unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/", 0, attr, len(attr)).Why("nothing in the root can be written")
	}
	if l := t.Spec.Linux; l != nil && l.RootfsPropagation != "" {
		kind, all := strings.CutPrefix(l.RootfsPropagation, "r")
		b.From("linux.rootfsPropagation")
		attr := mountAttr(attributes{}, propagations[kind])
		b.Call(unix.SYS_MOUNT_SETATTR, unix.AT_FDCWD, "/", recursive(all), attr, len(attr)).Why("whether the container's mounts are passed on")
	}
}
