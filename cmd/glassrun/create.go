package main

import (
	"errors"
	"flag"

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
	o.Explain = *explain != ""
	account, err := g.store().Create(ids[0], o)
	return errors.Join(err, tell(*explain, account))
}

// creationFlags are what create and run have in common.
func creationFlags(flags *flag.FlagSet, o *oci.Options) (explain *string) {
	for _, name := range []string{"bundle", "b"} {
		flags.StringVar(&o.Bundle, name, ".", "the bundle: a directory with config.json")
	}
	flags.StringVar(&o.ConsoleSocket, "console-socket", "", "socket that is handed the terminal's master")
	flags.StringVar(&o.PidFile, "pid-file", "", "file for the process's number")
	flags.StringVar(&o.PidfdSocket, "pidfd-socket", "", "socket that is handed a pidfd of the process")
	flags.IntVar(&o.Preserve, "preserve-fds", 0, "pass so many descriptors from 3 on to the process")
	return flags.String("explain", "", "write what was asked of the kernel to this file, as JSON; - prints it on stderr")
}
