package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"glassbox/program"
)

// stepper asks before each step of a start whether to go on.
type stepper struct {
	in   io.Reader
	out  io.Writer
	runs bool // on, without asking
}

// errStopped is the end of a start that somebody has seen enough of.
var errStopped = errors.New("stopped")

// ask shows what came of the steps before and which comes next, and waits for an answer: Enter goes on, c runs on, q ends it.
func (s *stepper) ask(stop program.Stop) error {
	for _, d := range stop.Gave {
		fmt.Fprintf(s.out, "    = %s\n", d.Result)
	}
	for i, d := range stop.Next {
		where := "host"
		if stop.Number > 0 {
			where = fmt.Sprintf("%4d", stop.Number+i)
		}
		from := ""
		if d.From != "" {
			from = " (" + d.From + ")"
		}
		fmt.Fprintf(s.out, "%s  %s\n      %s%s\n", where, d.Call, d.Why, from)
	}
	if s.runs {
		return nil
	}
	fmt.Fprint(s.out, "      [Enter] next, c: run on, q: quit ")
	answer, err := s.line()
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case answer == "q":
		return errStopped
	}
	s.runs = answer == "c"
	return nil
}

// line reads up to the end of a line and not a byte more: what follows is the container's.
func (s *stepper) line() (string, error) {
	var text []byte
	var b [1]byte
	for {
		_, err := s.in.Read(b[:])
		switch {
		case err != nil:
			return "", err
		case b[0] == '\n':
			return string(text), nil
		}
		text = append(text, b[0])
	}
}

func newStepper() *stepper { return &stepper{in: os.Stdin, out: os.Stderr} }
