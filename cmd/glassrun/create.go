package main

import (
	"errors"
	"flag"
	"os"
	"strconv"

	"glassbox/oci"
)

// createContainer is `glassrun create`.
func createContainer(g globals, args []string) error {
	flags := flagSet("create")
	var o oci.Options
	explain := creationFlags(flags, &o)
	ids, err := parse(flags, args, 1, 1)
	if err != nil {
		return err
	}
	o.Explain = g.explains(*explain)
	account, err := g.store().Create(ids[0], o)
	return errors.Join(err, g.tell(*explain, account))
}

// creationFlags are what create and run have in common.
func creationFlags(flags *flag.FlagSet, o *oci.Options) (explain *string) {
	o.Bundle = "."
	stringVar(flags, &o.Bundle, "bundle", "b")
	boolVar(flags, &o.NoPivot, "no-pivot")
	boolVar(flags, &o.Keyring, "no-new-keyring")
	handoverFlags(flags, &o.Handover)
	return explainFlag(flags)
}

// handoverFlags are what create, run and exec have in common: what the engine gets of the process, and gives it.
func handoverFlags(flags *flag.FlagSet, h *oci.Handover) {
	stringVar(flags, &h.ConsoleSocket, "console-socket")
	stringVar(flags, &h.PidfdSocket, "pidfd-socket")
	stringVar(flags, &h.PidFile, "pid-file")
	flags.IntVar(&h.Preserve, "preserve-fds", 0, "")
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) { // sd_listen_fds(3)
		h.Sockets, _ = strconv.Atoi(os.Getenv("LISTEN_FDS"))
	}
}

func explainFlag(flags *flag.FlagSet) *string {
	return flags.String("explain", "", "")
}
