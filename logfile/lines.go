package logfile

import (
	"bytes"
	"encoding/hex"
	"time"

	"golang.org/x/sys/unix"
)

// longest is where Docker cuts a line: a longer one becomes several entries, only the last of which ends in a newline.
const longest = 16 << 10

// Lines cuts one stream into entries.
type Lines struct {
	w      *Writer
	stream string
	Rest
}

// Rest is what a stream has begun.
type Rest struct {
	Begun   []byte // a line whose end has not come yet
	CutAt   int64  // time of the line's first piece, when it was longer than longest; its other pieces carry the same
	ID      string // of that line
	Ordinal int    // of the next piece
}

// Stream is the log's part for stdout or stderr.
func (w *Writer) Stream(name string, begun Rest) *Lines { return &Lines{w, name, begun} }

// Write takes what the container wrote; it is in the file when Write returns.
func (s *Lines) Write(p []byte, now time.Time) {
	s.w.now = now.UnixNano()
	for {
		room := longest - len(s.Begun)
		i := bytes.IndexByte(p[:min(room, len(p))], '\n')
		switch {
		case i >= 0:
			s.add(s.joined(p[:i]), true)
			p = p[i+1:]
		case len(p) >= room:
			s.add(s.joined(p[:room]), false)
			p = p[room:]
		default:
			s.Begun = append(s.Begun, p...)
			s.w.Flush()
			return
		}
	}
}

// End logs a last line without a newline.
func (s *Lines) End() {
	if len(s.Begun) > 0 {
		s.w.now = time.Now().UnixNano()
		s.add(s.Begun, false)
	}
	s.Rest = Rest{}
	s.w.Flush()
}

// joined is the line's beginning and p as one, so that a character that came in two parts is whole.
func (s *Lines) joined(p []byte) []byte {
	if len(s.Begun) == 0 {
		return p
	}
	s.Begun = append(s.Begun, p...)
	return s.Begun
}

func (s *Lines) add(text []byte, ends bool) {
	if !ends && s.Ordinal == 0 {
		s.CutAt, s.ID, s.Ordinal = s.w.tick(), identity(), 1
	}
	at := s.CutAt
	if s.Ordinal == 0 {
		at = s.w.tick()
	}
	s.w.piece = piece{stream: s.stream, text: text, ends: ends, nanos: at, id: s.ID, ordinal: s.Ordinal}
	s.w.add(&s.w.piece)
	s.Begun = s.Begun[:0]
	if ends {
		s.CutAt, s.ID, s.Ordinal = 0, "", 0
	} else {
		s.Ordinal++
	}
}

// identity is 64 random hexadecimal digits.
func identity() string {
	var b [32]byte
	unix.Getrandom(b[:], 0) // so few bytes never fail, see getrandom(2)
	return hex.EncodeToString(b[:])
}
