package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/network"
	"github.com/spf13/pflag"
)

// ipamFlags say which addresses a network has. Ranges, gateways and auxiliary addresses find their subnet by what it contains.
type ipamFlags struct {
	driver                    string
	subnets, ranges, gateways []string
	auxiliary, options        *opts.MapOpts
}

func (i *ipamFlags) define(f *pflag.FlagSet) {
	i.auxiliary, i.options = opts.NewMapOpts(nil, nil), opts.NewMapOpts(nil, nil)
	f.StringVar(&i.driver, "ipam-driver", "default", "IP Address Management Driver")
	f.StringSliceVar(&i.subnets, "subnet", []string{}, "Subnet in CIDR format that represents a network segment")
	f.StringSliceVar(&i.ranges, "ip-range", []string{}, "Allocate container ip from a sub-range")
	f.StringSliceVar(&i.gateways, "gateway", []string{}, "IPv4 or IPv6 Gateway for the master subnet")
	f.Var(i.auxiliary, "aux-address", "Auxiliary IPv4 or IPv6 addresses used by Network driver")
	f.Var(i.options, "ipam-opt", "Set IPAM driver specific options")
}

func (i *ipamFlags) config() (*network.IPAM, error) {
	if len(i.subnets) < len(i.ranges) || len(i.subnets) < len(i.gateways) {
		return nil, errors.New("every ip-range or gateway must have a corresponding subnet")
	}
	if err := i.disjoint(); err != nil {
		return nil, err
	}
	all := make([]network.IPAMConfig, len(i.subnets))
	for n, s := range i.subnets {
		all[n] = network.IPAMConfig{Subnet: s, AuxAddress: map[string]string{}}
	}
	for _, r := range i.ranges {
		if _, _, err := net.ParseCIDR(r); err != nil {
			return nil, err
		}
		if err := i.place(all, "range", "ranges (%s, %s) on", r, func(c *network.IPAMConfig) *string { return &c.IPRange }); err != nil {
			return nil, err
		}
	}
	for _, g := range i.gateways {
		if err := i.place(all, "gateway", "gateways (%s, %s) for", g, func(c *network.IPAMConfig) *string { return &c.Gateway }); err != nil {
			return nil, err
		}
	}
	given := i.auxiliary.GetAll()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := func(c *network.IPAMConfig) *string { return new(string) }
		if err := i.place(all, "aux-address", "", given[name], at); err != nil {
			return nil, err
		}
		for n := range all {
			if in, _ := within(all[n].Subnet, given[name]); in {
				all[n].AuxAddress[name] = given[name]
			}
		}
	}
	return &network.IPAM{Driver: i.driver, Config: all, Options: i.options.GetAll()}, nil
}

func (i *ipamFlags) disjoint() error {
	for n, s := range i.subnets {
		for _, other := range i.subnets[:n] {
			a, err := within(s, other)
			if err != nil {
				return err
			}
			b, err := within(other, s)
			if err != nil {
				return err
			}
			if a || b {
				return errors.New("multiple overlapping subnet configuration is not supported")
			}
		}
	}
	return nil
}

// place writes value into the field of each subnet that contains it, which is one.
func (i *ipamFlags) place(all []network.IPAMConfig, what, twice, value string, field func(*network.IPAMConfig) *string) error {
	found := false
	for n := range all {
		in, err := within(all[n].Subnet, value)
		if err != nil {
			return err
		}
		if !in {
			continue
		}
		at := field(&all[n])
		if *at != "" {
			return fmt.Errorf("cannot configure multiple "+twice+" the same subnet (%s)", value, *at, all[n].Subnet)
		}
		*at, found = value, true
	}
	if !found {
		return fmt.Errorf("no matching subnet for %s %s", what, value)
	}
	return nil
}

// within says whether an address, or a prefix's first, is in the subnet.
func within(subnet, value string) (bool, error) {
	_, s, err := net.ParseCIDR(subnet)
	if err != nil {
		return false, fmt.Errorf("invalid subnet: %w", err)
	}
	ip := net.ParseIP(value)
	if strings.Contains(value, "/") {
		if ip, _, err = net.ParseCIDR(value); err != nil {
			return false, err
		}
	}
	return s.Contains(ip), nil
}
