package progress

import (
	"slices"
	"strings"
	"time"
)

// screen is what a process has written, as lines without what moves a cursor or colors: a line that is written over is its last state.
type screen struct {
	lines []string // the last of them, for after a failure, each with its time
	size  int      // of them
	bare  []string // the last few without it
	line  []byte   // the one that has not ended
	began string   // its time
	home  bool     // what comes next goes over it
	state escape
	at    time.Time // of the last output
}

const keptOutput = 64 << 10

// escape says where in a sequence for the terminal we are.
type escape uint8

const (
	text    escape = iota
	escaped        // after ESC
	control        // ESC [ ..., up to a letter
	command        // ESC ] ..., up to BEL or ESC \
)

func (s *screen) write(p []byte, took time.Duration) {
	s.at = time.Now()
	for _, c := range p {
		if s.state != text {
			s.skip(c)
			continue
		}
		switch {
		case c == '\033':
			s.state = escaped
		case c == '\n':
			s.end(took)
		case c == '\r':
			s.home = true
		case c == '\b' && len(s.line) > 0:
			s.line = s.line[:len(s.line)-1]
		case c == '\t':
			s.put(' ', took)
			for len(s.line)%8 != 0 {
				s.put(' ', took)
			}
		case c >= ' ' && c != 0x7f:
			s.put(c, took)
		}
	}
}

func (s *screen) put(c byte, took time.Duration) {
	if s.home {
		s.line, s.home = s.line[:0], false
	}
	if len(s.line) == 0 {
		s.began = stamp(took)
	}
	if s.line = append(s.line, c); len(s.line) >= longestLine {
		s.end(took)
	}
}

// skip passes over a byte of a sequence.
func (s *screen) skip(c byte) {
	switch s.state {
	case escaped:
		switch c {
		case '[':
			s.state = control
		case ']', 'P', 'X', '^', '_':
			s.state = command
		default:
			if c < ' ' || c > '/' { // else one more follows, as in ESC ( B
				s.state = text
			}
		}
	case control:
		if c >= '@' && c <= '~' {
			s.state = text
		}
	case command:
		switch c {
		case '\a':
			s.state = text
		case '\033':
			s.state = escaped
		}
	}
}

func (s *screen) end(took time.Duration) {
	if len(s.line) == 0 {
		s.began = stamp(took)
	}
	l := strings.ToValidUTF8(string(s.line), "?")
	s.bare = append(s.bare, l)
	if len(s.bare) > logLines {
		s.bare = slices.Delete(s.bare, 0, 1)
	}
	s.lines = append(s.lines, s.began+l)
	s.size += len(s.began) + len(l)
	for s.size > keptOutput {
		s.size -= len(s.lines[0])
		s.lines = s.lines[1:]
	}
	s.line, s.home = s.line[:0], false
}

// last is what the screen shows.
func (s *screen) last() []string {
	shown := slices.Clone(s.bare)
	if len(s.line) > 0 {
		shown = append(shown, strings.ToValidUTF8(string(s.line), "?"))
	}
	shown = slices.DeleteFunc(shown, func(l string) bool { return strings.TrimSpace(l) == "" })
	return shown[max(0, len(shown)-logLines):]
}

// whole is all that is kept.
func (s *screen) whole() string {
	if len(s.line) > 0 {
		s.end(0)
	}
	if len(s.lines) == 0 {
		return ""
	}
	return strings.Join(s.lines, "\n") + "\n"
}
