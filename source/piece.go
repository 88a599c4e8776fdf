package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// piece is one source: a file, a directory, a here-document.
type piece struct {
	tree    *Tree
	path    string // below it, links resolved
	called  string // the last part of what was asked for: what a file is called in a directory
	data    []byte // of a here-document
	inline  bool   // it is one
	unpack  bool   // an archive, to be unpacked
	sieve   sieve  // what of a directory is left out
	bareSum bool   // fetched: the classic builder writes its number without "file:"

	total   string // of all that it holds: what Write finds must come to the same
	classic string
}

func (p *piece) sum(ctx context.Context, l *ledger) error {
	if p.inline {
		h := sha256.Sum256(p.data)
		p.total = hex.EncodeToString(h[:])
		p.classic = "file:" + p.total
		l.add("<<"+p.called, p.total)
		return nil
	}
	var sums classicSums
	at, err := p.open()
	if err != nil {
		return err
	}
	defer at.close()
	s := p.scan(ctx, at)
	s.work = p.tree.hashed()
	s.seen = func(f *file) error {
		l.add(f.name, f.sum)
		return sums.add(p.tree, f)
	}
	if err := s.run(); err != nil {
		return err
	}
	if s.count == 0 && p.sieve.missing(p) {
		return p.tree.notFound(p.asked())
	}
	p.total = s.total()
	p.classic = sums.of(p, at)
	return nil
}

func (p *piece) asked() string {
	if p.sieve.asked != "" {
		return p.sieve.asked
	}
	return p.path
}

// missing: nothing that a path names is there. A directory that .dockerignore leaves out is there only with what an exception keeps; a path
// of --parents without wildcards must lead to something.
func (s *sieve) missing(p *piece) bool {
	if s.include != nil {
		return !wild(s.asked)
	}
	if s.ignore == nil || p.path == "." {
		return false
	}
	return s.ignore.matches(p.path)
}

func (p *piece) open() (*place, error) { return p.tree.at(p.path) }
