package main

import (
	"errors"
	"fmt"

	"glassbox/engine"
	"glassbox/program"

	"github.com/spf13/pflag"
)

// tellFlags are --explain, --step and what goes with them, of the commands whose requests of the kernel can be told, or asked about. Docker has
// none of them.
type tellFlags struct {
	explain bool
	format  string
	step    stepFlags
}

func (f *tellFlags) define(set *pflag.FlagSet, purpose string, phases ...string) {
	set.BoolVar(&f.explain, "explain", false, "Print every request made of the kernel to "+purpose)
	set.StringVar(&f.format, "format", "", "Format of --explain: text or json")
	own(set, "explain")
	own(set, "format")
	f.step.define(set, phases...)
}

// The phases in which somebody can be asked.
var (
	startPhases = []string{"cgroup", "namespaces", "ids", "files", "network", "start"}
	stopPhases  = []string{"signal", "grace", "kill", "unplug"}
)

// check refuses what cannot be told, of so many containers.
func (f *tellFlags) check(containers int) error {
	if err := checkExplain(f.explain, f.format); err != nil {
		return err
	}
	if containers > 1 && (f.explain || f.step.wanted()) {
		return errors.New("--explain and --step are about one container at a time")
	}
	return f.step.check()
}

// account prints what was asked of the kernel to start the container, before its output. failed is what the start ended with, if it did.
func (c *call) account(f *tellFlags, id string, failed error) error {
	all, err := c.started(f, id, failed)
	if err != nil || all == nil {
		return err
	}
	return c.writeAccount(c.stderr, all, f.format)
}

// started is what was asked of the kernel to start the container; nil where nobody wants to know.
func (c *call) started(f *tellFlags, id string, failed error) ([]program.Account, error) {
	if !f.explain {
		return nil, nil
	}
	if failed != nil {
		return engine.AccountOf(failed), nil
	}
	b, err := c.backend()
	if err != nil {
		return nil, err
	}
	all, err := b.containers.Account(id)
	return all, engineFailure(err)
}

// runsAlready says that there is nothing to tell of, or to ask about: the container was started before.
func (c *call) runsAlready(f *tellFlags, b *backend, name string) bool {
	if !f.explain && !f.step.wanted() {
		return false
	}
	i, err := b.containers.Inspect(name, false)
	if err != nil || i.State == nil || !i.State.Running || i.State.Paused {
		return false // the start says what is the matter
	}
	fmt.Fprintf(c.stderr, "%s: container %s runs already: nothing is asked of the kernel\n", c.name, name)
	f.explain = false
	return true
}

// toldOf has the engine tell, or ask, what the flags say of the end of so many containers. done prints what was told, and ends the asking.
func (c *call) toldOf(f *tellFlags, verb string, containers int, told *func([]program.Account)) (done func(), err error) {
	if err := f.check(containers); err != nil {
		return nil, badRequest(verb, err)
	}
	if err := c.stepping(&f.step); err != nil {
		return nil, badRequest(verb, err)
	}
	if !f.explain {
		return f.step.finish, nil
	}
	var all []program.Account
	*told = func(a []program.Account) { all = append(all, a...) }
	return func() {
		f.step.finish()
		c.writeAccount(c.stderr, all, f.format) //nolint:errcheck // stderr has nowhere to complain to
	}, nil
}
