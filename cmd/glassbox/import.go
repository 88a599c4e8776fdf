package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"glassbox/engine"

	"github.com/distribution/reference"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/image"
)

func importVerb() verb {
	return verb{
		use: "import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]", same: "image import, import",
		short: "Import the contents from a tarball to create a filesystem image", min: 1, max: -1, group: commands,
		prepare: func(c *call) action {
			var o image.ImportOptions
			changes := opts.NewListOpts(nil)
			c.flags.VarP(&changes, "change", "c", "Apply Dockerfile instruction to the created image")
			c.flags.StringVarP(&o.Message, "message", "m", "", "Set commit message for imported image")
			c.flags.StringVar(&o.Platform, "platform", os.Getenv("DOCKER_DEFAULT_PLATFORM"), "Set platform if server is multi-platform capable")
			return func(ctx context.Context, args []string) error {
				o.Changes = changes.GetSlice()
				ref := ""
				if len(args) > 1 {
					ref = args[1]
				}
				return c.importImage(ctx, args[0], ref, o)
			}
		},
	}
}

func (c *call) importImage(ctx context.Context, source, ref string, o image.ImportOptions) error {
	remote := strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
	archive, err := c.openSource(source, remote)
	if err != nil {
		return plainFailure("%w", err)
	}
	if ref != "" {
		if _, err := reference.ParseNormalizedNamed(ref); err != nil {
			return plainFailure("%w", err)
		}
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	from := "-"
	if remote {
		from = source
		if archive, err = engine.Download(ctx, source); err != nil {
			return engineFailure(err)
		}
		fmt.Fprintln(c.stdout, "Downloading from", source)
	}
	defer archive.Close()
	id, err := b.images.Import(ctx, archive, from, ref, o)
	if err != nil {
		return engineFailure(err)
	}
	fmt.Fprintln(c.stdout, id)
	return nil
}

func (c *call) openSource(source string, remote bool) (io.ReadCloser, error) {
	switch {
	case source == "-":
		return io.NopCloser(c.stdin), nil
	case remote:
		return nil, nil
	}
	return os.Open(source)
}
