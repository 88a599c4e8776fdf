package firewall

import (
	"net"
	"net/netip"
	"slices"
)

// Network is what the table knows of a bridge.
type Network struct {
	Bridge       string
	Subnets      []netip.Prefix
	Gateways     []netip.Addr // the bridge's own addresses: no container may use them
	Internal     bool         // nobody outside is reached, and nobody outside reaches it
	Isolated     bool         // its containers do not reach one another either (enable_icc=false)
	NoMasquerade bool         // outgoing traffic keeps the containers' addresses
	Sources      []netip.Addr // outgoing traffic gets these addresses instead of the outgoing interface's (host_ipv4, host_ipv6)
}

// Member is a port of a bridge: whoever sends there another member's address, or a gateway's, is not heard.
type Member struct {
	Bridge    string
	Host      string // the host's end of the veth pair
	MAC       net.HardwareAddr
	Addresses []netip.Addr
	Isolated  bool // its network's
}

// Port is a published port.
type Port struct {
	Proto  string         // tcp udp sctp
	Listen netip.AddrPort // the host's side; an unspecified address stands for all of its family
	To     netip.AddrPort // the container's side, of the same family
	Bridge string
}

// Desired is all that the table shall hold.
type Desired struct {
	Networks []Network
	Members  []Member
	Ports    []Port
}

func (d Desired) elements() []element {
	var all []element
	for _, n := range d.Networks {
		all = append(all, n.elements()...)
	}
	for _, m := range d.Members {
		all = append(all, m.elements()...)
	}
	for _, p := range d.Ports {
		all = append(all, p.elements()...)
	}
	type place struct {
		set   *set
		words string
	}
	seen := map[place]bool{}
	return slices.DeleteFunc(all, func(e element) bool {
		p := place{e.set, e.words()}
		was := seen[p]
		seen[p] = true
		return was
	})
}

func (n Network) elements() []element {
	bridge := name(n.Bridge)
	all := []element{one(bridges, bridge), one(same, bridge, bridge)}
	if n.Internal {
		all = append(all, one(internal, bridge))
	}
	if n.Isolated {
		all = append(all, one(isolated, bridge))
	}
	for _, p := range n.Subnets {
		all = append(all, n.outgoing(p)...)
	}
	for _, a := range n.Gateways {
		all = append(all, taken(n.Bridge, a)...)
	}
	return all
}

// outgoing is how what leaves a subnet is called outside.
func (n Network) outgoing(subnet netip.Prefix) []element {
	if n.Internal {
		return nil
	}
	for _, a := range n.Sources {
		if a.Is4() == subnet.Addr().Is4() {
			return []element{{set: either(subnet.Addr(), sources4, sources6), prefix: subnet, value: []datum{address(a)}}}
		}
	}
	if n.NoMasquerade {
		return nil
	}
	return []element{{set: either(subnet.Addr(), masquerade4, masquerade6), prefix: subnet}}
}

func (m Member) elements() []element {
	port, network := name(m.Host), numberOf(m.Bridge)
	all := []element{one(ports, port), {set: networks, key: []datum{port}, value: []datum{network}}}
	if m.Isolated {
		all = append(all, one(separated, port))
	}
	if m.MAC != nil {
		all = append(all, one(ownHardware, port, hardware(m.MAC)), one(takenHardware, network, hardware(m.MAC)))
	}
	for _, a := range m.Addresses {
		all = append(all, one(either(a, own4, own6), port, address(a)))
		if a.Is6() {
			all = append(all, one(ownTarget, port, spoken(a)))
		}
		all = append(all, taken(m.Bridge, a)...)
	}
	return all
}

// taken are the elements that keep an address of a network for who owns it.
func taken(bridge string, a netip.Addr) []element {
	network := numberOf(bridge)
	if a.Is4() {
		return []element{one(taken4, network, address(a))}
	}
	return []element{one(taken6, network, address(a)), one(takenTarget, network, spoken(a))}
}

func (p Port) elements() []element {
	proto, number := protocolName(p.Proto), service(p.Listen.Port())
	listen, to := p.Listen.Addr(), []datum{address(p.To.Addr()), service(p.To.Port())}
	if listen.Is6() && listen.IsLoopback() || listen.Is4() != p.To.Addr().Is4() {
		return nil // the kernel routes ::1 nowhere (RFC 4291) and translates no family into the other: the attendant's socket serves it
	}
	sent := element{set: either(listen, published4, published6), key: []datum{address(listen), proto, number}, value: to}
	if listen.IsUnspecified() {
		sent.set, sent.key = either(listen, everywhere4, everywhere6), sent.key[1:]
	}
	all := []element{sent}
	if listen.Is4() && listen.IsLoopback() {
		all = append(all, element{set: loopback, key: sent.key, part: &sent})
	}
	if p.Proto != "sctp" { // which no attendant speaks
		all = append(all, one(either(listen, self4, self6), to[0], proto, number))
	}
	return all
}

func one(s *set, key ...datum) element { return element{set: s, key: key} }

func either(a netip.Addr, four, six *set) *set {
	if a.Is4() {
		return four
	}
	return six
}
