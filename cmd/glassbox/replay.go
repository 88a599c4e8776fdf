package main

import (
	"context"
	"errors"
	"os"
	"time"

	"glassbox/engine"
	"glassbox/recording"

	"github.com/spf13/pflag"
)

// replayFlags are those of replay.
type replayFlags struct {
	set   *pflag.FlagSet
	step  bool
	delay time.Duration
	at    int
	raw   bool
	plain *bool
}

func replayVerb() verb {
	return verb{
		use:   "replay [OPTIONS] FILE",
		short: "Show a recorded run, screen by screen", min: 1, max: 1, group: seeThrough,
		long: "Show a recorded run, screen by screen. It needs no rights and nothing of the machine.\n" +
			"On a terminal it asks after each screen; into a pipe it prints all. Escape sequences in it are written out, unless --raw.",
		prepare: func(c *call) action {
			f := replayFlags{set: c.flags}
			c.flags.BoolVar(&f.step, "step", false, "Ask after each screen, also where that is no terminal")
			c.flags.DurationVar(&f.delay, "delay", 0, "Go on by itself, so long after each screen (2s)")
			c.flags.IntVar(&f.at, "at", 0, "Show this screen only, from 1")
			c.flags.BoolVar(&f.raw, "raw", false, "Write the output of a container that had a terminal as it was, escape sequences and all")
			f.plain = plainFlag(c.flags)
			return func(ctx context.Context, args []string) error { return c.replay(ctx, &f, args[0]) }
		},
	}
}

func (f *replayFlags) check() error {
	modes := 0
	for _, name := range []string{"step", "delay", "at"} {
		if f.set.Changed(name) {
			modes++
		}
	}
	switch {
	case modes > 1:
		return plainFailure("conflicting options: --step, --delay and --at are three ways of showing")
	case f.delay < 0:
		return plainFailure("invalid argument %q for --delay: it is below zero", f.delay)
	}
	return nil
}

func (c *call) replay(ctx context.Context, f *replayFlags, path string) error {
	if err := f.check(); err != nil {
		return err
	}
	file, size, err := regular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := recording.Read(file, size)
	var other *recording.OtherFormat
	switch {
	case errors.As(err, &other):
		return &failure{cause: err, line: path + ": " + err.Error(), docker: err.Error(), code: 1, fix: "replay it with the glassbox that recorded it"}
	case err != nil:
		return plainFailure("%s: %w", path, err)
	case f.raw && !r.Terminal:
		return plainFailure("--raw: the container had no terminal, and its output is shown as text")
	}
	p := &recording.Player{Reader: r, Out: c.stdout, Style: style(c.stdout, *f.plain), Version: engine.Version, Raw: f.raw}
	if size, ok := windowSize(c.stdout); ok {
		p.Height = int(size.Rows)
	}
	switch {
	case f.set.Changed("at"):
		err = p.One(f.at)
	case f.step || !f.set.Changed("delay") && isTerminal(c.stdout) && isTerminal(c.stdin):
		err = p.Step(c.stdin)
	default:
		err = p.All(ctx, f.delay)
	}
	if err != nil && ctx.Err() == nil {
		return plainFailure("%w", err)
	}
	return err
}

// regular opens a file that can be read from anywhere.
func regular(path string) (*os.File, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, plainFailure("%w", err)
	}
	st, err := file.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New(path + " is not a regular file")
	}
	if err != nil {
		file.Close()
		return nil, 0, plainFailure("%w", err)
	}
	return file, st.Size(), nil
}
