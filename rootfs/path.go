package rootfs

import (
	"encoding/binary"
	"path"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// openHow is struct open_how, openat2(2).
func openHow(flags, resolve uint64) []byte {
	b := binary.NativeEndian.AppendUint64(nil, flags)
	b = binary.NativeEndian.AppendUint64(b, 0)
	return binary.NativeEndian.AppendUint64(b, resolve)
}

// resolve is how paths of the container are found: from the directory in which the child stands, which is the container's root. Magic
// links such as /proc/self/fd/7, which could lead out, are not followed. Once pivot_root has made it the process's root, links lead
// nowhere else; until then the kernel is told to treat it as one.
func (t *Tree) resolve() uint64 {
	if t.pivoted {
		return unix.RESOLVE_NO_MAGICLINKS
	}
	return unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_IN_ROOT
}

// open compiles the opening of a path inside the container.
func (t *Tree) open(b *program.Builder, p string, flags, resolve uint64) program.Added {
	how := openHow(unix.O_CLOEXEC|flags, t.resolve()|resolve)
	return b.Call(unix.SYS_OPENAT2, unix.AT_FDCWD, p, how, len(how))
}

// hold compiles taking hold of a path inside the container.
func (t *Tree) hold(b *program.Builder, p string, flags, resolve uint64, why string) program.Slot {
	return t.open(b, p, unix.O_PATH|flags, resolve).Why("%s", why).Keep()
}

// directories compiles the making of a directory and its parents. Those that exist stay as they are; those that this
// program has seen to are not tried again.
func (t *Tree) directories(b *program.Builder, p string) { t.directory(b, p, false) }

// directory does so, and keeps the kernel's answer to the last: 0 when it was made, less when it was there; 0 is also the slot that holds
// nothing, where the program has seen to it before.
func (t *Tree) directory(b *program.Builder, p string, keep bool) (answer program.Slot) {
	if p = path.Clean("/" + p); p == "/" || t.made[p] {
		return 0
	}
	t.directories(b, path.Dir(p))
	if t.made == nil {
		t.made = map[string]bool{}
	}
	t.made[p] = true
	t.inside(b, p, func(dir any, name string) {
		made := b.Call(unix.SYS_MKDIRAT, dir, name, 0o755).Tolerate(unix.EEXIST, unix.EROFS).Why("a directory to mount on or to work in, unless it is there")
		if keep {
			answer = made.Keep()
		}
	})
	return answer
}

// covered forgets what was made below p: a mount on p hides it.
func (t *Tree) covered(p string) {
	for made := range t.made {
		if strings.HasPrefix(made, path.Clean(p)+"/") {
			delete(t.made, made)
		}
	}
}

// file compiles the making of an empty file, and its parents, for a file to be mounted on.
func (t *Tree) file(b *program.Builder, p string) {
	p = path.Clean("/" + p)
	t.directories(b, path.Dir(p))
	t.inside(b, p, func(dir any, name string) {
		b.Call(unix.SYS_MKNODAT, dir, name, unix.S_IFREG|0o755, 0).Tolerate(unix.EEXIST, unix.EROFS).Why("an empty file to mount on, unless it is there")
	})
}

// inside calls add with the directory that p is in, held by descriptor, and p's name there. What is in the root itself
// is named from there: no parent of it could be a link.
func (t *Tree) inside(b *program.Builder, p string, add func(dir any, name string)) {
	dir := path.Dir(p)
	if dir == "/" {
		add(unix.AT_FDCWD, path.Base(p))
		return
	}
	s := t.hold(b, dir, unix.O_DIRECTORY, 0, "hold the directory above")
	add(s, path.Base(p))
	b.Close(s)
}
