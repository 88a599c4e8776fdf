package main

import (
	"os"

	"glassbox/oci"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// explainBundle is `glassrun explain`: what run would ask of the kernel. Nothing is asked.
func explainBundle(g globals, args []string) error {
	flags := flagSet("explain")
	var format string
	bundle := "."
	stringVar(flags, &bundle, "bundle", "b")
	formatVar(flags, &format, "text", "json")
	ids, err := parse(flags, args, 0, 1)
	if err != nil {
		return err
	}
	plan, err := g.store().Plan(append(ids, "ID")[0], oci.Options{Bundle: bundle})
	if err != nil {
		return err
	}
	if format == "json" {
		return program.WriteJSON(os.Stdout, plan)
	}
	return program.Write(os.Stdout, plan, style(os.Stdout))
}

// style is coloured on a terminal.
func style(f *os.File) program.Style {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return program.Style{Colour: err == nil && os.Getenv("NO_COLOR") == ""}
}
