package main

import (
	"context"
	"io"
	"os"

	"glassbox/image"
)

func loadVerb() verb {
	return verb{
		use: "load [OPTIONS]", same: "image load, load",
		short: "Load an image from a tar archive or STDIN", max: 0, group: commands,
		prepare: func(c *call) action {
			input := c.flags.StringP("input", "i", "", "Read from tar archive file, instead of STDIN")
			quiet := c.flags.BoolP("quiet", "q", false, "Suppress the load output")
			platform := c.flags.String("platform", "", `Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")`)
			return func(ctx context.Context, _ []string) error {
				o := image.LoadOptions{Out: c.stdout, Terminal: isTerminal(c.stdout) && !*quiet}
				archive, err := c.openArchive(*input)
				if err != nil {
					return err
				}
				defer archive.Close()
				if o.Platform, err = platformFlag(*platform); err != nil {
					return err
				}
				b, err := c.backend()
				if err != nil {
					return err
				}
				if err := b.images.Load(ctx, archive, o); err != nil {
					return plainFailure("%w", err) // Docker's daemon has begun its answer by then: it says no more than that
				}
				return nil
			}
		},
	}
}

// openArchive opens what -i names, or standard input unless somebody sits there.
func (c *call) openArchive(name string) (io.ReadCloser, error) {
	if name != "" {
		f, err := os.Open(name)
		if err != nil {
			return nil, plainFailure("%w", err)
		}
		return f, nil
	}
	if isTerminal(c.stdin) {
		return nil, plainFailure("requested load from stdin, but stdin is empty")
	}
	return io.NopCloser(c.stdin), nil
}
