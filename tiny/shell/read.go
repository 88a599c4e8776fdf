package shell

import (
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/expand"
)

// lineWanted is what read was asked for.
type lineWanted struct {
	raw, silent bool
	limit       int // bytes; 0 is no limit
	delimiter   byte
	until       time.Time
}

// read is the builtin: read [-rs] [-p PROMPT] [-n BYTES] [-t SECONDS] [-d BYTE] [-u FD] [NAME...].
func (s *Shell) read(args []string) int {
	want := lineWanted{delimiter: '\n'}
	fd, prompt := s.files.number(0), ""
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0]
		args = args[1:]
		if word == "--" {
			break
		}
		for i := 1; i < len(word); i++ {
			letter := word[i]
			if letter == 'r' || letter == 's' {
				want.raw = want.raw || letter == 'r'
				want.silent = want.silent || letter == 's'
				continue
			}
			value := word[i+1:]
			if value == "" {
				if len(args) == 0 || strings.IndexByte("pntdu", letter) < 0 {
					s.errorf("read: illegal option -%c", letter)
					return 2
				}
				value, args = args[0], args[1:]
			}
			number, err := strconv.ParseFloat(value, 64)
			switch {
			case letter == 'p':
				prompt = value
			case letter == 'd':
				want.delimiter = append([]byte(value), 0)[0]
			case err != nil || number < 0:
				s.errorf("read: %s: invalid number", value)
				return 2
			case letter == 'n':
				want.limit = int(number)
			case letter == 't':
				want.until = time.Now().Add(time.Duration(number * float64(time.Second)))
			case letter == 'u':
				fd = s.files.number(int(number))
			}
			break
		}
	}
	if prompt != "" && isTerminal(fd) {
		io.WriteString(s.stderr(), prompt)
	}
	return s.readInto(fd, want, args)
}

func (s *Shell) readInto(fd int, want lineWanted, names []string) int {
	if want.silent || want.limit > 0 {
		if modes, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			changed := *modes
			if want.silent {
				changed.Lflag &^= unix.ECHO
			}
			if want.limit > 0 {
				changed.Lflag &^= unix.ICANON
				changed.Cc[unix.VMIN], changed.Cc[unix.VTIME] = 1, 0
			}
			unix.IoctlSetTermios(fd, unix.TCSETS, &changed)
			defer unix.IoctlSetTermios(fd, unix.TCSETS, modes)
		}
	}
	text, code := s.readLine(fd, want)
	if len(names) == 0 {
		s.assign("REPLY", text)
		return code
	}
	values := expand.ReadFields(s.config, text, len(names), want.raw)
	for i, name := range names {
		value := ""
		if i < len(values) {
			value = values[i]
		}
		if !s.assign(name, value) {
			return 2
		}
	}
	return code
}

// readLine reads bytes, and no more than it needs: what follows the line belongs to the next reader. A trapped signal ends it.
func (s *Shell) readLine(fd int, want lineWanted) (string, int) {
	s.traps.shared.listen()
	var text []byte
	escaped := false
	var buf [1]byte
	for {
		if code := s.awaitInput(fd, want.until); code != 0 {
			return string(text), code
		}
		n, err := unix.Read(fd, buf[:])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if n <= 0 {
			return string(text), 1
		}
		b := buf[0]
		switch {
		case !want.raw && b == '\\' && !escaped:
			escaped = true
			text = append(text, b)
			continue
		case escaped && b == '\n':
			text = text[:len(text)-1]
		case b == want.delimiter && !escaped:
			return string(text), 0
		case b != 0:
			text = append(text, b)
		}
		escaped = false
		if want.limit > 0 && len(text) >= want.limit {
			return string(text), 0
		}
	}
}

func (s *Shell) awaitInput(fd int, until time.Time) int {
	for {
		s.traps.shared.drain()
		if sig := s.caught(); sig != 0 {
			return 128 + int(sig)
		}
		if s.interactive && s.interrupted.Load() {
			return 130
		}
		left := -1
		if !until.IsZero() {
			left = max(0, int(time.Until(until).Milliseconds()))
		}
		ready, late := s.pollAgain(fd, left)
		if ready || fd < 0 {
			return 0
		}
		if late && left >= 0 {
			return 1
		}
	}
}
