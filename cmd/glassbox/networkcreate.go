package main

import (
	"context"
	"fmt"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/network"
)

// networkCreateFlags are those of `network create`.
type networkCreateFlags struct {
	network.CreateOptions
	ipv4, ipv6 bool
	configFrom string
	options    *opts.MapOpts
	labels     opts.ListOpts
	ipam       ipamFlags
}

func networkCreateVerb() verb {
	return verb{
		use: "create [OPTIONS] NETWORK", short: "Create a network", min: 1, max: 1,
		prepare: func(c *call) action {
			f := networkCreateFlags{options: opts.NewMapOpts(nil, nil), labels: opts.NewListOpts(opts.ValidateLabel)}
			c.flags.StringVarP(&f.Driver, "driver", "d", "bridge", "Driver to manage the Network")
			c.flags.VarP(f.options, "opt", "o", "Set driver specific options")
			c.flags.Var(&f.labels, "label", "Set metadata on a network")
			c.flags.BoolVar(&f.Internal, "internal", false, "Restrict external access to the network")
			c.flags.BoolVar(&f.ipv4, "ipv4", true, "Enable or disable IPv4 address assignment")
			c.flags.BoolVar(&f.ipv6, "ipv6", false, "Enable or disable IPv6 address assignment")
			c.flags.BoolVar(&f.Attachable, "attachable", false, "Enable manual container attachment")
			c.flags.BoolVar(&f.Ingress, "ingress", false, "Create swarm routing-mesh network")
			c.flags.StringVar(&f.Scope, "scope", "", "Control the network's scope")
			c.flags.BoolVar(&f.ConfigOnly, "config-only", false, "Create a configuration only network")
			c.flags.StringVar(&f.configFrom, "config-from", "", "The network from which to copy the configuration")
			f.ipam.define(c.flags)
			return func(ctx context.Context, args []string) error { return c.createNetwork(&f, args[0]) }
		},
	}
}

func (c *call) createNetwork(f *networkCreateFlags, name string) error {
	ipam, err := f.ipam.config()
	if err != nil {
		return plainFailure("%w", err)
	}
	o := f.CreateOptions
	o.IPAM, o.Options, o.Labels = ipam, f.options.GetAll(), opts.ConvertKVStringsToMap(f.labels.GetSlice())
	if c.flags.Changed("ipv4") {
		o.EnableIPv4 = &f.ipv4
	}
	if c.flags.Changed("ipv6") {
		o.EnableIPv6 = &f.ipv6
	}
	if f.configFrom != "" {
		o.ConfigFrom = &network.ConfigReference{Network: f.configFrom}
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	made, err := b.networks.Create(name, o)
	if err != nil {
		return engineFailure(err)
	}
	fmt.Fprintln(c.stdout, made.ID)
	return nil
}
