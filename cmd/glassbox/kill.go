package main

import "context"

func killVerb() verb {
	return verb{
		use: "kill [OPTIONS] CONTAINER [CONTAINER...]", same: "container kill, kill",
		short: "Kill one or more running containers", min: 1, max: -1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			signal := c.flags.StringP("signal", "s", "", "Signal to send to the container")
			return func(ctx context.Context, args []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				return c.forEach(args, func(name string) error { return b.containers.Kill(name, *signal) })
			}
		},
	}
}
