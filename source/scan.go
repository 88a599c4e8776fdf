package source

import (
	"context"
	"crypto/sha256"
	"hash"
	"strconv"

	"golang.org/x/sys/unix"
)

// scan goes through all that a piece is, in order, and makes one sum of theirs.
type scan struct {
	*piece
	ctx   context.Context
	at    *place
	work  func(*file) error // sees to one file, and finds out its sum; of several files at once
	seen  func(*file) error // one by one, a directory before what it holds, after work on it
	leave func(*file) error
	sums  hash.Hash
	count int
}

func (p *piece) scan(ctx context.Context, at *place) *scan {
	return &scan{piece: p, ctx: ctx, at: at, sums: sha256.New()}
}

func (s *scan) run() error {
	if s.at.kind() != unix.S_IFDIR {
		f := s.at.file()
		if err := s.work(f); err != nil {
			return err
		}
		return s.visit(f)
	}
	if err := s.itself(); err != nil {
		return err
	}
	w := walk{ctx: s.ctx, tree: s.tree, sieve: s.sieve, work: s.work, leave: s.leave}
	w.visit = func(f *file) error {
		if f.isDir() {
			if err := s.work(f); err != nil {
				return err
			}
		}
		return s.visit(f)
	}
	return w.from(s.at)
}

// itself counts the directory that is copied: its mode and owner are not copied, but are in Docker's number.
func (s *scan) itself() error {
	if s.path == "." || s.sieve.include != nil {
		return nil
	}
	f := s.at.file()
	f.bare = s.sieve.ignore != nil && s.sieve.ignore.matches(s.path)
	if err := s.tree.hash(f); err != nil {
		return err
	}
	s.note(f)
	if s.seen == nil {
		return nil
	}
	return s.seen(f)
}

func (s *scan) note(f *file) { s.sums.Write([]byte(strconv.Quote(f.inside) + f.sum + "\n")) }

func (s *scan) visit(f *file) error {
	s.count++
	s.note(f)
	if s.seen == nil {
		return nil
	}
	return s.seen(f)
}

func (s *scan) total() string { return finished(s.sums) }

// file is a place as a walk would have met it.
func (p *place) file() *file { return &file{dir: p.fd, name: p.name, inside: ".", st: p.st} }

// hashed is work that does nothing but hash. Files of several names come one after the other, walk.parallel.
func (t *Tree) hashed() func(*file) error {
	links := map[inode]string{}
	return func(f *file) error {
		if !f.shared() {
			return t.hash(f)
		}
		id := inode{f.st.Dev, f.st.Ino}
		if first, ok := links[id]; ok {
			return t.hashLink(f, first)
		}
		links[id] = f.name
		return t.hash(f)
	}
}
