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
	in    io.Reader
	out   io.Writer
	style program.Style
	runs  bool // on, without asking
}

// ask shows what came of the steps before and which comes next, and waits for an answer: Enter goes on, c runs on, q ends it.
func (s *stepper) ask(stop program.Stop) error {
	if err := stop.Write(s.out, s.style); err != nil {
		return err
	}
	if s.runs {
		return nil
	}
	fmt.Fprint(s.out, "Enter: go on, c: run on, q: quit > ")
	answer, err := s.line()
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case answer == "q":
		return errors.New("stopped here, as you asked for")
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

func newStepper() *stepper { return &stepper{in: os.Stdin, out: os.Stderr, style: style(os.Stderr)} }
