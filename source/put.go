package source

import (
	"os"
	"path"

	"glassbox/archive"

	"golang.org/x/sys/unix"
)

// copy writes one file that is no directory, and hashes what it writes.
func (w *writer) copy(t *Tree, f *file, at target, base string) error {
	name := path.Join(at.name, base)
	if f.shared() {
		id := inode{f.st.Dev, f.st.Ino}
		if first, ok := w.links[id]; ok {
			return w.link(t, f, first, at, base)
		}
		w.links[id] = linked{name, f.name}
	}
	switch f.kind() {
	case unix.S_IFREG:
		return w.regular(t, f, at, base)
	case unix.S_IFLNK:
		return w.symlink(t, f, at, base)
	}
	if f.kind() == unix.S_IFCHR && f.st.Rdev == 0 {
		return named("mknod", "/"+name, unix.EPERM) // overlayfs's own mark of a deletion
	}
	err := again(at, base, func() error { return unix.Mknodat(at.fd, base, f.kind()|0o600, int(f.st.Rdev)) })
	if err == nil {
		err = w.dressNamed(t, f, at, base)
	}
	if err != nil {
		return named("mknod", "/"+name, err)
	}
	return t.hash(f)
}

// again does what makes a file, and once more when something stood there, which goes.
func again(at target, base string, do func() error) error {
	err := do()
	if err != unix.EEXIST {
		return err
	}
	if err := clearAway(at, base); err != nil {
		return err
	}
	return do()
}

func clearAway(at target, base string) error {
	err := unix.Unlinkat(at.fd, base, 0)
	if err == unix.EISDIR {
		err = os.RemoveAll(descriptor(at.fd) + "/" + base)
	}
	if err != nil && err != unix.ENOENT {
		return named("unlink", "/"+path.Join(at.name, base), err)
	}
	return nil
}

func (w *writer) link(t *Tree, f *file, first linked, at target, base string) error {
	err := again(at, base, func() error { return unix.Linkat(w.root, first.made, at.fd, base, 0) })
	if err != nil {
		return &os.LinkError{Op: "link", Old: "/" + first.made, New: "/" + path.Join(at.name, base), Err: err}
	}
	return t.hashLink(f, first.from)
}

func (w *writer) symlink(t *Tree, f *file, at target, base string) error {
	leads, err := archive.Readlink(f.dir, f.base)
	if err != nil {
		return named("readlink", f.name, err)
	}
	err = again(at, base, func() error { return unix.Symlinkat(leads, at.fd, base) })
	if err == nil {
		err = w.dressNamed(t, f, at, base)
	}
	if err != nil {
		return named("symlink", "/"+path.Join(at.name, base), err)
	}
	f.sum = finished(t.label(f, leads, nil))
	return nil
}

// dressNamed gives owner, mode and times to what has no descriptor of its own.
func (w *writer) dressNamed(t *Tree, f *file, at target, base string) error {
	who := w.owner(t, &f.st)
	if err := unix.Fchownat(at.fd, base, who.uid, who.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if f.kind() != unix.S_IFLNK {
		if err := unix.Fchmodat(at.fd, base, w.mode.of(f.st.Mode), 0); err != nil {
			return err
		}
	}
	return times(at.fd, base, w.clamp(f.st.Mtim))
}

func (w *writer) create(at target, base string) (fd int, err error) {
	err = again(at, base, func() (err error) {
		fd, err = unix.Openat(at.fd, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, named("open", "/"+path.Join(at.name, base), err)
}

func (w *writer) regular(t *Tree, f *file, at target, base string) error {
	from, err := f.open()
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := w.create(at, base)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	name := path.Join(at.name, base)
	attributes, err := t.attributes(from, f)
	if err != nil {
		return err
	}
	c := contents{ctx: w.ctx, fd: to, name: name}
	if err := t.hashOpen(from, f, c.take); err != nil {
		return err
	}
	if err := c.end(); err != nil {
		return err
	}
	return w.dress(to, t, f, attributes, name)
}

// dress gives a file owner, extended attributes, mode and times, in this order: a change of owner clears set-user-ID bits and
// capabilities (chown(2), capabilities(7)).
func (w *writer) dress(fd int, t *Tree, f *file, attributes []attribute, name string) error {
	who := w.owner(t, &f.st)
	if err := unix.Fchown(fd, who.uid, who.gid); err != nil {
		return named("chown", "/"+name, err)
	}
	for _, a := range attributes {
		if !t.Owners { // a context's capabilities are lost in Docker's builders too, as are those of what is cloned
			break
		}
		if err := unix.Fsetxattr(fd, a.name, []byte(a.value), 0); err != nil && err != unix.ENOTSUP && err != unix.EPERM {
			return named("setxattr "+a.name, "/"+name, err)
		}
	}
	if err := unix.Fchmod(fd, w.mode.of(f.st.Mode)); err != nil {
		return named("chmod", "/"+name, err)
	}
	return named("utimensat", "/"+name, times(fd, "", w.clamp(f.st.Mtim)))
}

// clamp is a time as a layer keeps it, in whole seconds, and not later than the epoch.
func (w *writer) clamp(t unix.Timespec) unix.Timespec {
	if latest := w.order.Epoch; !latest.IsZero() {
		t.Sec = min(t.Sec, latest.Unix())
	}
	return unix.Timespec{Sec: t.Sec}
}

func times(fd int, name string, t unix.Timespec) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	return unix.UtimesNanoAt(fd, name, []unix.Timespec{t, t}, flags)
}
