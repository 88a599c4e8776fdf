package engine

import (
	"net/netip"
	"slices"

	"glassbox/attendant"
	"glassbox/firewall"
	"glassbox/network"
	"glassbox/program"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// intended is the network's phase of a start that nobody carries out: no address is claimed, no port is bound, and the process that
// would be plugged in has no number yet.
func (c *Containers) intended(r *record) ([]program.Account, error) {
	if !r.plugs() {
		return nil, nil
	}
	p := &plugging{c: c, r: r, w: &wiring{ID: r.ID}}
	var requests []program.Request
	for _, w := range r.wishes() {
		n, err := c.networks.load(w.ref())
		if Is(err, NotFound) {
			continue // the start would say so
		}
		if err != nil {
			return nil, err
		}
		if n.kind() == "" {
			continue
		}
		lacking, err := c.networks.lacks(n)
		if err != nil {
			return nil, err
		}
		requests = append(requests, lacking...)
		if err := p.imagine(n, w); err != nil {
			return nil, err
		}
	}
	return p.foretell(requests)
}

// imagine adds an endpoint with the addresses that a start would get now.
func (p *plugging) imagine(n *networkRecord, w wish) error {
	addresses, err := p.c.networks.next(p.r.spoken(n), w.IPAMConfig)
	if err != nil {
		return err
	}
	mac, err := hardware(w.MacAddress, addresses)
	if err != nil {
		return err
	}
	e := p.r.endpointOn(n, p.r.ID, w.EndpointSettings, mac, addresses)
	e.Interface.Name = p.w.freeName(w.DriverOpts, n)
	e.Interface.Sysctls = interfaceSysctls(w.DriverOpts, e.Interface.Name)
	p.w.Endpoints = append(p.w.Endpoints, e)
	p.networks = append(p.networks, n)
	return nil
}

func (p *plugging) foretell(requests []program.Request) ([]program.Account, error) {
	p.w.lead()
	p.w.Resolver = p.w.named()
	for i := range p.w.Endpoints {
		requests = append(requests, p.w.Endpoints[i].Interface.Plug(nil)...)
	}
	if err := p.foresee(); err != nil {
		return nil, err
	}
	if b := p.w.batch(); !b.Empty() {
		requests = append(requests, b.Request("", fenceWhy))
	}
	if p.w.attended() {
		requests = append(requests, p.attending("", attendant.Config{}, nil))
	}
	return []program.Account{program.Intended("network", plugWhy, requests)}, nil
}

// foresee draws the published ports as far as their numbers are known.
func (p *plugging) foresee() error {
	v4, v6 := p.w.publisher(false), p.w.publisher(true)
	all, err := p.r.publishings()
	for _, g := range all {
		for _, b := range p.bindings(g, v4, v6) {
			at := netip.AddrPortFrom(b.listen, g.first)
			p.w.Bound = append(p.w.Bound, bound{
				Port: firewall.Port{Proto: g.proto, Listen: at, To: b.to, Bridge: b.endpoint.Interface.Master},
				Host: at, Target: g.target, Network: b.endpoint.Network,
			})
		}
	}
	return err
}

// next are the addresses that reserve would give, without claiming them.
func (n *Networks) next(r *networkRecord, ipam *dockernetwork.EndpointIPAMConfig) ([]netip.Prefix, error) {
	if ipam == nil {
		ipam = &dockernetwork.EndpointIPAMConfig{}
	}
	taken, err := r.place.Addresses().All()
	var all []netip.Prefix
	for _, f := range []struct {
		v6, has bool
		want    string
	}{{false, r.EnableIPv4, ipam.IPv4Address}, {true, r.EnableIPv6, ipam.IPv6Address}} {
		for i := range r.Pools {
			p := &r.Pools[i]
			if !f.has || p.v6() != f.v6 {
				continue
			}
			if want, err := netip.ParseAddr(f.want); err == nil {
				all = append(all, netip.PrefixFrom(want, p.Subnet.Bits()))
				break
			}
			if a := p.first(taken); a.IsValid() {
				all = append(all, netip.PrefixFrom(a, p.Subnet.Bits()))
				break
			}
		}
	}
	return all, err
}

// first is the lowest address that is neither kept nor taken.
func (p *addressPool) first(taken []string) netip.Addr {
	for a := range network.Candidates(p.Subnet, p.within()) {
		if !p.kept(a) && !slices.Contains(taken, a.String()) {
			return a
		}
	}
	return netip.Addr{}
}
