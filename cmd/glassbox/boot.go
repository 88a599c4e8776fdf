package main

import (
	"context"
	"fmt"

	"glassbox/engine"
)

// bootVerb is what a machine does once it is up; glassbox.service calls it, and with --stop when the machine goes down.
func bootVerb() verb {
	return verb{
		use: "boot [OPTIONS]", short: "Start the containers that shall run after the machine was started",
		long: "Start the containers whose restart policy says that they shall run, and remove those of `run --rm` that a\nreboot has ended. Containers that run are left alone.",
		max:  0, group: commands,
		prepare: func(c *call) action {
			stop := c.flags.Bool("stop", false, "Stop all containers instead, for a shutdown: the next boot starts them again")
			return func(ctx context.Context, _ []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				do := b.containers.Boot
				if *stop {
					do = b.containers.Halt
				}
				return c.boot(ctx, do)
			}
		},
	}
}

func (c *call) boot(ctx context.Context, do func(context.Context, func(engine.Booted)) error) error {
	failed := 0
	err := do(ctx, func(one engine.Booted) {
		if one.Err == nil {
			fmt.Fprintln(c.stdout, one)
			return
		}
		failed++
		fmt.Fprintf(c.stderr, "%s: %s\n", c.name, one)
	})
	switch {
	case err != nil:
		return engineFailure(err)
	case failed > 0:
		return exited(1)
	}
	return nil
}
