package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"

	"glassbox/oci"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// execProcess is `glassrun exec`. Its own errors end with 255, as runc's do: smaller codes are the process's. Those of the command line
// are told as everybody's.
func execProcess(g globals, args []string) error {
	e := newExecFlags()
	words, err := parseLeading(e.FlagSet, args, 1, -1)
	if err != nil {
		return err
	}
	signals := catchUnless(e.options.Detach)
	s, err := e.start(g, words)
	if err != nil {
		return &coded{255, fmt.Errorf("exec failed: %w", err)}
	}
	if s == nil {
		return nil
	}
	return g.attend(s, signals, "")
}

// start starts the process. The session is nil if nobody is to wait for it.
func (e *execFlags) start(g globals, words []string) (*oci.Session, error) {
	p, err := e.process(g, words)
	if err != nil {
		return nil, err
	}
	e.options.Explain = g.explains(*e.explain)
	s, account, err := g.store().Exec(words[0], p, e.options)
	if err := errors.Join(err, g.tell(*e.explain, account)); err != nil || e.options.Detach {
		return nil, err
	}
	return s, nil
}

// execFlags are the flags of exec. Those behind the container's id are the command's.
type execFlags struct {
	*flag.FlagSet
	file       string
	explain    *string
	noNewPrivs bool
	options    oci.ExecOptions
	overrides  oci.Overrides
}

func newExecFlags() *execFlags {
	e := &execFlags{FlagSet: flagSet("exec")}
	o, over := &e.options, &e.overrides
	stringVar(e.FlagSet, &e.file, "process", "p")
	stringVar(e.FlagSet, &over.Cwd, "cwd")
	stringVar(e.FlagSet, &over.User, "user", "u")
	stringVar(e.FlagSet, &over.AppArmor, "apparmor")
	stringVar(e.FlagSet, &over.Label, "process-label")
	boolVar(e.FlagSet, &over.Terminal, "tty", "t")
	boolVar(e.FlagSet, &e.noNewPrivs, "no-new-privs")
	listVar(e.FlagSet, func(s string) error { over.Env = append(over.Env, s); return nil }, "env", "e")
	listVar(e.FlagSet, func(s string) error { over.Caps = append(over.Caps, s); return nil }, "cap", "c")
	listVar(e.FlagSet, func(s string) error {
		gid, err := strconv.ParseUint(s, 10, 32)
		over.Groups = append(over.Groups, uint32(gid))
		return err
	}, "additional-gids", "g")
	boolVar(e.FlagSet, &o.Detach, "detach", "d")
	boolVar(e.FlagSet, &o.IgnorePaused, "ignore-paused")
	boolVar(e.FlagSet, &o.NoSubreaper, "no-subreaper")
	stringVar(e.FlagSet, &o.Cgroup, "cgroup")
	handoverFlags(e.FlagSet, &o.Handover)
	e.explain = explainFlag(e.FlagSet)
	return e
}

// process is what is to run: a file says all of it, or the words and flags how it differs from the container's own.
func (e *execFlags) process(g globals, words []string) (*specs.Process, error) {
	if e.file != "" {
		return oci.ProcessFile(e.file)
	}
	if err := counted("exec", words, 2, -1); err != nil {
		return nil, err
	}
	e.overrides.Args = words[1:]
	e.Visit(func(f *flag.Flag) {
		if f.Name == "no-new-privs" {
			e.overrides.NoNewPrivs = &e.noNewPrivs
		}
	})
	return g.store().Process(words[0], e.overrides)
}
