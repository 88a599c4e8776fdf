package main

import (
	"context"
	"errors"
	"fmt"
)

func volumeRmVerb() verb {
	return verb{
		use: "rm [OPTIONS] VOLUME [VOLUME...]", alias: []string{"remove"}, same: "volume rm, volume remove",
		short: "Remove one or more volumes", long: "Remove one or more volumes. You cannot remove a volume that is in use by a container.",
		min: 1, max: -1, offers: offerVolumes,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Force the removal of one or more volumes")
			return func(ctx context.Context, args []string) error { return c.removeVolumes(args, *force) }
		},
	}
}

func (c *call) removeVolumes(names []string, force bool) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if err := b.volumes.Remove(name, force); err != nil {
			errs = append(errs, engineFailure(err))
			continue
		}
		fmt.Fprintln(c.stdout, name)
	}
	return errors.Join(errs...)
}
