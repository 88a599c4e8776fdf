package main

import (
	"context"
	"strconv"
)

// cleanupVerb is what a monitor runs as its last act when a container ended by itself.
func cleanupVerb() verb {
	v := eachContainer(verb{
		use: "cleanup CONTAINER [CONTAINER...]", short: "Do what is due after a container ended (run by its monitor)", hidden: true,
	}, func(b *backend, name string) error { return b.containers.Cleanup(name) })
	v.group = ""
	return v
}

// replugVerb is what a monitor runs before it starts a container with a user namespace once more.
func replugVerb() verb {
	return verb{
		use: "replug CONTAINER PID", short: "Plug the network of a container in that is started again (run by its monitor)", min: 2, max: 2, hidden: true,
		prepare: func(c *call) action {
			return func(_ context.Context, args []string) error {
				pid, err := strconv.Atoi(args[1])
				if err != nil {
					return plainFailure("%w", err)
				}
				b, err := c.backend()
				if err != nil {
					return err
				}
				if err := b.containers.Replug(args[0], pid); err != nil {
					return engineFailure(err)
				}
				return nil
			}
		},
	}
}
