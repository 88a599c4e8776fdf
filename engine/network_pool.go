package engine

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"glassbox/network"

	dockernetwork "github.com/docker/docker/api/types/network"
)

const (
	ipamDefault = "default"
	ipamNull    = "null"
)

// allotment gives a network its subnets. The caller keeps others from doing the same.
type allotment struct {
	r      *networkRecord
	others []addressPool // of all other networks
	host   string        // an id of this machine
}

// others are the subnets of all networks but r.
func (n *Networks) others(r *networkRecord) ([]addressPool, error) {
	all, err := n.all()
	var pools []addressPool
	for _, o := range all {
		if o.ID != r.ID {
			pools = append(pools, o.Pools...)
		}
	}
	return pools, err
}

// pools gives the network all its subnets: IPv4's first.
func (a *allotment) pools() error {
	a.r.Pools = nil
	if a.r.IPAM.Driver == ipamNull {
		return a.none()
	}
	for _, v6 := range []bool{false, true} {
		if v6 && !a.r.EnableIPv6 || !v6 && !a.r.EnableIPv4 {
			continue
		}
		if err := a.family(v6, a.asked(v6)); err != nil {
			return err
		}
	}
	return nil
}

// none is the null driver's: a network without addresses.
func (a *allotment) none() error {
	switch {
	case len(a.r.IPAM.Config) > 0:
		return invalid("null ipam driver does not handle specific address pool requests")
	case a.r.EnableIPv4:
		return (&addressPool{Subnet: netip.MustParsePrefix("0.0.0.0/0")}).empty()
	case a.r.EnableIPv6:
		return (&addressPool{Subnet: netip.MustParsePrefix("::/0")}).empty()
	}
	return nil
}

// empty: Docker takes the subnet of all addresses for none.
func (p *addressPool) empty() error {
	if p.v6() {
		return invalid("ipv6 pool is empty")
	}
	return invalid("ipv4 pool is empty")
}

func (a *allotment) asked(v6 bool) []dockernetwork.IPAMConfig {
	var all []dockernetwork.IPAMConfig
	for _, c := range a.r.IPAM.Config {
		if p, err := netip.ParsePrefix(c.Subnet); err == nil && p.Addr().Is6() == v6 {
			all = append(all, c)
		}
	}
	return all
}

// family gives the subnets of one family: those that were asked for, or one that is free.
func (a *allotment) family(v6 bool, asked []dockernetwork.IPAMConfig) error {
	if len(asked) == 0 {
		subnet, err := a.free(v6)
		if err != nil {
			return err
		}
		return a.add(addressPool{Subnet: subnet, Chosen: true}, dockernetwork.IPAMConfig{})
	}
	for _, c := range asked {
		p, err := a.wanted(c)
		if err == nil {
			err = a.add(p, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// free is a subnet that neither a network nor a route of the host has. Where routes cover everything, those that lead beyond a gateway
// do not count, as in Docker: of what they aggregate little may be in use.
func (a *allotment) free(v6 bool) (netip.Prefix, error) {
	routed, err := network.Routed()
	if err != nil {
		return netip.Prefix{}, err
	}
	var all, near []netip.Prefix
	for _, o := range a.others {
		all, near = append(all, o.Subnet), append(near, o.Subnet)
	}
	for _, s := range routed {
		all = append(all, s.Prefix)
		if s.Direct {
			near = append(near, s.Prefix)
		}
	}
	ranges := network.DefaultPools()
	if v6 {
		ranges = []network.Pool{network.UniqueLocalPool(a.host)}
	}
	subnet, err := network.Free(ranges, all)
	if errors.Is(err, network.ErrExhausted) {
		subnet, err = network.Free(ranges, near)
	}
	if errors.Is(err, network.ErrExhausted) {
		err = &Error{Class: InvalidParameter, Text: "all predefined address pools have been fully subnetted", Cause: err}
	}
	return subnet, err
}

// wanted is a subnet that was asked for. Only the networks' own subnets are in its way, as in Docker; and with a range of its own
// a network may have a subnet that another one has: two macvlan networks on one wire.
func (a *allotment) wanted(c dockernetwork.IPAMConfig) (addressPool, error) {
	p := addressPool{Subnet: netip.MustParsePrefix(c.Subnet)}
	if c.IPRange != "" {
		p.Range = netip.MustParsePrefix(c.IPRange)
	}
	for _, o := range append(a.others, a.r.Pools...) {
		if p.Range.IsValid() && p.Range != o.Range {
			continue
		}
		if p.Subnet.Overlaps(o.Subnet) {
			return p, forbidden("invalid pool request: Pool overlaps with other one on this address space")
		}
	}
	return p, nil
}

// add settles which addresses of the subnet are not for containers.
func (a *allotment) add(p addressPool, c dockernetwork.IPAMConfig) error {
	if err := a.gateway(&p, c.Gateway); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.AuxAddress)) {
		aux, err := netip.ParseAddr(c.AuxAddress[name])
		if err != nil {
			return invalid("non parsable secondary ip address (%s:%s) passed for network %s", name, c.AuxAddress[name], a.r.Name)
		}
		if p.kept(aux) {
			return fmt.Errorf("failed to allocate secondary ip address (%s:%s): %w", name, aux, errAddressInUse)
		}
		if p.Aux == nil {
			p.Aux = map[string]netip.Addr{}
		}
		p.Aux[name] = aux
	}
	a.r.Pools = append(a.r.Pools, p)
	return nil
}

// gateway is the one that was asked for, or the first address, where the driver wants one.
func (a *allotment) gateway(p *addressPool, asked string) error {
	if asked != "" {
		g, err := netip.ParseAddr(asked)
		if err != nil {
			return invalid("invalid gateway address %s in Ipam configuration", asked)
		}
		if p.kept(g) {
			return fmt.Errorf("failed to allocate gateway (%s): %w", asked, errAddressInUse)
		}
		p.Gateway = g
		return nil
	}
	o := a.r.options()
	if v4, v6 := o.gateless(a.r.Driver, a.r.Internal); p.v6() && v6 || !p.v6() && v4 {
		return nil
	}
	for g := range network.Candidates(p.Subnet, p.within()) {
		p.Gateway = g
		return nil
	}
	return errors.New("failed to allocate gateway (): no available addresses on this pool")
}
