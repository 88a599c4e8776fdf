package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
)

func updateVerb() verb {
	return verb{
		use: "update [OPTIONS] CONTAINER [CONTAINER...]", same: "container update, update",
		short: "Update configuration of one or more containers", min: 1, max: -1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			var limits limitFlags
			limits.define(c.flags, "the ")
			restart := c.flags.String("restart", "", "Restart policy to apply when a container exits")
			return func(ctx context.Context, args []string) error {
				if c.flags.NFlag() == 0 {
					return plainFailure("you must provide one or more flags when using this command")
				}
				if err := refuseUpdate(c.flags); err != nil {
					return badRequest("update", err)
				}
				var u container.UpdateConfig
				if *restart != "" {
					policy, err := opts.ParseRestartPolicy(*restart)
					if err != nil {
						return plainFailure("%w", err)
					}
					u.RestartPolicy = policy
				}
				limits.apply(&u.Resources)
				return c.update(args, u)
			}
		},
	}
}

func (c *call) update(names []string, u container.UpdateConfig) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	var warnings []string
	var errs []error
	for _, name := range names {
		w, err := b.containers.Update(name, u)
		warnings = append(warnings, w...)
		if err != nil {
			errs = append(errs, engineFailure(err))
			continue
		}
		fmt.Fprintln(c.stdout, name)
	}
	for _, w := range warnings {
		fmt.Fprintln(c.stdout, w)
	}
	return errors.Join(errs...)
}
