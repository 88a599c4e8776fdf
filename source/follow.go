package source

import (
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"glassbox/archive"

	"golang.org/x/sys/unix"
)

// mostLinks is how many symbolic links a path may lead through, path_resolution(7) says 40; Docker counts to 255.
const mostLinks = 255

// place is where a path leads, every link read as if the tree's root were that of all files: absolute links begin there, and its ".." is
// itself.
type place struct {
	fd      int // O_PATH of the last that is there; the caller's to close
	name    string
	st      unix.Stat_t
	missing []string // what of the path is not there
}

func (p *place) close() { unix.Close(p.fd) }

func (p *place) there() bool { return len(p.missing) == 0 }

func (p *place) kind() uint32 { return p.st.Mode & unix.S_IFMT }

func (p *place) dir() bool { return p.there() && p.kind() == unix.S_IFDIR }

// full is the whole path, missing parts included.
func (p *place) full() string { return path.Join(append([]string{p.name}, p.missing...)...) }

// follow goes along a path, one component after the other, each opened in the directory before it and not followed by the kernel: whoever
// exchanges files for links meanwhile leads it nowhere else. hidden names what counts as missing; nil: nothing does.
func follow(root int, name string, hidden func(name string, dir bool) bool) (*place, error) {
	f := follower{hidden: hidden, todo: strings.Split(name, "/")}
	top, err := unix.FcntlInt(uintptr(root), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, named("open", name, err)
	}
	f.held = []int{top}
	defer f.close()
	for len(f.todo) > 0 {
		next := f.todo[0]
		f.todo = f.todo[1:]
		if err := f.step(next); err != nil {
			return nil, named("stat", name, err)
		}
	}
	p := &place{fd: f.held[len(f.held)-1], name: f.at(), missing: f.missing}
	f.held = f.held[:len(f.held)-1]
	if err := unix.Fstat(p.fd, &p.st); err != nil {
		p.close()
		return nil, named("stat", name, err)
	}
	return p, nil
}

type follower struct {
	hidden  func(string, bool) bool
	held    []int    // the root, and what was gone through
	names   []string // of held, but the root
	missing []string
	todo    []string
	links   int
}

func (f *follower) close() {
	for _, fd := range f.held {
		unix.Close(fd)
	}
}

func (f *follower) at() string { return path.Join(append([]string{"."}, f.names...)...) }

func (f *follower) step(next string) error {
	switch {
	case next == "" || next == ".":
		return nil
	case next == "..":
		f.up()
		return nil
	case len(f.missing) > 0:
		f.missing = append(f.missing, next)
		return nil
	}
	fd, err := unix.Openat(f.held[len(f.held)-1], next, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		f.missing = append(f.missing, next)
		return nil
	}
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if f.hidden != nil && f.hidden(path.Join(f.at(), next), kind == unix.S_IFDIR) {
		unix.Close(fd)
		f.missing = append(f.missing, next)
		return nil
	}
	if kind == unix.S_IFLNK {
		defer unix.Close(fd)
		return f.link(fd)
	}
	f.held, f.names = append(f.held, fd), append(f.names, next)
	return nil
}

func (f *follower) up() {
	if n := len(f.missing); n > 0 {
		f.missing = f.missing[:n-1]
		return
	}
	if n := len(f.names); n > 0 {
		unix.Close(f.held[n])
		f.held, f.names = f.held[:n], f.names[:n-1]
	}
}

func (f *follower) link(fd int) error {
	if f.links++; f.links > mostLinks {
		return unix.ELOOP
	}
	target, err := archive.Readlink(fd, "")
	if err != nil {
		return err
	}
	if path.IsAbs(target) {
		for len(f.names) > 0 {
			f.up()
		}
	}
	f.todo = slices.Concat(strings.Split(target, "/"), f.todo)
	return nil
}

func named(op, file string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: file, Err: err}
}

// descriptor names the file that a descriptor stands for, even one of O_PATH.
func descriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
