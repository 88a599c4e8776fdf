package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/docker/docker/api/types/image"
)

func rmiVerb() verb {
	return verb{
		use: "rmi [OPTIONS] IMAGE [IMAGE...]", same: "image rm, image remove, rmi",
		short: "Remove one or more images", min: 1, max: -1, group: commands, offers: offerImages,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Force removal of the image")
			keep := c.flags.Bool("no-prune", false, "Do not delete untagged parents")
			names := c.flags.StringSlice("platform", nil, `Remove only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")`)
			return func(ctx context.Context, args []string) error {
				o := image.RemoveOptions{Force: *force, PruneChildren: !*keep}
				for _, name := range *names {
					p, err := platforms.Parse(name)
					if err != nil {
						return plainFailure("%w", err)
					}
					o.Platforms = append(o.Platforms, p)
				}
				return c.removeImages(args, o)
			}
		},
	}
}

// removeImages: with force, names that do not exist are said and forgiven.
func (c *call) removeImages(names []string, o image.RemoveOptions) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	var errs []error
	fatal := false
	for _, name := range names {
		gone, err := b.images.Remove(name, o)
		if err != nil {
			fatal = fatal || !isNotFound(err)
			errs = append(errs, engineFailure(err))
		}
		for _, g := range gone {
			if g.Deleted != "" {
				fmt.Fprintln(c.stdout, "Deleted:", g.Deleted)
			} else {
				fmt.Fprintln(c.stdout, "Untagged:", g.Untagged)
			}
		}
	}
	if o.Force && !fatal {
		c.report(errors.Join(errs...))
		return nil
	}
	return errors.Join(errs...)
}
