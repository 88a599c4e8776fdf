package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"glassbox/engine"
)

func startVerb() verb {
	return verb{
		use: "start [OPTIONS] CONTAINER [CONTAINER...]", same: "container start, start",
		short: "Start one or more stopped containers", min: 1, max: -1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			attach := c.flags.BoolP("attach", "a", false, "Attach STDOUT/STDERR and forward signals")
			stdin := c.flags.BoolP("interactive", "i", false, "Attach container's STDIN")
			keys := c.flags.String("detach-keys", "", "Override the key sequence for detaching a container")
			var f tellFlags
			f.define(c.flags, "start the container", startPhases...)
			c.flags.String("checkpoint", "", "Restore from this checkpoint")
			c.flags.String("checkpoint-dir", "", "Use a custom checkpoint storage directory")
			_, _ = c.flags.MarkHidden("checkpoint"), c.flags.MarkHidden("checkpoint-dir")
			return func(ctx context.Context, args []string) error {
				if c.flags.Changed("checkpoint") || c.flags.Changed("checkpoint-dir") {
					return plainFailure("--checkpoint: this build keeps no checkpoints")
				}
				attached := *attach || *stdin
				if attached && len(args) > 1 {
					return plainFailure("you cannot start and attach multiple containers at once")
				}
				if err := c.telling(&f, args); err != nil {
					return badRequest("start", err)
				}
				defer f.step.finish()
				if !attached {
					return c.startAll(ctx, &f, args)
				}
				return c.startAttached(ctx, &f, args[0], *stdin, *keys)
			}
		},
	}
}

// telling has the engine tell, or ask, what the flags say of these containers.
func (c *call) telling(f *tellFlags, names []string) error {
	if err := f.check(len(names)); err != nil {
		return err
	}
	b, err := c.backend()
	if err != nil || c.runsAlready(f, b, names[0]) {
		return err
	}
	if f.explain {
		b.explain()
	}
	return c.stepping(&f.step)
}

func (c *call) startAll(ctx context.Context, f *tellFlags, names []string) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	var failed, started []string
	for _, name := range names {
		err := b.containers.Start(ctx, name)
		f.step.finish()
		if told := c.account(f, name, err); told != nil {
			return told
		}
		if err != nil {
			c.report(engineFailure(err))
			failed = append(failed, name)
			continue
		}
		fmt.Fprintln(c.stdout, name)
		started = append(started, name)
	}
	c.noteAll(ctx, started)
	if len(failed) > 0 {
		return plainFailure("Error: failed to start containers: %s", strings.Join(failed, ", "))
	}
	return nil
}

// noteAll gives containers that publish ports a moment to listen, and then tells what keeps others from reaching them.
func (c *call) noteAll(ctx context.Context, names []string) {
	if !c.explains() {
		return
	}
	for _, name := range names {
		c.noteBlocked(name)
	}
	names = c.publishing(names)
	if len(names) == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		for _, name := range names {
			c.noteDeaf(name)
		}
	}
}

func (c *call) startAttached(ctx context.Context, f *tellFlags, name string, stdin bool, keys string) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	i, err := b.containers.Inspect(name, false)
	if err != nil {
		return engineFailure(err)
	}
	w := wiring{
		stdin: stdin && i.Config.OpenStdin, stdout: true, stderr: true,
		tty: i.Config.Tty, signals: !i.Config.Tty, keys: keys,
	}
	if err := c.checkTTY(w.stdin, w.tty); err != nil {
		return err
	}
	streams, done, err := c.connect(w)
	if err != nil {
		return err
	}
	defer done()
	ctx = c.theirs(ctx, w)
	a, err := b.containers.StartAttached(ctx, i.ID, streams)
	f.step.finish()
	if told := c.account(f, i.ID, err); told != nil && err == nil {
		err = errors.Join(told, a.Close())
	}
	if err != nil {
		return engineFailure(err)
	}
	c.noteBlocked(i.ID)
	code, err := c.follow(ctx, a, w)
	switch {
	case errors.Is(err, engine.ErrDetached):
		return nil
	case err != nil:
		return err
	}
	c.noteEnd(i.ID, code)
	if err := b.containers.Cleanup(i.ID); err != nil && !isNotFound(err) {
		return engineFailure(err)
	}
	return exited(code)
}
