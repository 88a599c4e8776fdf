package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"glassbox/oci"
)

// globals are the flags before the command.
type globals struct {
	root          string // where the containers are kept
	log           string // file for errors; empty: stderr only
	logFormat     string // text or json
	debug         bool
	systemdCgroup bool
	rootless      string
}

// parseGlobals reads the flags before the command, and returns the rest: the command and what follows it.
func parseGlobals(args []string) (globals, []string, error) {
	var g globals
	flags := flagSet("glassrun")
	flags.StringVar(&g.root, "root", defaultRoot(), "")
	flags.StringVar(&g.log, "log", "", "")
	flags.StringVar(&g.logFormat, "log-format", "text", "")
	flags.BoolVar(&g.debug, "debug", false, "")
	flags.BoolVar(&g.systemdCgroup, "systemd-cgroup", false, "")
	flags.StringVar(&g.rootless, "rootless", "auto", "")
	if err := flags.Parse(args); err != nil {
		return g, nil, err
	}
	var err error
	g.root, err = filepath.Abs(g.root)
	return g, flags.Args(), err
}

// defaultRoot is private to a user who is not root.
func defaultRoot() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" && os.Geteuid() != 0 {
		return filepath.Join(dir, "glassrun")
	}
	return "/run/glassrun"
}

func (g globals) store() oci.Store { return oci.Store{Root: g.root} }

// flagSet is a set of flags whose errors are ours to print. It takes -x and --x alike.
func flagSet(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse reads a command's flags, before and behind its arguments, and checks how many arguments there are. most is -1 where any number may follow.
func parse(flags *flag.FlagSet, args []string, least, most int) ([]string, error) {
	var words []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			break
		}
		words, args = append(words, flags.Arg(0)), flags.Args()[1:]
	}
	return words, counted(flags.Name(), words, least, most)
}

func counted(command string, words []string, least, most int) error {
	switch {
	case least == most && len(words) != least:
		return fmt.Errorf("%q requires exactly %d argument(s)", command, least)
	case len(words) < least:
		return fmt.Errorf("%q requires a minimum of %d argument(s)", command, least)
	case most >= 0 && len(words) > most:
		return fmt.Errorf("%q requires a maximum of %d argument(s)", command, most)
	}
	return nil
}
