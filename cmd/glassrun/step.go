package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// stepper asks before each step of a start whether to go on.
type stepper struct {
	in    io.Reader
	out   io.Writer
	style program.Style
	runs  bool           // on, without asking
	stop  chan os.Signal // instead of an answer
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
	answer, err := s.answer()
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case answer == "q":
		return errors.New("stopped here, as you asked for")
	}
	if s.runs = answer == "c"; s.runs {
		signal.Stop(s.stop)
	}
	return nil
}

// answer waits for a line. A signal ends the start as q does: everything is taken back.
func (s *stepper) answer() (line string, err error) {
	read := make(chan struct{})
	go func() {
		line, err = s.line()
		close(read)
	}()
	select {
	case <-read:
		return line, err
	case signal := <-s.stop:
		return "", errors.New(signal.String())
	}
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

func newStepper() *stepper {
	s := &stepper{in: os.Stdin, out: os.Stderr, style: style(os.Stderr), stop: make(chan os.Signal, 1)}
	signal.Notify(s.stop, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	return s
}
