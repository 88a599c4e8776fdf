package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/volume"
)

func volumeCreateVerb() verb {
	return verb{
		use: "create [OPTIONS] [VOLUME]", short: "Create a volume", max: 1,
		prepare: func(c *call) action {
			options, labels := opts.NewMapOpts(nil, nil), opts.NewListOpts(opts.ValidateLabel)
			driver := c.flags.StringP("driver", "d", "local", "Specify volume driver name")
			name := c.flags.String("name", "", "Specify volume name")
			_ = c.flags.MarkHidden("name")
			c.flags.VarP(options, "opt", "o", "Set driver specific options")
			c.flags.Var(&labels, "label", "Set metadata for a volume")
			for _, f := range clusterFlags {
				c.flags.String(f, "", "")
				_ = c.flags.MarkHidden(f)
			}
			return func(ctx context.Context, args []string) error {
				switch {
				case slices.ContainsFunc(clusterFlags, c.flags.Changed):
					return engineFailure(errNoSwarm)
				case len(args) > 0 && *name != "":
					return plainFailure("conflicting options: cannot specify a volume-name through both --name and as a positional arg")
				case len(args) > 0:
					*name = args[0]
				}
				return c.createVolume(volume.CreateOptions{
					Name: *name, Driver: *driver, DriverOpts: options.GetAll(), Labels: opts.ConvertKVStringsToMap(labels.GetSlice()),
				})
			}
		},
	}
}

// clusterFlags are for volumes of Swarm's.
var clusterFlags = []string{
	"availability", "group", "limit-bytes", "required-bytes", "scope", "secret", "sharing", "topology-preferred", "topology-required", "type",
}

var errNoSwarm = errors.New(`This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`)

func (c *call) createVolume(o volume.CreateOptions) error {
	b, err := c.backend()
	if err != nil {
		return err
	}
	v, err := b.volumes.Create(o)
	if err != nil {
		return engineFailure(err)
	}
	fmt.Fprintln(c.stdout, v.Name)
	return nil
}
