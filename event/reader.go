package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// longest is the longest line that is taken for an event. A command line, which some events hold, has at most 2 MiB, and escapes make
// six bytes of one.
const longest = 16 << 20

// Reader reads the journal on from some point.
type Reader struct {
	journal Journal
	warn    func(string)
	watch   *store.Watch
	file    *os.File   // nil: there is none yet
	next    []*os.File // those that follow it
	at      int64      // offset in file of what is read next
	rest    []byte     // read, and not yet returned
	skips   bool       // over the rest of a line that is too long
}

// Read begins with the oldest event there is. warn is told of lines that are damaged, which are left out.
func (j Journal) Read(warn func(string)) (*Reader, error) {
	r := &Reader{journal: j, warn: warn, watch: j.watch()}
	// In this order: should the current file be renamed in between, it is opened as what it becomes.
	current, err := opened(j.Path)
	if err == nil {
		r.file, err = opened(j.predecessor())
	}
	switch {
	case err != nil:
		r.Close()
		return nil, err
	case r.file == nil:
		r.file = current
	case current != nil:
		current.Close()
	}
	return r, nil
}

// Tail begins with what happens from now on.
func (j Journal) Tail(warn func(string)) (*Reader, error) {
	r := &Reader{journal: j, warn: warn, watch: j.watch()}
	var err error
	if r.file, err = opened(j.Path); err == nil && r.file != nil {
		r.at, err = r.file.Seek(0, io.SeekEnd)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// opened is nil where there is no file.
func opened(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// Close ends the reading.
func (r *Reader) Close() error {
	for _, f := range append(r.next, r.file) {
		if f != nil {
			f.Close()
		}
	}
	return r.watch.Close()
}

// watch watches the journal's directory, which is made if need be.
func (j Journal) watch() *store.Watch {
	dir := filepath.Dir(j.Path)
	os.MkdirAll(dir, 0o711) //nolint:errcheck // one that is not there cannot be watched, and is looked at now and then
	return store.NewWatch(dir)
}

// Next returns the next event; false: there is none yet.
func (r *Reader) Next() (Event, bool, error) {
	for {
		if i := bytes.IndexByte(r.rest, '\n'); i >= 0 {
			if e, ok := r.take(i); ok {
				return e, true, nil
			}
			continue
		}
		if more, err := r.more(); err != nil || !more {
			return Event{}, false, err
		}
	}
}

// Wait returns when there may be a next event; the error is ctx's when that ends first.
func (r *Reader) Wait(ctx context.Context) error { return r.watch.Wait(ctx, 0) }

// take takes the first line, which ends at i.
func (r *Reader) take(i int) (Event, bool) {
	line, start := r.rest[:i], r.at-int64(len(r.rest))
	r.rest = r.rest[i+1:]
	if r.skips {
		r.skips = false
		return Event{}, false
	}
	if len(line) == 0 {
		return Event{}, false // what followed it closed it
	}
	e, err := decode(line)
	if err != nil {
		r.damaged(start, err.Error())
	}
	return e, err == nil
}

func (r *Reader) damaged(start int64, why string) {
	if r.warn != nil {
		r.warn(fmt.Sprintf("%s: the line at byte %d is damaged (%s) and was left out", r.journal.Path, start, why))
	}
}

// more reads on, in the next file if this one is at its end; false: there is nothing more at the moment.
func (r *Reader) more() (bool, error) {
	if err := r.lookAhead(); err != nil || r.file == nil {
		return false, err
	}
	// What follows was looked for before the end: afterwards nobody appends to this file.
	if n, err := r.fill(); n > 0 || err != nil || len(r.next) == 0 {
		return n > 0, err
	}
	r.change()
	return true, nil
}

// lookAhead opens what has followed the last file that is known, before that is renamed over. A reader that does not get to it while two are
// begun, because nobody takes what it has read, misses one.
func (r *Reader) lookAhead() error {
	if r.file == nil {
		f, err := opened(r.journal.Path)
		r.file = f
		return err
	}
	last := r.file
	if len(r.next) > 0 {
		last = r.next[len(r.next)-1]
	}
	f, err := r.journal.after(last)
	if f != nil {
		r.next = append(r.next, f)
	}
	return err
}

// after is the file that follows f, nil while f has not been renamed.
func (j Journal) after(f *os.File) (*os.File, error) {
	current, err := opened(j.Path)
	if err != nil || current == nil {
		return nil, err // just renamed: the next is about to be made
	}
	if same(f, current) {
		current.Close()
		return nil, nil
	}
	before, err := opened(j.predecessor())
	if before == nil {
		return current, err
	}
	if same(f, before) || older(before, f) {
		before.Close()
		return current, nil
	}
	current.Close()
	return before, nil
}

func same(a, b *os.File) bool {
	s, t := status(a), status(b)
	return s.Ino == t.Ino && s.Dev == t.Dev
}

// older: a was last written to before b.
func older(a, b *os.File) bool {
	s, t := status(a), status(b)
	return s.Mtim.Nano() < t.Mtim.Nano()
}

func status(f *os.File) (s unix.Stat_t) {
	unix.Fstat(int(f.Fd()), &s) // of an open file it does not fail
	return s
}

func (r *Reader) change() {
	if len(r.rest) > 0 {
		r.damaged(r.at-int64(len(r.rest)), "it has no end")
	}
	r.file.Close()
	r.file, r.next = r.next[0], r.next[1:]
	r.at, r.rest, r.skips = 0, nil, false
}

// fill reads a piece of the file.
func (r *Reader) fill() (int, error) {
	if len(r.rest) > longest {
		if !r.skips {
			r.damaged(r.at-int64(len(r.rest)), "it is too long")
		}
		r.rest, r.skips = nil, true
	}
	r.rewind()
	piece := make([]byte, 64<<10)
	n, err := r.file.ReadAt(piece, r.at)
	if err == io.EOF {
		err = nil
	}
	r.rest = append(r.rest[:len(r.rest):len(r.rest)], piece[:n]...)
	r.at += int64(n)
	return n, err
}

// rewind is for a file that somebody has truncated.
func (r *Reader) rewind() {
	if size := status(r.file).Size; size < r.at {
		r.damaged(size, "the file was truncated")
		r.at, r.rest, r.skips = 0, nil, false
	}
}
