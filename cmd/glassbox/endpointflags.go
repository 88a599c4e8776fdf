package main

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
)

// endpoints joins each --network with the flags beside it, which describe the first network.
func (n *networkFlags) endpoints() (*network.NetworkingConfig, error) {
	all := map[string]*network.EndpointSettings{}
	given := slices.Clone(n.network.Value())
	if len(given) == 0 {
		given = []opts.NetworkAttachmentOpts{{Target: "default"}}
	}
	var defined, special bool
	for i, a := range given {
		if i == 0 {
			if err := n.describe(&a); err != nil {
				return nil, err
			}
		}
		e, err := settings(a)
		if err != nil {
			return nil, err
		}
		if _, twice := all[a.Target]; twice {
			return nil, fmt.Errorf("network %q is specified multiple times", a.Target)
		}
		own := container.NetworkMode(a.Target).IsUserDefined()
		defined, special = defined || own, special || !own && len(n.network.Value()) > 0
		if len(n.network.Value()) == 1 && reflect.DeepEqual(*e, network.EndpointSettings{}) {
			continue // the engine makes it of the network mode
		}
		all[a.Target] = e
	}
	if defined && special {
		return nil, errors.New("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
	}
	return &network.NetworkingConfig{EndpointsConfig: all}, nil
}

// describe gives a network the values of the flags beside --network, which may not be said twice.
func (n *networkFlags) describe(a *opts.NetworkAttachmentOpts) error {
	for _, twice := range []struct {
		both bool
		flag string
		what string
	}{
		{len(a.Aliases) > 0 && n.aliases.Len() > 0, "network-alias", "alias"},
		{len(a.Links) > 0 && n.links.Len() > 0, "link", "links"},
		{a.IPv4Address != "" && n.ip4 != "", "ip", "IPv4 address"},
		{a.IPv6Address != "" && n.ip6 != "", "ip6", "IPv6 address"},
		{a.MacAddress != "" && n.mac != "", "mac-address", "MAC address"},
		{len(a.LinkLocalIPs) > 0 && n.linkLocal.Len() > 0, "link-local-ip", "link-local IP addresses"},
	} {
		if twice.both {
			return fmt.Errorf("conflicting options: cannot specify both --%s and per-network %s", twice.flag, twice.what)
		}
	}
	if n.aliases.Len() > 0 {
		a.Aliases = n.aliases.GetSlice()
	}
	// On the default bridge a link belongs to the container, elsewhere it is a name that one network's resolver knows.
	if container.NetworkMode(a.Target).IsUserDefined() && n.links.Len() > 0 {
		a.Links = n.links.GetSlice()
	}
	if n.linkLocal.Len() > 0 {
		a.LinkLocalIPs = n.linkLocal.GetSlice()
	}
	for _, v := range []struct {
		to   *string
		flag string
	}{{&a.IPv4Address, n.ip4}, {&a.IPv6Address, n.ip6}, {&a.MacAddress, n.mac}} {
		if v.flag != "" {
			*v.to = v.flag
		}
	}
	return nil
}

// settings is an attachment as the engine is asked for it.
func settings(a opts.NetworkAttachmentOpts) (*network.EndpointSettings, error) {
	if strings.TrimSpace(a.Target) == "" {
		return nil, errors.New("no name set for network")
	}
	switch own := container.NetworkMode(a.Target).IsUserDefined(); {
	case !own && len(a.Aliases) > 0:
		return nil, errors.New("network-scoped aliases are only supported for user-defined networks")
	case !own && len(a.Links) > 0:
		return nil, errors.New("links are only supported for user-defined networks")
	}
	if a.MacAddress != "" {
		if _, err := net.ParseMAC(strings.TrimSpace(a.MacAddress)); err != nil {
			return nil, fmt.Errorf("%s is not a valid mac address", a.MacAddress)
		}
	}
	e := &network.EndpointSettings{MacAddress: a.MacAddress, GwPriority: a.GwPriority}
	if len(a.Aliases) > 0 {
		e.Aliases = a.Aliases
	}
	if len(a.Links) > 0 {
		e.Links = a.Links
	}
	if len(a.DriverOpts) > 0 {
		e.DriverOpts = a.DriverOpts
	}
	if a.IPv4Address != "" || a.IPv6Address != "" || len(a.LinkLocalIPs) > 0 {
		e.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: a.IPv4Address, IPv6Address: a.IPv6Address, LinkLocalIPs: a.LinkLocalIPs}
	}
	return e, nil
}
