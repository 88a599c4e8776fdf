package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/moby/term"
	"github.com/spf13/pflag"
	"github.com/urfave/cli/v2"
)

// session is one run of the program: its streams, what it was called, and the engine once a command needs it.
type session struct {
	name      string // glassbox or docker
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
	beside    io.Writer // where lines go while something is drawn on stderr
	porcelain bool
	open      func() (*backend, error)
	opened    *backend
	file      *configfile.ConfigFile
	verbs     map[*cli.Command]verb // what the leaves of the tree do
	acting    string                // the command that runs: "glassbox stop"
}

func newSession(name string, stdin io.Reader, stdout, stderr io.Writer) *session {
	s := &session{name: name, stdin: stdin, stdout: stdout, stderr: stderr, beside: stderr, verbs: map[*cli.Command]verb{}}
	s.open = func() (*backend, error) {
		warn := func(message string) { fmt.Fprintf(s.beside, "%s: %s\n", name, oneLine(message)) }
		tell := func(message string) {
			if !s.porcelain && !s.isDocker() {
				warn(message)
			}
		}
		return openEngine(s.acting, warn, tell)
	}
	return s
}

// run parses the options before the command, then hands over to the command tree.
func (s *session) run(args []string) int {
	global := s.globalFlags()
	if err := global.Parse(args); err != nil {
		return s.report(flagFailure(s.name, s.name+" [OPTIONS] COMMAND [ARG...]", err))
	}
	if err := refuseGlobal(global); err != nil {
		return s.report(err)
	}
	s.porcelain = isSet(global, "porcelain")
	if dir := global.Lookup("config").Value.String(); dir != "" {
		config.SetDir(dir)
	}
	switch {
	case isSet(global, "version"):
		fmt.Fprintln(s.stdout, s.versionLine())
		return 0
	case global.NArg() == 0:
		out := s.stdout
		if s.isDocker() && !isSet(global, "help") {
			out = s.stderr
		}
		s.rootHelp(out, s.tree())
		return 0
	case isSet(global, "help"):
		return s.dispatch(context.Background(), append([]string{"help"}, global.Args()...))
	}
	ctx, stop := s.interruptible()
	defer stop()
	return s.dispatch(ctx, global.Args())
}

// dispatch runs the command that args name.
func (s *session) dispatch(ctx context.Context, args []string) int {
	err := s.tree().RunContext(ctx, append([]string{s.name}, args...))
	code := s.report(err)
	var sig terminated
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &sig) {
		return 128 + int(sig)
	}
	return code
}

func isSet(f *pflag.FlagSet, name string) bool {
	on, err := f.GetBool(name)
	return err == nil && on
}

// interruptible is a context that the first SIGINT or SIGTERM ends; the third ends the program, whatever it does: the
// guard then restores the terminal. Commands that pass signals on to a container catch them too and go on.
func (s *session) interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	arrived := make(chan os.Signal, 3)
	signal.Notify(arrived, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for n := 1; ; n++ {
			sig, open := <-arrived
			if !open {
				return
			}
			cancel(terminated(sig.(syscall.Signal)))
			if n == 3 {
				fmt.Fprint(s.stderr, "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n")
				os.Exit(1)
			}
		}
	}()
	return ctx, func() { signal.Stop(arrived); close(arrived); cancel(nil) }
}

// terminated is the cause of a context that a signal ended.
type terminated syscall.Signal

func (t terminated) Error() string { return syscall.Signal(t).String() }

// Is makes it the cancellation that it is, for those who return a context's cause.
func (t terminated) Is(target error) bool { return target == context.Canceled }

// backend opens the engine at its first use: help, completion and flag errors need none.
func (s *session) backend() (*backend, error) {
	if s.opened == nil {
		b, err := s.open()
		if err != nil {
			return nil, engineFailure(err)
		}
		s.opened = b
	}
	return s.opened, nil
}

// configFile is Docker's config.json; one that cannot be read is warned of, as Docker does, and taken as empty. Unlike
// Docker's loader this one does not search $PATH for credential helpers: only pull needs them, and looks itself.
func (s *session) configFile() *configfile.ConfigFile {
	if s.file == nil {
		file, err := config.Load(config.Dir())
		if err != nil {
			fmt.Fprintln(s.stderr, "WARNING: Error", err)
		}
		s.file = file
	}
	return s.file
}

func (s *session) isDocker() bool { return s.name == "docker" }

// explains says whether a person reads the errors: hints are for terminals, and never for programs that think that this is docker.
func (s *session) explains() bool {
	return !s.porcelain && !s.isDocker() && isTerminal(s.stderr)
}

func isTerminal(stream any) bool {
	_, is := term.GetFdInfo(stream)
	return is
}
