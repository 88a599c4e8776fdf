package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/cli/cli/command/formatter/tabwriter"
)

func topVerb() verb {
	return verb{
		use: "top CONTAINER [ps OPTIONS]", same: "container top, top",
		short: "Display the running processes of a container", min: 1, max: -1, bare: true, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				top, err := b.containers.Top(args[0], args[1:])
				if err != nil {
					return engineFailure(err)
				}
				w := tabwriter.NewWriter(c.stdout, 20, 1, 3, ' ', 0)
				for _, row := range append([][]string{top.Titles}, top.Processes...) {
					fmt.Fprintln(w, strings.Join(row, "\t"))
				}
				if err := w.Flush(); err != nil {
					return err
				}
				c.noteZombies(args[0])
				return nil
			}
		},
	}
}
