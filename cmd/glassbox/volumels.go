package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/volume"
)

func volumeLsVerb() verb {
	return verb{
		use: "ls [OPTIONS]", alias: []string{"list"}, same: "volume ls, volume list", short: "List volumes",
		prepare: func(c *call) action {
			f := listFlags{filter: opts.NewFilterOpt()}
			c.flags.BoolVarP(&f.quiet, "quiet", "q", false, "Only display volume names")
			c.flags.StringVar(&f.format, "format", "", formatHelp)
			c.flags.VarP(&f.filter, "filter", "f", `Provide filter values (e.g. "dangling=true")`)
			cluster := c.flags.Bool("cluster", false, "Display only cluster volumes, and use cluster volume list formatting")
			_ = c.flags.MarkHidden("cluster")
			return func(ctx context.Context, args []string) error {
				if *cluster { // there are none without Swarm
					return c.table(formatter.NewVolumeFormat(cmp.Or(f.format, clusterTable), f.quiet), true, func(t formatter.Context) error {
						return formatter.VolumeWrite(t, nil)
					})
				}
				return c.listVolumes(&f)
			}
		},
	}
}

const clusterTable = "table {{.Name}}\t{{.Group}}\t{{.Driver}}\t{{.Availability}}\t{{.Status}}"

func (c *call) listVolumes(f *listFlags) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	list, err := b.volumes.List(f.filter.Value())
	if err != nil {
		return engineFailure(err)
	}
	slices.SortFunc(list.Volumes, func(a, b *volume.Volume) int { return natural(a.Name, b.Name) })
	return c.table(formatter.NewVolumeFormat(f.chosen(c.configFile().VolumesFormat), f.quiet), true, func(t formatter.Context) error {
		return formatter.VolumeWrite(t, list.Volumes)
	})
}
