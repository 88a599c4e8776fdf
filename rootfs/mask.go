package rootfs

import (
	"path"
	"slices"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// mask is one of linux.maskedPaths.
type mask struct {
	path string
	sure bool // it is the kernel's, which the host has too: kind is what it is, 0 that it is not there
	kind uint32
	null program.Slot // where it may be a file: the host's /dev/null, detached
}

// may says whether the path can be a file of this kind.
func (m mask) may(kind uint32) bool { return !m.sure || m.kind == kind }

// masks compiles the taking of what files will be hidden under, while the host can be seen: its /dev/null, since what an image has there
// may be anything (CVE-2025-31133). One is enough where it is certain to be mounted: from there it can be shown once more. A mount
// that was taken and not used would cost more than all others: letting go of it, the kernel waits for all processors.
func (t *Tree) masks(b *program.Builder) []mask {
	if t.Spec.Linux == nil || t.Still {
		return nil
	}
	b.From("linux.maskedPaths")
	var list []mask
	seen, taken := map[string]bool{}, false
	for _, p := range t.Spec.Linux.MaskedPaths {
		if p = path.Clean("/" + p); seen[p] {
			continue
		}
		seen[p] = true
		m := mask{path: p}
		_, _, m.sure = t.inKernel(p)
		if kind := t.Kinds[p] & unix.S_IFMT; kind == unix.S_IFDIR {
			m.kind = kind
		} else if kind != 0 {
			m.kind = unix.S_IFREG
		}
		list = append(list, m)
	}
	slices.SortStableFunc(list, func(a, b mask) int { return certainty(b) - certainty(a) })
	for i := range list {
		if m := &list[i]; m.may(unix.S_IFREG) && !taken {
			m.null = b.Call(unix.SYS_OPEN_TREE, unix.AT_FDCWD, "/dev/null", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC).Why("the host's /dev/null, to hide %s under", m.path).Keep()
			taken = m.sure
		}
	}
	return list
}

func certainty(m mask) int {
	if m.sure {
		return 1
	}
	return 0
}

// hide compiles the covering of masked paths: files under /dev/null, directories under an empty one. Where the kind is not known both are
// tried: the kernel refuses a file on a directory with EINVAL.
func (t *Tree) hide(b *program.Builder, masks []mask) {
	b.From("linux.maskedPaths")
	var null, empty program.Slot // mounted for certain: to be shown once more
	for _, m := range masks {
		at, rel, _ := t.inKernel(m.path)
		base, dir := t.kernel[at], t.kernel[at]
		if m.sure && m.kind == 0 {
			b.Call(unix.SYS_READLINKAT, base, rel, program.Out(1), 1).Tolerate(unix.ENOENT, unix.ENOTDIR).Why("this kernel has no %s to hide: were it there by now, this would fail and end the start", m.path)
			continue
		}
		if !m.sure {
			base = t.open(b, m.path, unix.O_PATH, 0).Tolerate(unix.ENOENT, unix.ENOTDIR).Why("hold what is to be hidden, if it is there").Keep()
			dir = t.open(b, m.path, unix.O_PATH|unix.O_DIRECTORY, 0).Tolerate(unix.ENOENT, unix.ENOTDIR).Why("and once more if it is a directory").Keep()
			rel = ""
		}
		if m.may(unix.S_IFDIR) {
			cover(b, &empty, m, dir, rel, "hide "+m.path+" under an empty directory", func() program.Slot { return t.empty(b) })
		}
		if m.may(unix.S_IFREG) {
			cover(b, &null, m, base, rel, "hide "+m.path+": it tells or does things to the whole machine", func() program.Slot { return m.null })
		}
		if !m.sure {
			b.Close(dir.(program.Slot)).Tolerate(unix.EBADF)
			b.Close(base.(program.Slot)).Tolerate(unix.EBADF)
		}
	}
	for _, s := range []program.Slot{null, empty} {
		if s != 0 {
			b.Close(s)
		}
	}
}

// cover compiles one: with what was mounted for certain before, or with a new one.
func cover(b *program.Builder, mounted *program.Slot, m mask, base any, rel, why string, first func() program.Slot) {
	var tree program.Slot
	if *mounted == 0 {
		tree = first()
	} else {
		tree = b.Call(unix.SYS_OPEN_TREE, *mounted, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH).Why("the same once more").Keep()
	}
	if m.sure {
		put(b, tree, base, rel).Why("%s", why)
	} else {
		put(b, tree, base, rel).Tolerate(unix.EINVAL, unix.EBADF).Why("%s", why)
	}
	if m.sure && *mounted == 0 {
		*mounted = tree
	} else {
		b.Close(tree)
	}
}

// empty compiles an empty, read-only directory.
func (t *Tree) empty(b *program.Builder) program.Slot {
	fs := b.Call(unix.SYS_FSOPEN, "tmpfs", unix.FSOPEN_CLOEXEC).Why("an empty directory to hide others under").Keep()
	set(b, fs, "nr_inodes", "1", "it holds nothing but itself")
	t.label(b, fs, "tmpfs")
	b.From("linux.maskedPaths")
	return made(b, fs, unix.MOUNT_ATTR_RDONLY)
}

// put moves a detached mount to a name below a descriptor, or onto the descriptor itself. A link is not followed.
func put(b *program.Builder, tree program.Slot, base any, rel string) program.Added {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH
	if rel == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	return b.Call(unix.SYS_MOVE_MOUNT, tree, "", base, rel, flags)
}

// inKernel finds a path that is in one of the kernel's file systems made by this program, by where that is and the path below. There is
// nothing but the kernel's, unless config.json mounts something there.
func (t *Tree) inKernel(p string) (at, rel string, ok bool) {
	for _, m := range t.Spec.Mounts {
		switch d := destination(m); {
		case parse(m.Options).remount || !strings.HasPrefix(p+"/", d+"/"):
		case t.keep(m) && p != d:
			at, rel, ok = d, p[len(d)+1:], true
		default:
			at, rel, ok = "", "", false
		}
	}
	return at, rel, ok
}

// protect compiles linux.readonlyPaths: each becomes a mount of its own, which can be read only.
func (t *Tree) protect(b *program.Builder, p string) {
	p = path.Clean("/" + p)
	b.From("linux.readonlyPaths")
	why := "make " + p + " a mount of its own"
	const clone = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE
	at, rel, kernel := t.inKernel(p)
	base, held, tree := t.kernel[at], program.Slot(0), program.Slot(0)
	if kernel {
		tree = b.Call(unix.SYS_OPEN_TREE, base, rel, clone|unix.AT_SYMLINK_NOFOLLOW).Tolerate(unix.ENOENT).Why("%s", why).Keep()
	} else {
		held = t.open(b, p, unix.O_PATH, 0).Tolerate(unix.ENOENT, unix.ENOTDIR).Why("hold what is to be read only, if it is there").Keep()
		base = held
		tree = b.Call(unix.SYS_OPEN_TREE, held, "", clone|unix.AT_EMPTY_PATH).Tolerate(unix.EBADF).Why("%s", why).Keep()
	}
	setAttr(b, tree, unix.AT_RECURSIVE, readOnly, 0, "so that it can be read only").Tolerate(unix.EBADF)
	put(b, tree, base, rel).Tolerate(unix.ENOENT, unix.EBADF).Why("put it in its place")
	b.Close(tree).Tolerate(unix.EBADF)
	if !kernel {
		b.Close(held).Tolerate(unix.EBADF)
	}
}
