package main

import (
	"context"
	"fmt"

	"github.com/distribution/reference"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
)

func commitVerb() verb {
	return verb{
		use: "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]", same: "container commit, commit",
		short: "Create a new image from a container's changes", min: 1, max: 2, bare: true, group: commands, offers: offerContainers,
		prepare: func(c *call) action {
			var o container.CommitOptions
			changes := opts.NewListOpts(nil)
			c.flags.StringVarP(&o.Author, "author", "a", "", `Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")`)
			c.flags.VarP(&changes, "change", "c", "Apply Dockerfile instruction to the created image")
			c.flags.StringVarP(&o.Comment, "message", "m", "", "Commit message")
			c.flags.BoolVarP(&o.Pause, "pause", "p", true, "Pause container during commit")
			return func(ctx context.Context, args []string) error {
				o.Changes = changes.GetSlice()
				if len(args) > 1 {
					o.Reference = args[1]
				}
				return c.commit(ctx, args[0], o)
			}
		},
	}
}

func (c *call) commit(ctx context.Context, id string, o container.CommitOptions) error {
	if err := givenContainer(id); err != nil {
		return err
	}
	if o.Reference != "" {
		ref, err := reference.ParseNormalizedNamed(o.Reference)
		if err != nil {
			return plainFailure("%w", err)
		}
		if _, ok := ref.(reference.Canonical); ok {
			return plainFailure("refusing to create a tag with a digest reference")
		}
		o.Reference = reference.FamiliarString(reference.TagNameOnly(ref))
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	img, err := b.containers.Commit(ctx, id, o)
	if err != nil {
		return engineFailure(err)
	}
	fmt.Fprintln(c.stdout, img)
	return nil
}
