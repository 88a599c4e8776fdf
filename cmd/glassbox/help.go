package main

import (
	"cmp"
	"context"
	"io"
	"strings"

	"github.com/moby/term"
	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"
)

func helpVerb() verb {
	return verb{
		use: "help [COMMAND]", short: "Help about the command", max: -1, group: commands, offers: offerCommands,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error { return c.helpAbout(args) }
		},
	}
}

// helpAbout shows the help of the command that args name.
func (s *session) helpAbout(args []string) error {
	app := s.tree()
	if len(args) == 0 {
		s.rootHelp(s.stdout, app)
		return nil
	}
	found := &cli.Command{Subcommands: app.Commands}
	path := s.name
	for _, word := range args {
		if found = found.Command(word); found == nil {
			return plainFailure("unknown help topic: %s", strings.Join(args, " "))
		}
		path += " " + found.Name
	}
	if len(found.Subcommands) > 0 {
		s.nounHelp(s.stdout, found)
		return nil
	}
	v := s.verbs[found]
	c, _ := s.prepared(path, v)
	c.help(v)
	return nil
}

// help is a command's help in Docker's shape.
func (c *call) help(v verb) {
	put(c.stdout, "Usage:  %s\n\n%s\n", c.usageLine(v), cmp.Or(v.long, v.short))
	if v.same != "" {
		put(c.stdout, "\nAliases:\n  %s\n", c.spellings(v))
	}
	if c.isDocker() {
		c.flags.VisitAll(asDocker)
	}
	if c.flags.HasAvailableFlags() {
		put(c.stdout, "\nOptions:\n%s\n", strings.TrimRight(c.flags.FlagUsagesWrapped(c.width()-1), " \n"))
	}
}

// own annotates a flag that Docker does not have, or (with a usage) one of which its help says something else, be it that ours hides
// it: who asks docker for help is told what Docker tells.
func own(f *pflag.FlagSet, name string, usage ...string) { _ = f.SetAnnotation(name, "docker", usage) }

func asDocker(f *pflag.Flag) {
	usage, is := f.Annotations["docker"]
	f.Hidden = f.Hidden && !is || is && len(usage) == 0
	for _, u := range usage {
		f.Usage = u
	}
}

// spellings puts the program's name before each.
func (c *call) spellings(v verb) string {
	all := strings.Split(v.same, ", ")
	for i, s := range all {
		all[i] = c.name + " " + s
	}
	return strings.Join(all, ", ")
}

// width is the terminal's, or 80.
func (s *session) width() int {
	if fd, is := term.GetFdInfo(s.stdin); is {
		if ws, err := term.GetWinsize(fd); err == nil && ws.Width > 0 {
			return int(ws.Width)
		}
	}
	return 80
}

// rootHelp lists the commands by groups, and what to do next.
func (s *session) rootHelp(w io.Writer, app *cli.App) {
	put(w, "Usage:  %s [OPTIONS] COMMAND\n\n%s\n", s.name, app.Usage)
	for _, g := range groups {
		list(w, g, app.Commands)
	}
	put(w, "\nGlobal Options:\n%s\n", strings.TrimRight(s.globalFlags().FlagUsages(), " \n"))
	put(w, "\nRun '%s COMMAND --help' for more information on a command.\n", s.name)
	put(w, "\nNext: %s run --rm --explain hello-world\n", s.name)
}

// nounHelp lists a management command's verbs.
func (s *session) nounHelp(w io.Writer, n *cli.Command) {
	path := s.name + " " + n.Name
	put(w, "Usage:  %s COMMAND\n\n%s\n", path, n.Usage)
	list(w, "", n.Subcommands)
	put(w, "\nRun '%s COMMAND --help' for more information on a command.\n", path)
}

func list(w io.Writer, group string, all []*cli.Command) {
	heading := group
	if heading == "" {
		heading = commands
	}
	put(w, "\n%s:\n", heading)
	for _, c := range all {
		if c.Category == group && !c.Hidden {
			put(w, "  %-11s %s\n", c.Name, c.Usage)
		}
	}
}
