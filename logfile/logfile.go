// Package logfile keeps what containers print, in the formats and files of Docker's log drivers json-file and local, and reads it.
//
// The files of one log, newest first, are named
//
//	FILE   FILE.1   FILE.2 ...          or, compressed,   FILE   FILE.1.gz   FILE.2.gz ...
//
// One process writes (Writer: the container's monitor), any number read at the same time (Reader) and take no lock: each write ends
// with a whole entry, and a reader sees by the file's inode that a new one was begun.
package logfile

import (
	"io"
	"time"
)

// The drivers.
const (
	JSON  = "json-file"
	Local = "local"
)

// Config is one container's log.
type Config struct {
	Driver   string            // JSON or Local; none or empty: nothing is kept
	File     string            // the current file
	MaxSize  int64             // bytes after which a new file is begun; 0: never
	MaxFile  int               // how many files there are at most, the current one included
	Compress bool              // gzip all but the current one
	Attrs    map[string]string // labels and such that are part of each entry of JSON
	Spare    int64             // mode=non-blocking: so much is still kept while a new file has to wait, the rest dropped; 0: the container waits
}

// Keeps says whether there is a log at all.
func (c Config) Keeps() bool { return c.Driver == JSON || c.Driver == Local }

// Entry is one line of a container's output, or a piece of a long one.
type Entry struct {
	Stream string // stdout or stderr
	Text   []byte // with the newline, if it ends in one
	Time   time.Time
	Attrs  map[string]string
}

// piece is an entry on its way into a file.
type piece struct {
	stream  string
	text    []byte // without the newline
	ends    bool   // a newline follows
	nanos   int64  // since 1970
	id      string // of the line, when it is kept in several pieces
	ordinal int    // of the piece, from 1
}

// format is how entries lie in a file.
type format interface {
	encode(dst []byte, p *piece) []byte

	// decode reads the first entry of b into e and returns how many bytes it took, 0 when more are needed; with last, no more will come.
	// Not ok: these bytes are no entry.
	decode(b []byte, last bool, e *Entry) (n int, ok bool)

	// tail returns where the last n entries begin, and how many there are. Not ok: it cannot tell from behind.
	tail(r io.ReaderAt, size int64, n int) (offset int64, found int, ok bool)

	// mend returns what has to be written after a file's last byte before an entry can follow: its writer may have been killed.
	mend(last byte) []byte
}

func (c Config) format() format {
	if c.Driver == Local {
		return local{}
	}
	return newJSON(c.Attrs)
}
