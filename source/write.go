package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"glassbox/archive"
	"glassbox/image"

	"golang.org/x/sys/unix"
)

// Write copies the parcel into a tree: root is the image's, mounted for writing, in which Dest, links on its way, and names of users are looked up.
// What changed since Find is noticed: the error is then ErrChanged, and the caller finds anew.
func (p *Parcel) Write(ctx context.Context, root *os.File) error {
	w := &writer{Parcel: p, ctx: ctx, root: int(root.Fd()), links: map[inode]string{}}
	if p.order.Chown != "" {
		users := root
		if p.Users != nil {
			users = p.Users
		}
		who, err := parseOwner(p.order.Chown, users)
		if err != nil {
			return err
		}
		w.who, w.told = &who, true
	}
	for _, piece := range p.pieces {
		if err := w.piece(piece); err != nil {
			if errors.Is(err, ErrChanged) || errors.Is(err, context.Canceled) {
				return err
			}
			return fmt.Errorf("failed to copy files: %w", err)
		}
	}
	return w.finish()
}

type writer struct {
	*Parcel
	ctx  context.Context
	root int
	who  *owner // to whom all is given; nil: files of a context become root's, others stay whose they are
	told bool   // --chown says so

	dirs  []target
	links map[inode]string // files of several names, by the first below root
	made  []string         // directories on the way that were not there
}

type inode struct{ dev, ino uint64 }

// target is a directory that is written to.
type target struct {
	fd      int
	name    string
	existed bool
}

// dest is where the order leads, in the image.
func (o *Order) dest() string {
	if path.IsAbs(o.Dest) {
		return o.Dest
	}
	return path.Join("/", o.Workdir) + "/" + o.Dest
}

func (w *writer) piece(p *piece) error {
	to, err := follow(w.root, w.order.dest(), nil)
	if err != nil {
		return err
	}
	defer to.close()
	if p.inline {
		return w.inline(p, to)
	}
	at, err := p.open()
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrChanged, err)
	}
	defer at.close()
	s := p.scan(w.ctx, at)
	switch {
	case at.dir():
		err = prefixedNot(w.directory(s, to), "failed to copy directory")
	case p.unpack:
		err = w.unpack(s, to)
	default:
		err = w.single(s, to)
	}
	if err == nil && s.total() != p.total {
		err = ErrChanged
	}
	return err
}

// owner is to whom a file is given.
func (w *writer) owner(t *Tree, st *unix.Stat_t) owner {
	switch {
	case w.who != nil:
		return *w.who
	case t != nil && t.Owners:
		return owner{int(st.Uid), int(st.Gid)}
	}
	return owner{}
}

// parents makes what is missing of a path, and opens its last directory.
func (w *writer) parents(to *place, missing []string, who owner, mode uint32) (target, error) {
	if to.kind() != unix.S_IFDIR {
		return target{}, named("mkdir", "/"+to.full(), unix.ENOTDIR)
	}
	fd, err := unix.Openat(to.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return target{}, named("open", "/"+to.name, err)
	}
	at := target{fd: fd, name: to.name, existed: true}
	for _, name := range missing {
		next, err := w.mkdir(at, name, who, mode)
		unix.Close(at.fd)
		if err != nil {
			return target{}, err
		}
		at = next
	}
	return at, nil
}

func (w *writer) mkdir(in target, name string, who owner, mode uint32) (target, error) {
	at := target{name: path.Join(in.name, name)}
	if err := unix.Mkdirat(in.fd, name, 0o700); err != nil {
		return at, named("mkdir", "/"+at.name, err)
	}
	var err error
	if at.fd, err = unix.Openat(in.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
		return at, named("open", "/"+at.name, err)
	}
	var st unix.Stat_t // below a set-group-id directory it is one too, mkdir(2)
	if err := errors.Join(unix.Fstat(at.fd, &st), unix.Fchown(at.fd, who.uid, who.gid), unix.Fchmod(at.fd, mode|st.Mode&unix.S_ISGID)); err != nil {
		unix.Close(at.fd)
		return at, named("chown", "/"+at.name, err)
	}
	w.made = append(w.made, at.name)
	return at, nil
}

// spot finds where a single file goes: into a directory that is there or is asked for by how Dest is written, or to that very name.
func (w *writer) spot(called string, to *place, who owner) (target, string, error) {
	if to.dir() || directory(w.order.Dest) {
		at, err := w.parents(to, to.missing, who, w.mode.made())
		return at, called, err
	}
	if n := len(to.missing); n > 0 {
		at, err := w.parents(to, to.missing[:n-1], who, w.mode.made())
		return at, to.missing[n-1], err
	}
	dir, base := path.Split(to.name)
	above, err := follow(w.root, dir, nil)
	if err != nil {
		return target{}, "", err
	}
	defer above.close()
	at, err := w.parents(above, above.missing, who, w.mode.made())
	return at, base, err
}

func (w *writer) single(s *scan, to *place) error {
	who := owner{}
	if w.who != nil {
		who = *w.who
	}
	at, base, err := w.spot(s.called, to, who)
	if err != nil {
		return prefixed("failed to create new directory", err)
	}
	defer unix.Close(at.fd)
	s.work = func(f *file) error { return w.copy(s.tree, f, at, base) }
	return s.run()
}

func (w *writer) inline(p *piece, to *place) error {
	who := w.owner(nil, nil)
	at, base, err := w.spot(p.called, to, who)
	if err != nil {
		return prefixed("failed to create new directory", err)
	}
	defer unix.Close(at.fd)
	fd, err := w.create(at, base)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	name := path.Join(at.name, base)
	if err := writeAll(fd, p.data, 0); err != nil {
		return named("write", "/"+name, err)
	}
	if err := errors.Join(unix.Fchown(fd, who.uid, who.gid), unix.Fchmod(fd, w.mode.of(0o644))); err != nil {
		return named("chown", "/"+name, err)
	}
	if w.order.Epoch.IsZero() {
		return nil
	}
	return named("utimensat", "/"+name, times(fd, "", w.clamp(unix.NsecToTimespec(time.Now().UnixNano()))))
}

// unpack extracts an archive into the directory, as whose it says.
func (w *writer) unpack(s *scan, to *place) error {
	at, err := w.parents(to, to.missing, w.owner(nil, nil), wayMode)
	if err != nil {
		return err
	}
	defer unix.Close(at.fd)
	f := s.at.file()
	fd, err := f.open()
	if err != nil {
		return err
	}
	from := os.NewFile(uintptr(fd), f.name)
	defer from.Close()
	plain, err := image.Decompress(from)
	if err != nil {
		return err
	}
	defer plain.Close()
	spread := archive.Spread{Latest: w.order.Epoch}
	if spread.Root, err = dup(at.fd, "/"+at.name); err != nil {
		return err
	}
	defer spread.Root.Close()
	if w.told {
		spread.Owner = &archive.Owner{UID: w.who.uid, GID: w.who.gid}
	}
	if err := spread.Extract(w.ctx, plain); err != nil {
		return err
	}
	// What was extracted is what was hashed, if the file is still the same.
	again, err := s.open()
	if err != nil {
		return ErrChanged
	}
	defer again.close()
	if again.st.Ino != f.st.Ino || again.st.Size != f.st.Size || again.st.Ctim != f.st.Ctim {
		return ErrChanged
	}
	s.work = s.tree.hash
	return s.run()
}

func dup(fd int, name string) (*os.File, error) {
	again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, named("open", name, err)
	}
	return os.NewFile(uintptr(again), name), nil
}

// directory copies what is in a directory into another. What is on its way, and it itself, is made with Docker's mode and not with the
// original's; the directory itself, if it was not there, is given to whom the files are.
func (w *writer) directory(s *scan, to *place) error {
	existed := to.dir()
	at, err := w.parents(to, to.missing, owner{}, w.mode.made())
	if err != nil {
		return err
	}
	if !existed && w.who != nil {
		if err := unix.Fchown(at.fd, w.who.uid, w.who.gid); err != nil {
			unix.Close(at.fd)
			return named("chown", "/"+at.name, err)
		}
	}
	w.dirs = []target{at}
	defer w.leaveAll()
	s.work = func(f *file) error {
		if f.isDir() {
			return w.enter(s.tree, f)
		}
		return w.copy(s.tree, f, w.top(), f.base)
	}
	s.leave = func(f *file) error { return w.leave(s.tree, f) }
	return s.run()
}

func (w *writer) top() target { return w.dirs[len(w.dirs)-1] }

func (w *writer) leaveAll() {
	for _, d := range w.dirs {
		unix.Close(d.fd)
	}
	w.dirs = nil
}

// enter makes a directory where there is none, and goes into it.
func (w *writer) enter(t *Tree, f *file) error {
	if err := t.hash(f); err != nil {
		return err
	}
	in := w.top()
	at := target{name: path.Join(in.name, f.base)}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	var err error
	at.fd, err = unix.Openat(in.fd, f.base, flags, 0)
	at.existed = err == nil
	if err == unix.ENOTDIR || err == unix.ELOOP {
		if err := clearAway(in, f.base); err != nil {
			return err
		}
		err = unix.ENOENT
	}
	if err == unix.ENOENT {
		if err := unix.Mkdirat(in.fd, f.base, 0o700); err != nil {
			return named("mkdir", "/"+at.name, err)
		}
		at.fd, err = unix.Openat(in.fd, f.base, flags, 0)
	}
	if err != nil {
		return named("open", "/"+at.name, err)
	}
	w.dirs = append(w.dirs, at)
	return nil
}

// leave gives a directory what the original has. One of which .dockerignore leaves out all but an exception is as if it were on the way.
func (w *writer) leave(t *Tree, f *file) error {
	at := w.top()
	w.dirs = w.dirs[:len(w.dirs)-1]
	defer unix.Close(at.fd)
	if f.bare {
		if at.existed {
			return nil
		}
		w.made = append(w.made, at.name)
		who := w.owner(nil, nil)
		return named("chown", "/"+at.name, errors.Join(unix.Fchown(at.fd, who.uid, who.gid), unix.Fchmod(at.fd, w.mode.of(0o755|unix.S_IFDIR))))
	}
	fd, err := unix.Open(descriptor(f.dir)+"/"+f.base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return ErrChanged
	}
	defer unix.Close(fd)
	attributes, err := t.attributes(fd, f)
	if err != nil {
		return err
	}
	return w.dress(at.fd, t, f, attributes, path.Join(at.name))
}

// copy writes one file that is no directory, and hashes what it writes.
func (w *writer) copy(t *Tree, f *file, at target, base string) error {
	name := path.Join(at.name, base)
	if f.shared() {
		id := inode{f.st.Dev, f.st.Ino}
		if first, ok := w.links[id]; ok {
			return w.link(t, f, first, at, base)
		}
		w.links[id] = name
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

func (w *writer) link(t *Tree, f *file, first string, at target, base string) error {
	err := again(at, base, func() error { return unix.Linkat(w.root, first, at.fd, base, 0) })
	if err != nil {
		return &os.LinkError{Op: "link", Old: "/" + first, New: "/" + path.Join(at.name, base), Err: err}
	}
	return t.hash(f)
}

func (w *writer) symlink(t *Tree, f *file, at target, base string) error {
	leads, err := readlink(f.dir, f.base)
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

// contents writes a file; longer stretches of zeros become holes.
type contents struct {
	ctx  context.Context
	fd   int
	name string
	at   int64
	hole bool
}

var zeros [64 << 10]byte

func (c *contents) take(b []byte) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.hole = len(b) >= len(zeros) && empty(b)
	if !c.hole {
		if err := writeAll(c.fd, b, c.at); err != nil {
			return named("write", "/"+c.name, err)
		}
	}
	c.at += int64(len(b))
	return nil
}

func (c *contents) end() error {
	if !c.hole {
		return nil
	}
	return named("ftruncate", "/"+c.name, unix.Ftruncate(c.fd, c.at))
}

func empty(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

func writeAll(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
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

// finish gives the directories on the way the epoch's time, if there is one: making files in them has changed it.
func (w *writer) finish() error {
	if w.order.Epoch.IsZero() {
		return nil
	}
	now := w.clamp(unix.NsecToTimespec(time.Now().UnixNano()))
	for _, name := range w.made {
		at, err := follow(w.root, name, nil)
		if err != nil {
			return err
		}
		if at.there() {
			err = named("utimensat", "/"+name, times(at.fd, "", now))
		}
		at.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// told writes a line about what is fetched.
func (o *Order) tell(line string) {
	if o.Told != nil {
		fmt.Fprint(o.Told, strings.TrimSuffix(line, "\n")+"\n")
	}
}

// MakeDir makes a directory of an image for WORKDIR, and what is missing before it. made is false where there is one.
func MakeDir(root *os.File, dir string, uid, gid int) (made bool, err error) {
	w := &writer{Parcel: &Parcel{}, root: int(root.Fd())}
	at, err := follow(w.root, dir, nil)
	if err != nil {
		return false, err
	}
	defer at.close()
	if at.dir() {
		return false, nil
	}
	if at.kind() != unix.S_IFDIR {
		return false, fmt.Errorf("Cannot mkdir: %s is not a directory", dir) //nolint:staticcheck // Docker's words
	}
	to, err := w.parents(at, at.missing, owner{uid, gid}, wayMode)
	if err != nil {
		return false, err
	}
	return true, unix.Close(to.fd)
}

// Owner looks up "user" or "user:group" in an image, as --chown does.
func Owner(root *os.File, who string) (uid, gid int, err error) {
	o, err := parseOwner(who, root)
	return o.uid, o.gid, err
}
