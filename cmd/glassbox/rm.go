package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

func rmVerb() verb {
	return verb{
		use: "rm [OPTIONS] CONTAINER [CONTAINER...]", same: "container rm, container remove, rm",
		short: "Remove one or more containers", min: 1, max: -1, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			volumes := c.flags.BoolP("volumes", "v", false, "Remove anonymous volumes associated with the container")
			link := c.flags.BoolP("link", "l", false, "Remove the specified link")
			force := c.flags.BoolP("force", "f", false, "Force the removal of a running container (uses SIGKILL)")
			return func(ctx context.Context, args []string) error {
				return c.remove(args, *force, func(b *backend, name string) error {
					if *link {
						return b.containers.Unlink(ctx, name)
					}
					return b.containers.Remove(ctx, name, *force, *volumes)
				})
			}
		},
	}
}

// remove does each; with force, a name that does not exist is said and forgiven.
func (c *call) remove(names []string, force bool, do func(b *backend, name string) error) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		id := strings.Trim(name, "/")
		err := error(plainFailure("container name cannot be empty"))
		if id != "" {
			err = engineFailure(do(b, id))
		}
		switch {
		case err == nil:
			fmt.Fprintln(c.stdout, name)
		case force && isNotFound(err):
			c.report(err)
		default:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
