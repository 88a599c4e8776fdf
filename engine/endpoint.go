package engine

import (
	"net/netip"

	"glassbox/firewall"
	"glassbox/network"
)

// endpoint is the container's place on one network.
type endpoint struct {
	ID        string // 64 hexadecimal digits, as inspect shows it
	Network   string // the network's id
	Name      string // the network's name
	Driver    string
	Interface network.Interface
	Member    *firewall.Member `json:",omitempty"` // on bridges
	Aliases   []string         // names under which others find it, as inspect shows them (DNSNames)
	Internal  bool
	Gateways  []netip.Addr // the network's; Interface.Gateways are those that this container's default routes lead to
	Direct    bool         // the network needs no gateway: packets for anywhere go straight into it (ipvlan in layer 3)
	Priority  int          // --network name=...,gw-priority=
}

// address is the one of the family that its network gave it, with the subnet's length; invalid when there is none.
func (e *endpoint) address(v6 bool) netip.Prefix {
	for _, a := range e.Interface.Addresses {
		if a.Addr().Is6() == v6 && !a.Addr().IsLinkLocalUnicast() {
			return a
		}
	}
	return netip.Prefix{}
}

// gateway of the family; invalid when there is none.
func (e *endpoint) gateway(v6 bool) netip.Addr {
	for _, g := range e.Gateways {
		if g.Is6() == v6 {
			return g
		}
	}
	return netip.Addr{}
}

// leads says whether a default route of the family can go through this network.
func (e *endpoint) leads(v6 bool) bool {
	return !e.Internal && e.address(v6).IsValid() && (e.Direct || e.gateway(v6).IsValid())
}

// named: the container's names are known on networks that users made, as in Docker.
func (e *endpoint) named() bool { return !predefined(e.Name) }

// before puts the endpoint that is to provide the default routes first, as Docker does.
func (e *endpoint) before(o *endpoint) int {
	if e.Priority != o.Priority {
		return o.Priority - e.Priority
	}
	if e.Internal != o.Internal {
		return count(e.Internal) - count(o.Internal)
	}
	if mine, theirs := count(e.leads(false), e.leads(true)), count(o.leads(false), o.leads(true)); mine != theirs {
		return theirs - mine
	}
	switch {
	case e.Name < o.Name:
		return -1
	case e.Name > o.Name:
		return 1
	}
	return 0
}

func count(is ...bool) (n int) {
	for _, b := range is {
		if b {
			n++
		}
	}
	return n
}

// bound is a published port as it was bound at the start.
type bound struct {
	Port    firewall.Port
	Host    netip.AddrPort // what -p asked for, with the number that a random one got
	Target  uint16         // the container's port
	Network string         // id of the network whose address To is
}

// forwarded: the kernel forwards within a family; the rest is the attendant's.
func (b *bound) forwarded() bool { return b.Port.Listen.Addr().Is4() == b.Port.To.Addr().Is4() }
