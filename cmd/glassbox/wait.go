package main

import (
	"context"
	"errors"
	"fmt"
)

func waitVerb() verb {
	return verb{
		use: "wait CONTAINER [CONTAINER...]", same: "container wait, wait",
		short: "Block until one or more containers stop, then print their exit codes", min: 1, max: -1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				var errs []error
				for _, name := range args {
					code, err := b.containers.Wait(ctx, name)
					if err != nil {
						errs = append(errs, waitFailure(ctx, err))
						continue
					}
					fmt.Fprintln(c.stdout, code)
				}
				return errors.Join(errs...)
			}
		},
	}
}

// waitFailure leaves an interruption by the user as it is, so that nothing is printed of it.
func waitFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return engineFailure(err)
}
