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
	boolVar(flags, &o.Keep, "keep")
	boolVar(flags, &o.NoSubreaper, "no-subreaper")
	var step bool
	boolVar(flags, &step, "step")
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	o.Explain = g.explains(*explain)
	if step {
		o.Step = newStepper().ask
	}
	r, account, err := g.store().Run(ids[0], o)
	if err := errors.Join(err, g.tell(*explain, account)); err != nil || o.Detach {
		return err
	}
	code, err := attend(&r.Session)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	return exit(code)
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
