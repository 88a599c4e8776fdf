package logfile

import (
	"errors"
	"io/fs"
	"time"
)

// Reader reads a log through all its files.
type Reader struct {
	Unread int64 // bytes that are no entries

	config Config
	format format
	parts  []*part // oldest first; the last one is the current file, or was when it was opened
	newest time.Time
}

// Open opens a log to read its last tail entries, all if that is negative. Compressed files in which all is older than since are
// left out. A log that was never written is fs.ErrNotExist.
func Open(c Config, tail int, since time.Time) (*Reader, error) {
	parts, err := c.open()
	if err != nil {
		return nil, err
	}
	r := &Reader{config: c, format: c.format()}
	if tail == 0 {
		r.newest = time.Now() // of what is left out
	}
	for i, p := range parts {
		wanted := tail != 0 || i == 0
		if newest, known := p.newest(); known && newest.Before(since) {
			wanted = false
		}
		if !wanted {
			p.file.Close()
			continue
		}
		if tail >= 0 {
			n, err := p.last(r.format, tail)
			if err != nil {
				closeAll(parts[i:])
				r.Close()
				return nil, err
			}
			tail -= n
		}
		r.parts = append([]*part{p}, r.parts...)
	}
	return r, nil
}

// Each calls do with every entry that is there and was not read before, until do returns an error. With last, no more will be written.
func (r *Reader) Each(last bool, do func(*Entry) error) error {
	for {
		for len(r.parts) > 1 {
			if err := r.drain(true, do); err != nil {
				return err
			}
			r.parts[0].file.Close()
			r.parts = r.parts[1:]
		}
		p := r.parts[0]
		p.rewound()
		if err := r.drain(false, do); err != nil {
			return err
		}
		if now := inodeAt(r.config.File); now == p.id || now == (inode{}) {
			break
		}
		newer, err := r.newer(p)
		if err != nil {
			return err
		}
		r.parts = append(r.parts, newer...)
	}
	if last {
		return r.drain(true, do)
	}
	return nil
}

func (r *Reader) drain(last bool, do func(*Entry) error) error {
	return r.parts[0].each(r.format, last, func(e *Entry) error {
		if e.Time.After(r.newest) {
			r.newest = e.Time
		}
		return do(e)
	}, func(bytes int64) { r.Unread += bytes })
}

// newer opens the files that were begun after p, oldest first. If p is compressed by now its newest entry tells which it is.
func (r *Reader) newer(p *part) ([]*part, error) {
	parts, err := r.config.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // between two names
	}
	if err != nil {
		return nil, err
	}
	var newer []*part
	for i, q := range parts {
		newest, known := q.newest()
		if q.id == p.id || known && !newest.After(r.newest) {
			closeAll(parts[i:])
			break
		}
		newer = append([]*part{q}, newer...)
	}
	return newer, nil
}

// Close closes the files.
func (r *Reader) Close() { closeAll(r.parts) }
