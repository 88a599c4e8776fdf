package monitor

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// longest is where Docker's json-file log cuts a line: a longer one becomes several entries, only the last of which
// ends in a newline.
const longest = 16 << 10

// logFile is Docker's json-file log, one entry a line:
//
//	{"log":"hello\n","stream":"stdout","time":"2026-11-21T20:04:05.123456789Z"}
//
// When it cannot be written (a full disk) the container goes on. What is lost is said once on the monitor's standard error
// and, when the disk has room again, in the log itself, at the place where it is missing.
type logFile struct {
	fd    int
	buf   []byte // encoded entries, not yet written
	size  int64  // of the file up to the last whole entry
	lost  int64  // bytes of entries that could not be written since the last one that could
	cause error
	told  bool
}

func openLog(path string) (*logFile, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o640)
	if err != nil {
		return nil, &os.PathError{Op: "open log", Path: path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "stat log", Path: path, Err: err}
	}
	return &logFile{fd: fd, size: st.Size}, nil
}

// entry adds one entry; it is in the file after flush, or earlier.
func (l *logFile) entry(text []byte, newline bool, stream string, at []byte) {
	b := append(l.buf, `{"log":"`...)
	b = store.AppendJSON(b, text)
	if newline {
		b = append(b, `\n`...)
	}
	b = append(b, `","stream":"`...)
	b = append(b, stream...)
	b = append(b, `","time":"`...)
	b = append(b, at...)
	l.buf = append(b, '"', '}', '\n')
	if len(l.buf) >= largest { // short lines grow by a factor of forty
		l.flush()
	}
}

// flush writes what entry added. A write that came only half through is cut off again, so that the file holds whole lines.
func (l *logFile) flush() {
	if len(l.buf) == 0 {
		return
	}
	if l.lost > 0 {
		l.noteLoss()
	}
	if err := writeAll(l.fd, l.buf); err != nil {
		unix.Ftruncate(l.fd, l.size)
		l.lose(err)
	} else {
		l.size += int64(len(l.buf))
	}
	l.buf = l.buf[:0]
}

func (l *logFile) lose(err error) {
	l.lost += int64(len(l.buf))
	l.cause = err
	if !l.told {
		l.told = true
		fmt.Fprintf(os.Stderr, "glassrun: monitor: writing the log: %v: the container goes on, its output is lost until there is room again\n", err)
	}
}

// noteLoss tries to leave a note in the log where entries are missing.
func (l *logFile) noteLoss() {
	note := logFile{fd: l.fd}
	text := fmt.Sprintf("glassbox: %d bytes of the log are missing here: %v", l.lost, l.cause)
	note.entry([]byte(text), true, "stderr", timestamp(time.Now()))
	if writeAll(l.fd, note.buf) != nil {
		unix.Ftruncate(l.fd, l.size)
		return
	}
	l.size += int64(len(note.buf))
	l.lost = 0
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func timestamp(t time.Time) []byte {
	return t.UTC().AppendFormat(make([]byte, 0, len(time.RFC3339Nano)), time.RFC3339Nano)
}

// lines cuts one stream into log entries.
type lines struct {
	log    *logFile
	stream string
	rest   []byte // the beginning of a line whose end has not come yet
	cutAt  []byte // time of the line's first piece, when it was longer than longest; its other pieces carry the same
}

// write takes what the container wrote. Several lines that come together carry the same time.
func (s *lines) write(p []byte, now time.Time) {
	at := timestamp(now)
	for {
		room := longest - len(s.rest)
		i := bytes.IndexByte(p[:min(room, len(p))], '\n')
		switch {
		case i >= 0:
			s.log.entry(s.joined(p[:i]), true, s.stream, s.time(at))
			s.rest, s.cutAt, p = s.rest[:0], nil, p[i+1:]
		case len(p) >= room:
			s.cutAt = s.time(at)
			s.log.entry(s.joined(p[:room]), false, s.stream, s.cutAt)
			s.rest, p = s.rest[:0], p[room:]
		default:
			s.rest = append(s.rest, p...)
			s.log.flush()
			return
		}
	}
}

// end logs a last line without a newline.
func (s *lines) end() {
	if len(s.rest) > 0 {
		s.log.entry(s.rest, false, s.stream, s.time(timestamp(time.Now())))
	}
	s.rest, s.cutAt = nil, nil
	s.log.flush()
}

// joined is the line's beginning and p as one, so that a character that came in two parts is whole.
func (s *lines) joined(p []byte) []byte {
	if len(s.rest) == 0 {
		return p
	}
	s.rest = append(s.rest, p...)
	return s.rest
}

func (s *lines) time(now []byte) []byte {
	if s.cutAt != nil {
		return s.cutAt
	}
	return now
}
