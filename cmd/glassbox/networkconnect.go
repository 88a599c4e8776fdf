package main

import (
	"context"
	"errors"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/network"
)

// connectFlags are those of `network connect`.
type connectFlags struct {
	network.EndpointIPAMConfig
	links            opts.ListOpts
	aliases, options []string
	priority         int
}

func networkConnectVerb() verb {
	return verb{
		use: "connect [OPTIONS] NETWORK CONTAINER", short: "Connect a container to a network", min: 2, max: 2, offers: offerNetworks | thenContainers,
		prepare: func(c *call) action {
			f := connectFlags{links: opts.NewListOpts(opts.ValidateLink)}
			c.flags.StringVar(&f.IPv4Address, "ip", "", `IPv4 address (e.g., "172.30.100.104")`)
			c.flags.StringVar(&f.IPv6Address, "ip6", "", `IPv6 address (e.g., "2001:db8::33")`)
			c.flags.Var(&f.links, "link", "Add link to another container")
			c.flags.StringSliceVar(&f.aliases, "alias", []string{}, "Add network-scoped alias for the container")
			c.flags.StringSliceVar(&f.LinkLocalIPs, "link-local-ip", []string{}, "Add a link-local address for the container")
			c.flags.StringSliceVar(&f.options, "driver-opt", []string{}, "driver options for the network")
			c.flags.IntVar(&f.priority, "gw-priority", 0, "Highest gw-priority provides the default gateway. Accepts positive and negative values.")
			return func(ctx context.Context, args []string) error { return c.connectNetwork(&f, args[0], args[1]) }
		},
	}
}

func (c *call) connectNetwork(f *connectFlags, name, container string) error {
	options, err := driverOptions(f.options)
	if err != nil {
		return plainFailure("%w", err)
	}
	b, err := c.backend()
	if err != nil {
		return err
	}
	return engineFailure(b.networks.Connect(name, container, &network.EndpointSettings{
		IPAMConfig: &f.EndpointIPAMConfig, Links: f.links.GetSlice(), Aliases: f.aliases, DriverOpts: options, GwPriority: f.priority,
	}))
}

func driverOptions(given []string) (map[string]string, error) {
	all := map[string]string{}
	for _, o := range given {
		k, v, ok := strings.Cut(o, "=")
		k = strings.TrimSpace(k)
		if !ok || k == "" {
			return nil, errors.New("invalid key/value pair format in driver options")
		}
		all[k] = strings.TrimSpace(v)
	}
	return all, nil
}

func networkDisconnectVerb() verb {
	return verb{
		use: "disconnect [OPTIONS] NETWORK CONTAINER", short: "Disconnect a container from a network", min: 2, max: 2, offers: offerNetworks | thenContainers,
		prepare: func(c *call) action {
			force := c.flags.BoolP("force", "f", false, "Force the container to disconnect from a network")
			return func(ctx context.Context, args []string) error {
				b, err := c.backend()
				if err != nil {
					return err
				}
				return engineFailure(b.networks.Disconnect(args[0], args[1], *force))
			}
		},
	}
}
