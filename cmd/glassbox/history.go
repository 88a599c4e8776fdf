package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/platforms"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/go-units"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// historyFlags are those of history.
type historyFlags struct {
	human, quiet, noTrunc bool
	format, platform      string
}

func historyVerb() verb {
	return verb{
		use: "history [OPTIONS] IMAGE", same: "image history, history",
		short: "Show the history of an image", min: 1, max: 1, group: commands, offers: offerImages,
		prepare: func(c *call) action {
			var f historyFlags
			c.flags.StringVar(&f.format, "format", "", formatHelp)
			c.flags.BoolVarP(&f.human, "human", "H", true, "Print sizes and dates in human readable format")
			c.flags.BoolVar(&f.noTrunc, "no-trunc", false, "Don't truncate output")
			c.flags.StringVar(&f.platform, "platform", "", `Show history for the given platform. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")`)
			c.flags.BoolVarP(&f.quiet, "quiet", "q", false, "Only show image IDs")
			return func(ctx context.Context, args []string) error { return c.history(args[0], f) }
		},
	}
}

func (c *call) history(ref string, f historyFlags) error {
	var platform *ocispec.Platform
	if f.platform != "" {
		p, err := platforms.Parse(f.platform)
		if err != nil {
			return plainFailure("invalid platform: %w", err)
		}
		platform = &p
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	steps, err := b.images.History(ref, platform)
	if err != nil {
		return engineFailure(err)
	}
	return c.table(f.table(), f.noTrunc, func(t formatter.Context) error {
		return t.Write(newStep(), func(write func(formatter.SubContext) error) error {
			for _, s := range steps {
				if err := write(&step{item: s, trunc: t.Trunc, human: f.human}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (f historyFlags) table() formatter.Format {
	switch {
	case f.format != "" && f.format != formatter.TableFormatKey:
		return formatter.Format(f.format)
	case f.quiet:
		return formatter.DefaultQuietFormat
	case f.human:
		return "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
	}
	return "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
}

// step is a line of history as templates see it.
type step struct {
	formatter.HeaderContext
	item         image.HistoryResponseItem
	trunc, human bool
}

func newStep() *step {
	s := &step{}
	s.Header = formatter.SubHeaderContext{
		"ID": "IMAGE", "CreatedSince": formatter.CreatedSinceHeader, "CreatedAt": formatter.CreatedAtHeader, "CreatedBy": "CREATED BY",
		"Size": formatter.SizeHeader, "Comment": "COMMENT",
	}
	return s
}

func (s *step) MarshalJSON() ([]byte, error) { return formatter.MarshalJSON(s) }

func (s *step) ID() string {
	if s.trunc {
		return formatter.TruncateID(s.item.ID)
	}
	return s.item.ID
}

func (s *step) CreatedAt() string { return time.Unix(s.item.Created, 0).Format(time.RFC3339) }

// notBefore: an earlier date is none that anybody meant.
var notBefore = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

func (s *step) CreatedSince() string {
	switch {
	case !s.human:
		return s.CreatedAt()
	case s.item.Created <= notBefore:
		return "N/A"
	}
	return units.HumanDuration(time.Since(time.Unix(s.item.Created, 0))) + " ago"
}

func (s *step) CreatedBy() string {
	by := strings.ReplaceAll(s.item.CreatedBy, "\t", " ")
	if s.trunc {
		return formatter.Ellipsis(by, 45)
	}
	return by
}

func (s *step) Size() string {
	if s.human {
		return units.HumanSizeWithPrecision(float64(s.item.Size), 3)
	}
	return strconv.FormatInt(s.item.Size, 10)
}

func (s *step) Comment() string { return s.item.Comment }
