package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"glassbox/archive"
	"glassbox/image"

	"golang.org/x/sys/unix"
)

// Write copies the parcel into a tree: root is the image's, mounted for writing, in which Dest, links on its way, and names of users are looked up.
// What changed since Find is noticed: the error is then ErrChanged, and the caller finds anew.
func (p *Parcel) Write(ctx context.Context, root *os.File) error {
	w := &writer{Parcel: p, ctx: ctx, root: int(root.Fd()), links: map[inode]linked{}}
	if p.order.Chown != "" {
		users := root
		if p.Users != nil {
			users = p.Users
		}
		who, err := parseOwner(p.order.Chown, users)
		if err != nil {
			return err
		}
		w.who = &who
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
	who  *owner // to whom --chown gives all; nil: files of a context become root's, others stay whose they are

	dirs  []target
	links map[inode]linked // of this piece, files of several names
	made  []string         // directories on the way that were not there
}

type inode struct{ dev, ino uint64 }

// linked is the first name of a file that has several: as it was made, and where it came from.
type linked struct{ made, from string }

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
	clear(w.links)
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
	if err := archive.WriteAt(fd, p.data, 0); err != nil {
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
	if w.who != nil {
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
