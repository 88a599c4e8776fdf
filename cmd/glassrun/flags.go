package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
)

// flagSet is a set of flags whose errors are ours to print. It takes -x and --x alike.
func flagSet(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// formatVar defines --format, which takes one of some words; the first is the default.
func formatVar(flags *flag.FlagSet, at *string, words ...string) {
	*at = words[0]
	c := &choice{at, words}
	flags.Var(c, "format", "")
	flags.Var(c, "f", "")
}

// choice is a flag that takes some words only.
type choice struct {
	value *string
	words []string
}

func (c *choice) String() string { return "" }

func (c *choice) Set(v string) error {
	if !slices.Contains(c.words, v) {
		return errors.New("invalid format option")
	}
	*c.value = v
	return nil
}

// parse reads a command's flags, before and behind its arguments, and checks how many arguments there are. most is -1 where any number may follow.
func parse(flags *flag.FlagSet, args []string, least, most int) ([]string, error) {
	var words []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, wanted(flags, err)
		}
		rest := flags.Args()
		if ended := len(args) - len(rest); len(rest) == 0 || ended > 0 && args[ended-1] == "--" { // after which no word is a flag
			words = append(words, rest...)
			break
		}
		words, args = append(words, rest[0]), rest[1:]
	}
	return words, counted(flags.Name(), words, least, most)
}

// parseLeading reads the flags before the first argument. What follows that is somebody else's.
func parseLeading(flags *flag.FlagSet, args []string, least, most int) ([]string, error) {
	if err := flags.Parse(args); err != nil {
		return nil, wanted(flags, err)
	}
	return flags.Args(), counted(flags.Name(), flags.Args(), least, most)
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

// helpWanted is the error of a command line with --help. It has the flags, which only the command knows.
type helpWanted struct{ flags *flag.FlagSet }

func (h *helpWanted) Error() string { return "help wanted for " + h.flags.Name() }

func wanted(flags *flag.FlagSet, err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return &helpWanted{flags}
	}
	return err
}
