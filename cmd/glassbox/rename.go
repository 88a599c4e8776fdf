package main

import (
	"context"
	"errors"
	"strings"
)

func renameVerb() verb {
	return verb{
		use: "rename CONTAINER NEW_NAME", same: "container rename, rename",
		short: "Rename a container", min: 2, max: 2, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			return func(ctx context.Context, args []string) error {
				old, new := strings.TrimSpace(args[0]), strings.TrimSpace(args[1])
				if old == "" || new == "" {
					return plainFailure("Error: Neither old nor new names may be empty")
				}
				b, err := c.backend()
				if err != nil {
					return err
				}
				if err := b.containers.Rename(old, new); err != nil {
					return errors.Join(engineFailure(err), plainFailure("Error: failed to rename container named %s", old))
				}
				return nil
			}
		},
	}
}
