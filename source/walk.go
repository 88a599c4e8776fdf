package source

import (
	"context"
	"path"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"glassbox/archive"

	"golang.org/x/sys/unix"
)

// file is what a walk meets. Its directory's descriptor is open while the walk's functions look at it.
type file struct {
	dir    int
	base   string
	name   string // below the tree
	inside string // below where the walk began
	st     unix.Stat_t
	bare   bool   // a directory that .dockerignore leaves out, but not all in it: it is made anew, as if nobody knew its mode
	sum    string // set by whoever needs it
}

func (f *file) kind() uint32 { return f.st.Mode & unix.S_IFMT }
func (f *file) isDir() bool  { return f.kind() == unix.S_IFDIR }

// shared: hard links are told by number, and made one after the other.
func (f *file) shared() bool { return f.st.Nlink > 1 && !f.isDir() }

// walk goes through a directory in order of names, each directory before what it holds. Files are worked on by several goroutines, but those of
// several names; then all are visited one by one.
type walk struct {
	ctx   context.Context
	tree  *Tree
	sieve sieve
	work  func(*file) error // not for directories; may be nil
	visit func(*file) error
	leave func(*file) error // of a directory, once all in it has been visited; may be nil

	frames []*frame
}

// frame is a directory that the walk is in.
type frame struct {
	file
	fd      int
	strain  strain
	visited bool // a directory that is left out is visited as soon as something in it is not
}

// batch bounds how many files of a directory are held in memory at once.
const batch = 4096

// from walks what is below a place, which is a directory, but does not visit the place itself.
func (w *walk) from(p *place) error {
	fd, err := unix.Openat(p.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return named("open", p.name, err)
	}
	defer unix.Close(fd)
	top := &frame{file: file{name: p.name, inside: ".", st: p.st}, fd: fd, visited: true}
	if w.sieve.ignore != nil {
		_, top.strain.ignore = w.sieve.ignore.descend(p.name)
	}
	w.frames = []*frame{top}
	return w.below()
}

func (w *walk) top() *frame { return w.frames[len(w.frames)-1] }

func (w *walk) below() error {
	at := w.top()
	names, err := archive.List(at.fd)
	if err != nil {
		return named("readdir", at.name, err)
	}
	slices.Sort(names)
	for chunk := range slices.Chunk(names, batch) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.chunk(at, chunk); err != nil {
			return err
		}
	}
	return nil
}

// found is a file, and what the sieve says of it.
type found struct {
	file
	strain strain
	keep   bool
	enter  bool
	gone   bool
}

func (w *walk) chunk(at *frame, names []string) error {
	all := make([]found, len(names))
	any := false
	for i, base := range names {
		f := &all[i]
		f.file = file{dir: at.fd, base: base, name: path.Join(at.name, base), inside: path.Join(at.inside, base)}
		err := unix.Fstatat(at.fd, base, &f.st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.ENOENT {
			f.gone = true
			continue
		}
		if err != nil {
			return named("lstat", f.name, err)
		}
		if f.gone = f.kind() == unix.S_IFSOCK; f.gone { // no archive has a form for sockets, and Docker none in an image
			continue
		}
		if err := w.sieve.strain(at, f); err != nil {
			return err
		}
		any = any || f.keep
	}
	if any {
		if err := w.enter(); err != nil {
			return err
		}
		if err := w.parallel(all); err != nil {
			return err
		}
	}
	for i := range all {
		if err := w.one(&all[i]); err != nil {
			return err
		}
	}
	return nil
}

// enter visits the directories that the walk is in and that have waited for something to be in them.
func (w *walk) enter() error {
	for _, f := range w.frames {
		if f.visited {
			continue
		}
		f.visited = true
		if err := w.visit(&f.file); err != nil {
			return err
		}
	}
	return nil
}

// parallel works on the files of a batch.
func (w *walk) parallel(all []found) error {
	if w.work == nil {
		return nil
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	run := func() {
		defer group.Done()
		for failed.Load() == nil && w.ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= len(all) {
				return
			}
			if f := &all[i]; f.keep && !f.isDir() && !f.shared() {
				if err := w.work(&f.file); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		}
	}
	hands := min(runtime.GOMAXPROCS(0), len(all)/4+1)
	group.Add(hands)
	for range hands - 1 {
		go run()
	}
	run()
	group.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return w.ctx.Err()
}

func (w *walk) one(f *found) error {
	switch {
	case f.gone:
		return nil
	case f.isDir():
		return w.into(f)
	case !f.keep:
		return nil
	}
	if f.shared() && w.work != nil {
		if err := w.work(&f.file); err != nil {
			return err
		}
	}
	return w.visit(&f.file)
}

func (w *walk) into(f *found) error {
	if !f.keep && !f.enter {
		return nil
	}
	fd, err := unix.Openat(f.dir, f.base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return named("open", f.name, err)
	}
	defer unix.Close(fd)
	at := &frame{file: f.file, fd: fd, strain: f.strain}
	w.frames = append(w.frames, at)
	if f.keep {
		if err := w.enter(); err != nil {
			return err
		}
	}
	if f.enter {
		if err := w.below(); err != nil {
			return err
		}
	}
	w.frames = w.frames[:len(w.frames)-1]
	if at.visited && w.leave != nil {
		return w.leave(&at.file)
	}
	return nil
}
