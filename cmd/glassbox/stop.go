package main

import (
	"context"
	"fmt"

	"glassbox/engine"
	"glassbox/program"
)

func stopVerb() verb {
	return graceVerb(verb{
		use: "stop [OPTIONS] CONTAINER [CONTAINER...]", same: "container stop, stop",
		short: "Stop one or more running containers",
	}, (*stopFlags).define, func(ctx context.Context, b *backend, name string, o engine.StopOptions) error {
		return b.containers.Stop(ctx, name, o)
	})
}

func restartVerb() verb {
	return graceVerb(verb{
		use: "restart [OPTIONS] CONTAINER [CONTAINER...]", same: "container restart, restart",
		short: "Restart one or more containers",
	}, nil, func(ctx context.Context, b *backend, name string, o engine.StopOptions) error {
		return b.containers.Restart(ctx, name, o)
	})
}

// graceVerb is a verb that ends containers: with a signal, and with SIGKILL when the time is over.
// More flags are those of a verb that can tell what it asks of the kernel.
func graceVerb(v verb, more func(*stopFlags, *call), do func(context.Context, *backend, string, engine.StopOptions) error) verb {
	v.min, v.max, v.group, v.offers = 1, -1, commands, offerContainers
	v.prepare = func(c *call) action {
		var o engine.StopOptions
		var seconds int
		c.flags.StringVarP(&o.Signal, "signal", "s", "", "Signal to send to the container")
		c.flags.IntVarP(&seconds, "timeout", "t", 0, "Seconds to wait before killing the container")
		c.flags.IntVar(&seconds, "time", 0, "Seconds to wait before killing the container (deprecated: use --timeout)")
		_ = c.flags.MarkDeprecated("time", "use --timeout instead")
		var f stopFlags
		if more != nil {
			more(&f, c)
		}
		return func(ctx context.Context, args []string) error {
			if c.flags.Changed("time") && c.flags.Changed("timeout") {
				return plainFailure("conflicting options: cannot specify both --timeout and --time")
			}
			if c.flags.Changed("time") || c.flags.Changed("timeout") {
				o.Timeout = &seconds
			}
			if c.explains() {
				o.Warn = func(message string) { fmt.Fprintf(c.stderr, "%s: %s\n", c.name, message) }
			}
			b, err := c.backend()
			if err != nil {
				return err
			}
			if more != nil {
				if err := f.prepare(c, &o); err != nil {
					return badRequest("stop", err)
				}
				defer f.step.finish()
			}
			return c.forEach(args, func(name string) error { return do(ctx, b, name, o) })
		}
	}
	return v
}

// stopFlags are stop's own, which Docker does not have.
type stopFlags struct {
	explain bool
	format  string
	step    stepFlags
}

func (f *stopFlags) define(c *call) {
	c.flags.BoolVar(&f.explain, "explain", false, "Print every request made of the kernel to end the container")
	c.flags.StringVar(&f.format, "format", "", "Format of --explain: text or json")
	own(c.flags, "explain")
	own(c.flags, "format")
	f.step.define(c.flags, "signal", "grace", "kill", "unplug")
}

// prepare has the engine tell, or ask, what the flags say.
func (f *stopFlags) prepare(c *call, o *engine.StopOptions) error {
	if err := checkExplain(f.explain, f.format); err != nil {
		return err
	}
	if err := f.step.check(); err != nil {
		return err
	}
	if f.explain {
		o.Told = func(a []program.Account) { c.writeAccount(c.stderr, a, f.format) } //nolint:errcheck // stderr has nowhere to complain to
	}
	return c.stepping(&f.step)
}
