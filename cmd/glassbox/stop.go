package main

import (
	"context"
	"fmt"

	"glassbox/engine"
)

func stopVerb() verb {
	return graceVerb(verb{
		use: "stop [OPTIONS] CONTAINER [CONTAINER...]", same: "container stop, stop",
		short: "Stop one or more running containers",
	}, func(ctx context.Context, b *backend, name string, o engine.StopOptions) error {
		return b.containers.Stop(ctx, name, o)
	})
}

func restartVerb() verb {
	return graceVerb(verb{
		use: "restart [OPTIONS] CONTAINER [CONTAINER...]", same: "container restart, restart",
		short: "Restart one or more containers",
	}, func(ctx context.Context, b *backend, name string, o engine.StopOptions) error {
		return b.containers.Restart(ctx, name, o)
	})
}

// graceVerb is a verb that ends containers: with a signal, and with SIGKILL when the time is over.
func graceVerb(v verb, do func(context.Context, *backend, string, engine.StopOptions) error) verb {
	v.min, v.max, v.group, v.offers = 1, -1, commands, offerContainers
	v.prepare = func(c *call) action {
		var o engine.StopOptions
		var seconds int
		c.flags.StringVarP(&o.Signal, "signal", "s", "", "Signal to send to the container")
		c.flags.IntVarP(&seconds, "timeout", "t", 0, "Seconds to wait before killing the container")
		c.flags.IntVar(&seconds, "time", 0, "Seconds to wait before killing the container (deprecated: use --timeout)")
		_ = c.flags.MarkDeprecated("time", "use --timeout instead")
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
			return c.forEach(args, func(name string) error { return do(ctx, b, name, o) })
		}
	}
	return v
}
