package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// Headings of the root's help, in its order.
const (
	common     = "Common Commands"
	management = "Management Commands"
	commands   = "Commands"
	seeThrough = "See-through Commands"
)

var groups = []string{common, seeThrough, management, commands}

// rootVerbs are the commands without a noun before them, in the order of Docker's help.
func rootVerbs() []verb {
	return []verb{
		runVerb(), execVerb(), psVerb(), buildVerb(), pullVerb(), pushVerb(), imagesVerb(), loginVerb(), logoutVerb(), searchVerb(), versionVerb(), infoVerb(),
		explainVerb(), viewVerb(), layersVerb(), experimentVerb(), whyVerb(), doctorVerb(), recordVerb(), replayVerb(), bootVerb(),
		attachVerb(), commitVerb(), completionVerb(), copyVerb(), createVerb(), diffVerb(), eventsVerb(), exportVerb(), helpVerb(), historyVerb(), importVerb(), inspectVerb(),
		killVerb(), loadVerb(), logsVerb(), pauseVerb(), portVerb(),
		renameVerb(), restartVerb(), rmVerb(), rmiVerb(), saveVerb(), startVerb(), statsVerb(), stopVerb(), tagVerb(), topVerb(), unpauseVerb(), updateVerb(),
		waitVerb(), completeVerb(), stageVerb(),
	}
}

func containerVerbs() []verb {
	return []verb{
		attachVerb(), cleanupVerb(), commitVerb(), copyVerb(), createVerb(), diffVerb(), execVerb(), exportVerb(), containerInspectVerb(), killVerb(), logsVerb(),
		psVerb().renamed("ls [OPTIONS]", "ps", "list"), pauseVerb(), portVerb(), containerPruneVerb(), renameVerb(), replugVerb(), restartVerb(),
		rmVerb().renamed("rm [OPTIONS] CONTAINER [CONTAINER...]", "remove"), runVerb(), startVerb(), statsVerb(), stopVerb(), topVerb(), traceVerb(),
		unpauseVerb(), updateVerb(), waitVerb(),
	}
}

func imageVerbs() []verb {
	return []verb{
		buildVerb(), historyVerb(), importVerb(), imageInspectVerb(), loadVerb(),
		imagesVerb().renamed("ls [OPTIONS] [REPOSITORY[:TAG]]", "list"), imagePruneVerb(), pullVerb(), pushVerb(),
		rmiVerb().renamed("rm [OPTIONS] IMAGE [IMAGE...]", "rmi", "remove"), saveVerb(), tagVerb(),
	}
}

func builderVerbs() []verb { return []verb{buildVerb(), builderPruneVerb()} }
func buildxVerbs() []verb  { return []verb{buildVerb(), buildxUsageVerb(), buildxPruneVerb()} }

func networkVerbs() []verb {
	return []verb{
		networkConnectVerb(), networkCreateVerb(), networkDisconnectVerb(), networkInspectVerb(), networkLsVerb(), networkPruneVerb(),
		networkRmVerb(),
	}
}

func volumeVerbs() []verb {
	return []verb{volumeCreateVerb(), volumeInspectVerb(), volumeLsVerb(), volumePruneVerb(), volumeRmVerb()}
}

func systemVerbs() []verb {
	return []verb{checkVerb(), dfVerb(), eventsVerb(), infoVerb(), systemPruneVerb()}
}

// tree is the command tree.
func (s *session) tree() *cli.App {
	app := &cli.App{
		Name: s.name, Usage: "Containers that you can see through",
		Reader: s.stdin, Writer: s.stdout, ErrWriter: s.stderr,
		SkipFlagParsing: true, HideHelp: true, HideHelpCommand: true, HideVersion: true,
		Compiled:       time.Unix(1, 0), // else a stat(2) of the binary
		ExitErrHandler: func(*cli.Context, error) {},
		Action:         func(c *cli.Context) error { return s.unknownWord(s.name, "", c) },
	}
	for _, v := range rootVerbs() {
		if v.name() == "boot" { // lessons stand in the same group, before what ends it
			app.Commands = append(app.Commands, s.labs())
		}
		app.Commands = append(app.Commands, s.command(s.name, v))
	}
	app.Commands = append(app.Commands,
		s.noun("builder", "Manage builds", builderVerbs()),
		s.noun("buildx", "Docker Buildx", buildxVerbs()),
		s.noun("container", "Manage containers", containerVerbs()),
		s.noun("image", "Manage images", imageVerbs()),
		s.noun("manifest", "Manage Docker image manifests and manifest lists", manifestVerbs()),
		s.noun("network", "Manage networks", networkVerbs()),
		s.noun("system", "Manage glassbox", systemVerbs()),
		s.noun("volume", "Manage volumes", volumeVerbs()),
	)
	return app
}

// labs is a management command that stands among those that show.
func (s *session) labs() *cli.Command {
	n := s.noun("lab", "Learn by doing: lessons with tasks, checks and hints", labVerbs())
	n.Category = seeThrough
	return n
}

// noun is a management command: alone it shows its help, on stderr as Docker does.
func (s *session) noun(name, short string, verbs []verb) *cli.Command {
	path := s.name + " " + name
	n := &cli.Command{
		Name: name, Usage: short, Category: management,
		SkipFlagParsing: true, HideHelp: true, HideHelpCommand: true,
	}
	for _, v := range verbs {
		n.Subcommands = append(n.Subcommands, s.command(path, v.under()))
	}
	n.Action = func(c *cli.Context) error {
		switch word := c.Args().First(); word {
		case "", "--help", "-h":
			out := s.stdout
			if word == "" {
				out = s.stderr
			}
			if word == "-h" && s.isDocker() {
				put(out, "Flag shorthand -h has been deprecated, use --help\n")
			}
			s.nounHelp(out, n)
			return nil
		}
		return s.unknownWord(path, path, c)
	}
	return n
}

// unknownWord is a command that does not exist, or a flag where a command is due.
func (s *session) unknownWord(path, usage string, c *cli.Context) error {
	word := c.Args().First()
	if len(word) > 1 && word[0] == '-' {
		return flagFailure(path, path+" COMMAND", badFlag(word))
	}
	known := c.App.Commands
	if c.Command != nil && len(c.Command.Subcommands) > 0 {
		known = c.Command.Subcommands
	}
	if path == s.name && slices.Contains(dockersOnly, word) {
		return plainFailure("unknown command: %s %s: this build does not have Docker's command %q yet", path, word, word)
	}
	return unknownCommand(path, usage, word, similar(known, word))
}

// similar is the command that word may have been meant for, or "".
func similar(known []*cli.Command, word string) (name string) {
	if _, err := fmt.Sscanf(cli.SuggestCommand(known, word), cli.SuggestDidYouMeanTemplate, &name); err != nil {
		return ""
	}
	if smetrics.JaroWinkler(word, name, 0.7, 4) < 0.8 {
		return ""
	}
	return name
}

func badFlag(word string) error {
	if word[1] == '-' {
		return fmt.Errorf("unknown flag: %s", word)
	}
	return fmt.Errorf("unknown shorthand flag: %q in %s", word[1], word)
}

// dockersOnly are commands of Docker's that later builds will have.
var dockersOnly = []string{
	"compose",
}

func put(w io.Writer, format string, a ...any) { fmt.Fprintf(w, format, a...) }
