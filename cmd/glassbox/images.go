package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/filters"
)

// imagesFlags are those of images.
type imagesFlags struct {
	quiet, all, noTrunc, digests bool
	format                       string
	filter                       opts.FilterOpt
}

func imagesVerb() verb {
	return verb{
		use: "images [OPTIONS] [REPOSITORY[:TAG]]", same: "image ls, image list, images",
		short: "List images", max: 1, group: common, offers: offerImages,
		prepare: func(c *call) action {
			f := imagesFlags{filter: opts.NewFilterOpt()}
			c.flags.BoolVarP(&f.quiet, "quiet", "q", false, "Only show image IDs")
			c.flags.BoolVarP(&f.all, "all", "a", false, "Show all images (default hides intermediate images)")
			c.flags.BoolVar(&f.noTrunc, "no-trunc", false, "Don't truncate output")
			c.flags.BoolVar(&f.digests, "digests", false, "Show digests")
			c.flags.StringVar(&f.format, "format", "", formatHelp)
			c.flags.VarP(&f.filter, "filter", "f", "Filter output based on conditions provided")
			tree := c.flags.Bool("tree", false, "List multi-platform images as a tree (EXPERIMENTAL)")
			return func(ctx context.Context, args []string) error {
				name := ""
				if len(args) > 0 {
					name = args[0]
				}
				filter := f.filter.Value()
				if name != "" {
					filter.Add("reference", name)
				}
				if *tree {
					return c.treeImages(&f, filter)
				}
				return c.listImages(&f, filter, name)
			}
		},
	}
}

func (c *call) listImages(f *imagesFlags, filter filters.Args, name string) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	list, err := b.images.Summaries(f.all, filter)
	if err != nil {
		return engineFailure(err)
	}
	format := f.format
	if format == "" && !f.quiet {
		format = c.configFile().ImagesFormat
	}
	if format == "" {
		format = formatter.TableFormatKey
	}
	err = c.table(formatter.NewImageFormat(format, f.quiet, f.digests), f.noTrunc, func(t formatter.Context) error {
		return formatter.ImageWrite(formatter.ImageContext{Context: t, Digest: f.digests}, list)
	})
	if err == nil && len(list) == 0 && slices.Contains(imageWords, name) {
		fmt.Fprintf(c.stderr, "\nNo images found matching %q: did you mean \"%s image %[1]s\"?\n", name, c.name)
	}
	return err
}

// imageWords are verbs of `image`: `images ls` looks for an image named ls, which is seldom meant.
var imageWords = []string{"build", "history", "import", "inspect", "list", "load", "ls", "prune", "pull", "push", "rm", "save", "tag"}
