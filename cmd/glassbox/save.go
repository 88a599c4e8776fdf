package main

import (
	"context"
	"io"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func saveVerb() verb {
	return verb{
		use: "save [OPTIONS] IMAGE [IMAGE...]", same: "image save, save",
		short: "Save one or more images to a tar archive (streamed to STDOUT by default)", min: 1, max: -1, group: commands, offers: offerImages,
		prepare: func(c *call) action {
			output := c.flags.StringP("output", "o", "", "Write to a file, instead of STDOUT")
			platform := c.flags.String("platform", "", `Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")`)
			return func(ctx context.Context, args []string) error {
				p, err := platformFlag(*platform)
				if err != nil {
					return err
				}
				if *output == "" && isTerminal(c.stdout) {
					return plainFailure("cowardly refusing to save to a terminal. Use the -o flag or redirect")
				}
				if *output != "" {
					if err := writableFile(*output); err != nil {
						return plainFailure("failed to save image: %w", err)
					}
				}
				b, err := c.backend()
				if err != nil {
					return err
				}
				save := func(w io.Writer) error { return b.images.Save(ctx, args, p, w) }
				if *output == "" {
					return engineFailure(save(c.stdout))
				}
				return engineFailure(writeFile(*output, save))
			}
		},
	}
}

// platformFlag reads --platform; an empty one is none.
func platformFlag(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	p, err := platforms.Parse(text)
	if err != nil {
		return nil, plainFailure("invalid platform: %w", err)
	}
	return &p, nil
}
