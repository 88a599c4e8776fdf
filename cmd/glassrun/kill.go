package main

import "glassbox/oci"

// killContainer is `glassrun kill`.
func killContainer(g globals, args []string) error {
	flags := flagSet("kill")
	var all bool
	boolVar(flags, &all, "all", "a")
	words, err := parse(flags, args, 1, 2)
	if err != nil {
		return err
	}
	signal, err := oci.ParseSignal(append(words, "SIGTERM")[1])
	if err != nil {
		return err
	}
	return g.store().Kill(words[0], signal, all)
}
