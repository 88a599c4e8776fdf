package main

import (
	"context"
	"fmt"

	"glassbox/engine"
)

func killVerb() verb {
	return verb{
		use: "kill [OPTIONS] CONTAINER [CONTAINER...]", same: "container kill, kill",
		short: "Kill one or more running containers", min: 1, max: -1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			var o engine.KillOptions
			c.flags.StringVarP(&o.Signal, "signal", "s", "", "Signal to send to the container")
			var f tellFlags
			f.define(c.flags, "kill the container", "signal", "kill", "unplug")
			return func(ctx context.Context, args []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				if c.explains() {
					o.Warn = func(message string) { fmt.Fprintf(c.stderr, "%s: %s\n", c.name, message) }
				}
				done, err := c.toldOf(&f, "kill", len(args), &o.Told)
				if err != nil {
					return err
				}
				return c.forEach(args, func(name string) error {
					err := b.containers.Kill(ctx, name, o)
					done()
					return err
				})
			}
		},
	}
}
