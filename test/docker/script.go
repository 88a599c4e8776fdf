// Package docker holds real Docker and glassbox side by side: the same sessions, their outputs compared.
package docker

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// Session is a txtar file: its comment is a script, its files stand in the working directory. A script's line is
//
//	# text      a remark
//	? memory    the session is played only where this controller is cgroup v2's to give; "? !memory": only where it is not
//	$ command   run by sh, once on each side
//	$tty cmd    the same on a terminal of 24 rows and 80 columns
//	@ text      terminal: wait until the output since the last key shows this text
//	< text      a line of standard input; on a terminal, typed and followed by Enter
//	; 500       terminal: wait so many milliseconds, where there is nothing to wait for
//	^ P Q       terminal: control characters typed
//	! reason    a wanted difference: what glassbox says instead, and why, stands in the lines that follow
//	1> text     a line of glassbox's standard output ("..." stands for any number of lines); "1-" for none at all
//	2> text     a line of glassbox's standard error; "2-" for none at all
//	= 125       glassbox's exit code
type Session struct {
	Name  string
	Needs string // a controller; with "!", its absence
	Steps []Step
	Files []txtar.File
}

// Step is one command of a session.
type Step struct {
	Line    int
	Command string
	TTY     bool
	Keys    []Key
	Wanted  *Wanted
}

// Key is one thing typed, or waited for when Await or Pause is set.
type Key struct {
	Await, Type string
	Pause       time.Duration
}

// Wanted is how glassbox is meant to differ from Docker; nil fields are as Docker's.
type Wanted struct {
	Reason         string
	Stdout, Stderr *string
	Code           *int
}

// Parse reads a session.
func Parse(name string, data []byte) (*Session, error) {
	archive := txtar.Parse(data)
	s := &Session{Name: name, Files: archive.Files}
	for i, line := range strings.Split(string(archive.Comment), "\n") {
		if err := s.add(i+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	return s, nil
}

func (s *Session) add(number int, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	if word == "" || word == "#" {
		return nil
	}
	if word == "?" {
		s.Needs = rest
		return nil
	}
	if word == "$" || word == "$tty" {
		s.Steps = append(s.Steps, Step{Line: number, Command: rest, TTY: word == "$tty"})
		return nil
	}
	if len(s.Steps) == 0 {
		return fmt.Errorf("%q comes before any command", line)
	}
	step := &s.Steps[len(s.Steps)-1]
	switch word {
	case "@":
		step.Keys = append(step.Keys, Key{Await: strings.ReplaceAll(rest, `\r\n`, "\r\n")})
	case ";":
		pause, err := time.ParseDuration(rest + "ms")
		step.Keys = append(step.Keys, Key{Pause: pause})
		return err
	case "<":
		step.Keys = append(step.Keys, Key{Type: rest + "\n"})
	case "^":
		step.Keys = append(step.Keys, Key{Type: controls(rest)})
	case "!":
		step.Wanted = &Wanted{Reason: rest}
	default:
		if step.Wanted == nil {
			return fmt.Errorf("%q needs a reason (! ...) before it", line)
		}
		return step.Wanted.add(word, rest)
	}
	return nil
}

func controls(names string) string {
	var keys strings.Builder
	for _, name := range strings.Fields(names) {
		keys.WriteByte(name[0] & 0x1f)
	}
	return keys.String()
}

func (w *Wanted) add(word, rest string) error {
	switch word {
	case "1>", "1-":
		w.Stdout = extend(w.Stdout, word, rest)
	case "2>", "2-":
		w.Stderr = extend(w.Stderr, word, rest)
	case "=":
		code, err := strconv.Atoi(rest)
		w.Code = &code
		return err
	default:
		return fmt.Errorf("unknown mark %q", word)
	}
	return nil
}

func extend(text *string, word, rest string) *string {
	var s string
	if text != nil {
		s = *text
	}
	if strings.HasSuffix(word, ">") {
		s += rest + "\n"
	}
	return &s
}
