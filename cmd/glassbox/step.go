package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"glassbox/stepper"

	"github.com/spf13/pflag"
)

// stepFlags are --step and --script, of the commands whose requests can be stepped through.
type stepFlags struct {
	from   string // the phase at which pausing begins
	script string
	set    *pflag.FlagSet
	phases []string
	with   *stepper.Stepper // nil: nobody steps
}

// atOnce is --step without a phase.
const atOnce = "first"

func (f *stepFlags) define(set *pflag.FlagSet, phases ...string) {
	f.set, f.phases = set, phases
	set.StringVar(&f.from, "step", "", "Pause before each request made of the kernel, from this phase on: "+strings.Join(phases, ", "))
	set.Lookup("step").NoOptDefVal = atOnce
	set.StringVar(&f.script, "script", "", "Answer the pauses of --step from a file, a command a line")
	own(set, "step")
	own(set, "script")
}

func (f *stepFlags) wanted() bool { return f.set.Changed("step") || f.set.Changed("script") }

// check refuses a phase that no plan has.
func (f *stepFlags) check() error {
	if f.set.Changed("step") && f.from != atOnce && !slices.Contains(f.phases, f.from) {
		return fmt.Errorf("invalid argument %q for --step: the phases are %s", f.from, strings.Join(f.phases, ", "))
	}
	return nil
}

// stepping has the engine ask before each request, if that is wanted. It reads the script, or finds the terminal, before anything is started.
func (c *call) stepping(f *stepFlags) (err error) {
	if !f.wanted() {
		return nil
	}
	o := stepper.Options{Out: c.stderr, Style: style(c.stderr, false)}
	if f.from != atOnce {
		o.From = f.from
	}
	if f.script != "" {
		o.Script, err = readScript(f.script)
	} else {
		o.In, err = c.askingTerminal()
	}
	if err != nil {
		return err
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	if f.with, err = stepper.New(o); err != nil {
		return err
	}
	b.step(f.with.Ask)
	return nil
}

// finish ends the stepping: what comes now is the container's. Finishing twice is no error.
func (f *stepFlags) finish() {
	if f.with != nil {
		f.with.Close()
		f.with = nil
	}
}

func readScript(name string) (*stepper.Script, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return stepper.ReadScript(name, f)
}

// askingTerminal is where the user types: standard input, or, where that is a pipe with what the container shall read, the terminal that the
// command belongs to.
func (c *call) askingTerminal() (*os.File, error) {
	if f, is := c.stdin.(*os.File); is && isTerminal(f) {
		return f, nil
	}
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("--step asks at a terminal, and this command has none: --script FILE answers from a file")
	}
	return f, nil
}
