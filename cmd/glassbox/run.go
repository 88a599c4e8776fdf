package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"glassbox/engine"

	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// runFlags are run's own: what happens around the container.
type runFlags struct {
	containerFlags
	tellFlags
	detach, proxy bool
	keys          string
	trace         traceFlags
	record        *recorder // nil: nobody records
}

func (f *runFlags) define(set *pflag.FlagSet, pullUsage string) {
	f.containerFlags.define(set, pullUsage)
	set.BoolVarP(&f.detach, "detach", "d", false, "Run container in background and print container ID")
	set.BoolVar(&f.proxy, "sig-proxy", true, "Proxy received signals to the process")
	set.StringVar(&f.keys, "detach-keys", "", "Override the key sequence for detaching a container")
}

func runVerb() verb { return recordedRun(nil) }

// recordedRun is run with somebody who looks on; nil: nobody does.
func recordedRun(r *recorder) verb {
	return verb{
		use: "run [OPTIONS] IMAGE [COMMAND] [ARG...]", same: "container run, run",
		short: "Create and run a new container from an image", min: 1, max: -1, bare: true, starts: true, group: common, offers: offerImages,
		prepare: func(c *call) action {
			f := runFlags{record: r}
			f.define(c.flags, `Pull image before running ("always", "missing", "never")`)
			f.tellFlags.define(c.flags, "start the container", startPhases...)
			f.trace.define(c.flags)
			return func(ctx context.Context, args []string) error { return c.runContainer(ctx, &f, args) }
		},
	}
}

func (c *call) runContainer(ctx context.Context, f *runFlags, args []string) error {
	o, err := c.request("run", &f.containerFlags, args)
	if err != nil {
		return err
	}
	if err := f.tellFlags.check(1); err != nil {
		return badRequest("run", err)
	}
	if err := f.trace.check(f.detach); err != nil {
		return badRequest("run", err)
	}
	if o.Explain = f.explain; o.Explain {
		go rehearse()
	}
	if f.detach && f.record != nil {
		return badRequest("run", errors.New("conflicting options: record stays with the container: leave out --detach"))
	}
	if f.detach {
		if f.process.attach.Len() > 0 {
			return plainFailure("conflicting options: cannot specify both --attach and --detach")
		}
		k := o.Config
		k.AttachStdin, k.AttachStdout, k.AttachStderr, k.StdinOnce = false, false, false, false
	} else if err := c.checkTTY(o.Config.AttachStdin, o.Config.Tty); err != nil {
		return err
	}
	if err := c.stepping(&f.step); err != nil {
		return badRequest("run", err)
	}
	defer f.step.finish()
	w := wiringOf(o.Config, f)
	streams, done, err := c.connect(w)
	if err != nil {
		return err
	}
	defer done()
	f.record.begin(&o.Explain, o.Config.Tty)
	f.record.tee(&streams)
	id, err := c.createContainer(ctx, &f.containerFlags, o)
	if err != nil {
		return runFailure(err)
	}
	if !w.stdin && !w.stdout && !w.stderr {
		return c.runDetached(ctx, id, f)
	}
	return c.runAttached(ctx, id, streams, w, f)
}

func wiringOf(k *container.Config, f *runFlags) wiring {
	return wiring{
		stdin: k.AttachStdin, stdout: k.AttachStdout, stderr: k.AttachStderr,
		tty: k.Tty, signals: f.proxy, keys: f.keys,
	}
}

// runDetached prints the id before the start, as Docker does: whoever reads it can find a container that failed to.
func (c *call) runDetached(ctx context.Context, id string, f *runFlags) error {
	fmt.Fprintln(c.stdout, id)
	b, err := c.backend()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.containers.Start(context.WithoutCancel(ctx), id); err != nil {
		return c.failedStart(ctx, id, f, err)
	}
	f.step.finish()
	if err := c.account(&f.tellFlags, id, nil); err != nil {
		return err
	}
	if c.explains() {
		c.noteEarlyEnd(id, began)
	}
	return nil
}

func (c *call) runAttached(ctx context.Context, id string, s engine.Streams, w wiring, f *runFlags) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	ctx = c.theirs(ctx, w)
	t := c.traced(&f.trace, w, &s)
	defer t.end()
	a, err := b.containers.StartAttached(ctx, id, s)
	if err != nil {
		return c.failedStart(ctx, id, f, err)
	}
	f.step.finish()
	if err := c.account(&f.tellFlags, id, nil); err != nil {
		a.Close()
		return err
	}
	f.record.started(id)
	c.noteBlocked(id)
	if !w.tty { // in raw mode lines would go astray
		defer time.AfterFunc(patience, func() { c.noteDeaf(id) }).Stop()
	}
	code, err := c.follow(ctx, a, w)
	if errors.Is(err, engine.ErrDetached) {
		return nil
	}
	if err != nil {
		return err
	}
	t.wait()
	c.noteEnd(id, code)
	f.record.finished(id, code)
	if err := b.containers.Cleanup(id); err != nil && !isNotFound(err) {
		return engineFailure(err)
	}
	return exited(code)
}

// failedStart: a container that could not start stays as Created, unless --rm.
func (c *call) failedStart(ctx context.Context, id string, f *runFlags, err error) error {
	f.record.failed(err)
	if e := c.account(&f.tellFlags, id, err); e != nil {
		return e
	}
	if f.remove {
		if b, e := c.backend(); e == nil {
			if e := b.containers.Remove(context.WithoutCancel(ctx), id, true, true); e != nil && !isNotFound(e) {
				err = fmt.Errorf("%w (and removing it: %v)", err, e)
			}
		}
	}
	return runFailure(err)
}
