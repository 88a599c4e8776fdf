package rootfs

import (
	"path"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// mask is one of linux.maskedPaths. Which kind of file it is we know of the kernel's own, which do not change it. Of others both covers
// are tried: the kernel refuses the wrong one with ENOTDIR.
type mask struct {
	path      string
	file, dir any // what covers it: /dev/null, an empty directory; nil: it is not of this kind
}

// directoriesToMask are those of the usual masked paths that are directories.
var directoriesToMask = map[string]bool{
	"/proc/acpi": true, "/proc/asound": true, "/proc/scsi": true, "/sys/firmware": true, "/sys/devices/virtual/powercap": true,
}

// filesToMask are those that are files.
var filesToMask = map[string]bool{
	"/proc/interrupts": true, "/proc/kcore": true, "/proc/keys": true, "/proc/latency_stats": true,
	"/proc/sched_debug": true, "/proc/timer_list": true, "/proc/timer_stats": true,
}

// covers compiles the taking of what masks will be made of, while the host can be seen: its /dev/null, since what an image has there may
// be anything (CVE-2025-31133), and an empty file system. A detached mount can be used once, so there is one for each.
func (t *Tree) covers(b *program.Builder) []mask {
	if t.Spec.Linux == nil || t.Still {
		return nil
	}
	b.From("linux.maskedPaths")
	var masks []mask
	seen, dirs := map[string]bool{}, 0
	for _, p := range t.Spec.Linux.MaskedPaths {
		p = path.Clean("/" + p)
		if seen[p] {
			continue
		}
		seen[p] = true
		m := mask{path: p}
		if !directoriesToMask[p] && !strings.HasSuffix(p, "/thermal_throttle") {
			m.file = b.Call(unix.SYS_OPEN_TREE, unix.AT_FDCWD, "/dev/null", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).Why("the host's /dev/null, to hide %s under", p).Keep()
		}
		if !filesToMask[p] {
			m.dir = dirs // filled in below
			dirs++
		}
		masks = append(masks, m)
	}
	empty := t.empties(b, dirs)
	for i := range masks {
		if n, ok := masks[i].dir.(int); ok {
			masks[i].dir = empty[n]
		}
	}
	return masks
}

// empties compiles n mounts of an empty, read-only file system. One is made and shown n times, which takes a third of the time; it must be
// mounted to be taken from, and the place for that is one that only the host's root may reach.
func (t *Tree) empties(b *program.Builder, n int) []program.Slot {
	var list []program.Slot
	if t.UserNS || n < 2 || t.Spec.Linux.MountLabel != "" {
		for range n {
			fs := b.Call(unix.SYS_FSOPEN, "tmpfs", unix.FSOPEN_CLOEXEC).Why("an empty directory to hide others under").Keep()
			set(b, fs, "nr_inodes", "1", "it holds nothing but itself")
			t.label(b, fs, "tmpfs")
			b.From("linux.maskedPaths")
			list = append(list, made(b, fs, unix.MOUNT_ATTR_RDONLY))
		}
		return list
	}
	at := t.rootPlace()
	b.Call(unix.SYS_MOUNT, "tmpfs", at, "tmpfs", unix.MS_RDONLY, "nr_inodes=1").Why("an empty directory to hide others under: it holds nothing but itself")
	for range n {
		list = append(list, b.Call(unix.SYS_OPEN_TREE, unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).Why("take hold of it").Keep())
	}
	b.Call(unix.SYS_UMOUNT2, at, unix.MNT_DETACH).Why("and let go of the place")
	return list
}

// hide compiles the covering of masked paths.
func (t *Tree) hide(b *program.Builder, masks []mask) {
	b.From("linux.maskedPaths")
	for _, m := range masks {
		base, rel, kernel := t.inKernel(m.path)
		if !kernel {
			base = t.open(b, m.path, unix.O_PATH, 0).Tolerate(unix.ENOENT, unix.ENOTDIR).Why("hold what is to be hidden, if it is there").Keep()
		}
		for _, cover := range []struct {
			tree any
			why  string
		}{{m.file, "hide " + m.path + ": it tells or does things to the whole machine"}, {m.dir, "hide " + m.path + " under an empty directory"}} {
			if tree, ok := cover.tree.(program.Slot); ok {
				put(b, tree, base, rel).Tolerate(unix.ENOENT, unix.ENOTDIR, unix.EBADF).Why("%s", cover.why)
				b.Close(tree)
			}
		}
		if !kernel {
			b.Close(base.(program.Slot)).Tolerate(unix.EBADF)
		}
	}
}

// put moves a detached mount to a name below a descriptor, or onto the descriptor itself. A link is not followed.
func put(b *program.Builder, tree program.Slot, base any, rel string) program.Added {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH
	if rel == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	return b.Call(unix.SYS_MOVE_MOUNT, tree, "", base, rel, flags)
}

// inKernel finds a path that is in one of the kernel's file systems made by this program: below its descriptor there is nothing but the
// kernel's, unless config.json mounts something there.
func (t *Tree) inKernel(p string) (base any, rel string, ok bool) {
	for at, tree := range t.kernel {
		rel, below := strings.CutPrefix(p, at+"/")
		if !below {
			continue
		}
		for _, m := range t.Spec.Mounts {
			if d := destination(m); strings.HasPrefix(d, at+"/") && strings.HasPrefix(p+"/", d+"/") {
				return nil, "", false
			}
		}
		return tree, rel, true
	}
	return nil, "", false
}

// protect compiles linux.readonlyPaths: each becomes a mount of its own, which can be read only.
func (t *Tree) protect(b *program.Builder, p string) {
	p = path.Clean("/" + p)
	b.From("linux.readonlyPaths")
	why := "make " + p + " a mount of its own"
	const clone = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE
	base, rel, kernel := t.inKernel(p)
	var tree program.Slot
	if kernel {
		tree = b.Call(unix.SYS_OPEN_TREE, base, rel, clone|unix.AT_SYMLINK_NOFOLLOW).Tolerate(unix.ENOENT).Why("%s", why).Keep()
	} else {
		base = t.open(b, p, unix.O_PATH, 0).Tolerate(unix.ENOENT, unix.ENOTDIR).Why("hold what is to be read only, if it is there").Keep()
		tree = b.Call(unix.SYS_OPEN_TREE, base, "", clone|unix.AT_EMPTY_PATH).Tolerate(unix.EBADF).Why("%s", why).Keep()
	}
	setAttr(b, tree, unix.AT_RECURSIVE, readOnly, 0, "so that it can be read only").Tolerate(unix.EBADF)
	put(b, tree, base, rel).Tolerate(unix.EBADF).Why("put it in its place")
	b.Close(tree).Tolerate(unix.EBADF)
	if !kernel {
		b.Close(base.(program.Slot)).Tolerate(unix.EBADF)
	}
}
