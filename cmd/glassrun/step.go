package main

import (
	"context"
	"os"

	"glassbox/program"
	"glassbox/screen"
	"glassbox/stepper"
)

// newStepper asks at the terminal before each step of a start whether to go on.
func newStepper() (*stepper.Stepper, error) {
	how := screen.Style{Width: style(os.Stderr).Width, Colour: style(os.Stderr).Colour}
	return stepper.New(stepper.Options{In: os.Stdin, Out: os.Stderr, Style: how})
}

// asking has a stepper answer for a start of this process's own.
func asking(s *stepper.Stepper) func(program.Stop) (program.Answer, error) {
	return func(stop program.Stop) (program.Answer, error) { return s.Ask(context.Background(), stop) }
}
