package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"
)

// verb is one command: how it is called, what its help says, and what it does. Its flags are made only when it runs.
type verb struct {
	use     string   // "run [OPTIONS] IMAGE [COMMAND] [ARG...]"; a second form on a line of its own, behind a tab
	alias   []string // other names in the same place
	same    string   // all its spellings, for the help: "container run, run"
	short   string   // one line for lists of commands
	long    string   // what its own help says instead of it
	min     int      // how many arguments it takes
	max     int      // -1: any number
	bare    bool     // flags end at the first argument, which is another program's command line
	starts  bool     // it will start a container: a monitor for it can come up while flags are read and the container is made
	hidden  bool
	group   string // heading in the root's help
	offers  offer  // what its arguments name, for completion
	prepare func(*call) action
}

// action does the command, after its flags were parsed.
type action func(ctx context.Context, args []string) error

// call is a verb being run.
type call struct {
	*session
	flags *pflag.FlagSet
	path  string // "docker container run"

	catching <-chan struct{} // closed as soon as the signals are caught that connect passes on
}

func (v verb) name() string { return strings.SplitN(v.use, " ", 2)[0] }

// renamed is the same verb under a management command, where Docker may spell it otherwise.
func (v verb) renamed(use string, alias ...string) verb {
	v.use, v.alias, v.group = use, alias, ""
	return v
}

// under is the same verb below a management command.
func (v verb) under() verb {
	v.group = ""
	return v
}

// command puts the verb into the tree. Flags are left to pflag: Docker's syntax is pflag's (-it, -p8080:80, stop at IMAGE).
func (s *session) command(parent string, v verb) *cli.Command {
	c := &cli.Command{
		Name: v.name(), Aliases: v.alias, Usage: v.short, Category: v.group, Hidden: v.hidden,
		SkipFlagParsing: true, HideHelp: true, HideHelpCommand: true,
		Action: func(c *cli.Context) error { return s.invoke(c.Context, parent+" "+v.name(), v, c.Args().Slice()) },
	}
	s.verbs[c] = v
	return c
}

func (s *session) invoke(ctx context.Context, path string, v verb, args []string) error {
	s.acting = path
	if v.starts && len(args) > 0 && args[0] != "--help" {
		if b, err := s.backend(); err == nil {
			b.containers.Warm()
		}
	}
	c, act := s.prepared(path, v)
	if err := c.flags.Parse(args); err != nil {
		return flagFailure(path, c.usageLine(v), err)
	}
	if isSet(c.flags, "help") {
		c.help(v)
		return nil
	}
	if dir := c.flags.Lookup("rootfs"); dir != nil && dir.Changed {
		v.min = 0 // the directory stands for the image
	}
	if err := c.checkArity(v, c.flags.NArg()); err != nil {
		return err
	}
	return act(ctx, c.flags.Args())
}

// prepared defines the verb's flags.
func (s *session) prepared(path string, v verb) (*call, action) {
	c := &call{session: s, path: path, flags: pflag.NewFlagSet(path, pflag.ContinueOnError)}
	c.flags.SetOutput(s.stderr)
	if s.isDocker() {
		c.flags.SetOutput(s.stdout) // where Docker says that a flag is deprecated
	}
	c.flags.SetInterspersed(!v.bare)
	c.flags.Usage = func() {}
	act := v.prepare(c)
	if c.flags.Lookup("help") == nil {
		c.flags.BoolP("help", "h", false, "Print usage")
		_ = c.flags.MarkHidden("help")
		if s.isDocker() {
			_ = c.flags.MarkShorthandDeprecated("help", "use --help")
		}
	}
	return c, act
}

func (c *call) usageLine(v verb) string {
	parent := c.path[:strings.LastIndexByte(c.path, ' ')]
	return parent + " " + strings.ReplaceAll(v.use, "\n\t", "\n\t"+c.name+" ") // a second form has a line of its own
}

// checkArity words what Docker's cli/required.go words.
func (c *call) checkArity(v verb, n int) error {
	var wants string
	switch {
	case n >= v.min && (v.max < 0 || n <= v.max):
		return nil
	case v.max == 0:
		return arityFailure(c.path, c.usageLine(v), "accepts no arguments", "Run")
	case v.min == v.max:
		return arityFailure(c.path, c.usageLine(v), "requires "+plural(v.min), "Run")
	case v.max < 0:
		wants = "requires at least " + plural(v.min)
	case v.min == 0:
		return arityFailure(c.path, c.usageLine(v), "requires at most "+plural(v.max), "SRun") // Docker's own slip
	default:
		return arityFailure(c.path, c.usageLine(v), fmt.Sprintf("requires at least %d and at most %s", v.min, plural(v.max)), "Run")
	}
	return arityFailure(c.path, c.usageLine(v), wants, "See")
}

func plural(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}
