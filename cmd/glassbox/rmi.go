package main

import (
	"context"
	"errors"
	"fmt"
)

func rmiVerb() verb {
	return verb{
		use: "rmi [OPTIONS] IMAGE [IMAGE...]", same: "image rm, image remove, rmi",
		short: "Remove one or more images", min: 1, max: -1, group: commands, offers: offerImages,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Force removal of the image")
			// An image here is one manifest with its layers: it has no untagged parents that could go with it or stay.
			c.flags.Bool("no-prune", false, "Do not delete untagged parents")
			platforms := c.flags.StringSlice("platform", nil, `Remove only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")`)
			return func(ctx context.Context, args []string) error {
				if len(*platforms) > 0 {
					return plainFailure("--platform: this build keeps one platform of an image; leave the flag out to remove that")
				}
				return c.removeImages(args, *force)
			}
		},
	}
}

// removeImages: with force, names that do not exist are said and forgiven.
func (c *call) removeImages(names []string, force bool) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	var errs []error
	fatal := false
	for _, name := range names {
		gone, err := b.images.Remove(name, force)
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
	if force && !fatal {
		c.report(errors.Join(errs...))
		return nil
	}
	return errors.Join(errs...)
}
