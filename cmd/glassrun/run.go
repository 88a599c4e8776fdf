package main

import (
	"encoding/json"
	"errors"
	"os"

	"glassbox/oci"
	"glassbox/program"
)

// runContainer is `glassrun run`: create and start the container of a bundle, wait for its end, leave nothing.
func runContainer(g globals, args []string) error {
	flags := flagSet("run")
	var o oci.RunOptions
	explain := creationFlags(flags, &o.Options)
	boolVar(flags, &o.Detach, "detach", "d")
	boolVar(flags, &o.NoSubreaper, "no-subreaper")
	var keep, step bool
	boolVar(flags, &keep, "keep")
	boolVar(flags, &step, "step")
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	o.Explain = g.explains(*explain)
	if step {
		s, err := newStepper()
		if err != nil {
			return err
		}
		defer s.Close()
		o.Step = asking(s)
	}
	signals := catchUnless(o.Detach)
	s, account, err := g.store().Run(ids[0], o)
	if err := errors.Join(err, g.tell(*explain, account)); err != nil || o.Detach {
		return err
	}
	remove := ids[0]
	if keep {
		remove = ""
	}
	return g.attend(s, signals, remove)
}

// explains: an account is for --explain and for the log of --debug.
func (g globals) explains(where string) bool { return where != "" || g.debug }

// tell writes the account to a file, or for people to stderr.
func (g globals) tell(where string, accounts []program.Account) error {
	if g.debug {
		g.account(accounts)
	}
	if where == "" {
		return nil
	}
	if where == "-" {
		return program.Write(os.Stderr, accounts, program.Style{})
	}
	b, err := json.Marshal(accounts)
	if err != nil {
		return err
	}
	return os.WriteFile(where, b, 0o644)
}
