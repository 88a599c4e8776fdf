package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"glassbox/engine"
)

func stopVerb() verb {
	return graceVerb(verb{
		use: "stop [OPTIONS] CONTAINER [CONTAINER...]", same: "container stop, stop",
		short: "Stop one or more running containers",
	}, stopPhases, func(ctx context.Context, _ *call, b *backend, name string, o engine.StopOptions) error {
		return b.containers.Stop(ctx, name, o)
	})
}

func restartVerb() verb {
	return graceVerb(verb{
		use: "restart [OPTIONS] CONTAINER [CONTAINER...]", same: "container restart, restart",
		short: "Restart one or more containers",
	}, slices.Concat(stopPhases, startPhases), func(ctx context.Context, c *call, b *backend, name string, o engine.StopOptions) error {
		if o.Told != nil {
			b.explain()
		}
		err := b.containers.Restart(ctx, name, o)
		if o.Told == nil {
			return err
		}
		all, lost := c.started(&tellFlags{explain: true}, name, err)
		o.Told(all)
		return cmp.Or(err, lost)
	})
}

// graceVerb is a verb that ends containers: with a signal, and with SIGKILL when the time is over; phases are those of its requests.
func graceVerb(v verb, phases []string, do func(context.Context, *call, *backend, string, engine.StopOptions) error) verb {
	v.min, v.max, v.group, v.offers = 1, -1, commands, offerContainers
	v.prepare = func(c *call) action {
		var o engine.StopOptions
		var seconds int
		c.flags.StringVarP(&o.Signal, "signal", "s", "", "Signal to send to the container")
		c.flags.IntVarP(&seconds, "timeout", "t", 0, "Seconds to wait before killing the container")
		c.flags.IntVar(&seconds, "time", 0, "Seconds to wait before killing the container (deprecated: use --timeout)")
		_ = c.flags.MarkDeprecated("time", "use --timeout instead")
		var f tellFlags
		f.define(c.flags, v.name()+" the container", phases...)
		return func(ctx context.Context, args []string) error {
			if c.flags.Changed("time") && c.flags.Changed("timeout") {
				return plainFailure("conflicting options: cannot specify both --timeout and --time")
			}
			if c.flags.Changed("time") || c.flags.Changed("timeout") {
				o.Timeout = &seconds
			}
			settled := func() {}
			if c.explains() {
				o.Warn = func(message string, grace time.Duration) {
					fmt.Fprintf(c.stderr, "%s: %s\n", c.name, message)
					if len(args) == 1 && grace > 0 && !f.step.wanted() {
						settled = countdown(c.stderr, grace)
					}
				}
			}
			b, err := c.backend()
			if err != nil {
				return err
			}
			done, err := c.toldOf(&f, v.name(), len(args), &o.Told)
			if err != nil {
				return err
			}
			return c.forEach(args, func(name string) error {
				err := do(ctx, c, b, name, o)
				settled()
				done()
				return err
			})
		}
	}
	return v
}
