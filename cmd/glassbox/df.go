package main

import (
	"context"

	"github.com/docker/cli/cli/command/formatter"
	buildtypes "github.com/docker/docker/api/types/build"
)

func dfVerb() verb {
	return verb{
		use: "df [OPTIONS]", short: "Show docker disk usage", max: 0,
		prepare: func(c *call) action {
			format := c.flags.String("format", "", formatHelp)
			verbose := c.flags.BoolP("verbose", "v", false, "Show detailed information on space usage")
			return func(ctx context.Context, args []string) error { return c.diskUsage(*format, *verbose) }
		},
	}
}

func (c *call) diskUsage(format string, verbose bool) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	du, err := b.diskUsage()
	if err != nil {
		return engineFailure(err)
	}
	if format == "" {
		format = formatter.TableFormatKey
	}
	return c.table(formatter.NewDiskUsageFormat(format, verbose), true, func(t formatter.Context) error {
		all := formatter.DiskUsageContext{
			Context: t, Verbose: verbose, LayersSize: du.LayersSize, Images: du.Images, Containers: du.Containers, Volumes: du.Volumes,
			BuildCache: du.BuildCache, BuilderSize: builderSize(du.BuildCache),
		}
		return all.Write()
	})
}

// builderSize is what the build cache takes beside images.
func builderSize(records []*buildtypes.CacheRecord) (size int64) {
	for _, r := range records {
		if !r.Shared {
			size += r.Size
		}
	}
	return size
}
