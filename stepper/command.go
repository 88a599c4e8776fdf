package stepper

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// command is one line of the user's or of a script's.
type command struct {
	word string
	name string // of break
}

// The words that a command can have.
const (
	nextWord     = "next"
	skipWord     = "skip"
	continueWord = "continue"
	breakWord    = "break"
	inspectWord  = "inspect"
	quitWord     = "quit"
	helpWord     = "help"
)

// parse reads a line: a word, or its first letter.
func parse(line string) (command, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return command{word: nextWord}, nil
	}
	for _, word := range []string{nextWord, skipWord, continueWord, breakWord, inspectWord, quitWord, helpWord} {
		if fields[0] != word && fields[0] != word[:1] && !(word == helpWord && fields[0] == "?") {
			continue
		}
		switch {
		case word == breakWord && len(fields) == 2:
			return command{word, fields[1]}, nil
		case word == breakWord:
			return command{}, fmt.Errorf("b wants one name: of a system call, a phase, a mechanism, or a field of config.json")
		case len(fields) > 1:
			return command{}, fmt.Errorf("%s takes no more words", fields[0])
		}
		return command{word: word}, nil
	}
	return command{}, fmt.Errorf("%q is no command", line)
}

func (c command) String() string { return strings.TrimSpace(c.word + " " + c.name) }

// Script is a file of commands, one a line. Empty lines and what follows a # are nothing; after its end all runs on.
type Script struct{ commands []command }

// ReadScript reads a script whole, so that a mistake is told before anything is started.
func ReadScript(file string, r io.Reader) (*Script, error) {
	s := &Script{}
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		line, _, _ := strings.Cut(in.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		c, err := parse(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		s.commands = append(s.commands, c)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return s, nil
}

func (s *Script) next() command {
	if len(s.commands) == 0 {
		return command{word: continueWord}
	}
	c := s.commands[0]
	s.commands = s.commands[1:]
	return c
}
