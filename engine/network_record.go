package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"glassbox/firewall"
	"glassbox/network"
	"glassbox/store"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// Drivers of networks.
const (
	driverBridge  = "bridge"
	driverMacvlan = "macvlan"
	driverIPvlan  = "ipvlan"
	driverHost    = "host"
	driverNull    = "null"
)

// networkRecord is what a network is: its network.json.
type networkRecord struct {
	ID         string
	Name       string
	Created    time.Time
	Driver     string
	EnableIPv4 bool
	EnableIPv6 bool
	IPAM       dockernetwork.IPAM // as it was asked for
	Pools      []addressPool      // what became of that, IPv4 first
	Internal   bool
	Attachable bool
	ConfigOnly bool
	ConfigFrom string
	Options    map[string]string
	Labels     map[string]string
	Bridge     string // the bridge's interface, with the driver bridge
	Found      bool   // that was there before the network, and stays when it goes
	Parent     string // the host's interface, with macvlan and ipvlan
	ParentMade bool   // that is ours to remove

	place store.NetworkPlace
}

// addressPool is a subnet of a network, and which of its addresses are not for containers.
type addressPool struct {
	Subnet  netip.Prefix
	Range   netip.Prefix // containers get addresses from here; invalid: from the whole subnet
	Gateway netip.Addr   // the bridge's own address, or a router's; invalid: there is none
	Aux     map[string]netip.Addr
	Chosen  bool // by us: containers cannot ask for an address of it
}

func (p *addressPool) v6() bool { return p.Subnet.Addr().Is6() }

// within is where addresses are chosen from.
func (p *addressPool) within() netip.Prefix {
	if p.Range.IsValid() {
		return p.Range
	}
	return p.Subnet
}

// kept: the address is not for containers.
func (p *addressPool) kept(a netip.Addr) bool {
	if a == p.Gateway || edge(p.Subnet, a) {
		return true
	}
	for _, aux := range p.Aux {
		if a == aux {
			return true
		}
	}
	return false
}

// edge: the address is the subnet's own, or IPv4's broadcast address. A pair of IPv4 addresses has neither: RFC 3021.
func edge(subnet netip.Prefix, a netip.Addr) bool {
	if a.Is4() && subnet.Bits() > 30 {
		return false
	}
	return a == subnet.Addr() || a.Is4() && !subnet.Contains(a.Next())
}

// route is the address through which containers leave the subnet: the gateway, unless an auxiliary address of a certain name says
// otherwise, which Docker calls the default gateway.
func (p *addressPool) route() netip.Addr {
	name := "DefaultGatewayIPv4"
	if p.v6() {
		name = "DefaultGatewayIPv6"
	}
	if a, ok := p.Aux[name]; ok {
		return a
	}
	return p.Gateway
}

func (r *networkRecord) short() string { return r.ID[:12] }

func (r *networkRecord) save() error { return store.Write(r.place.Document(), r) }

// zone is the directory of the Host documents of the network's containers.
func (r *networkRecord) zone() string { return r.place.Zone() }

// predefined: bridge, host and none are always there.
func (r *networkRecord) predefined() bool { return predefined(r.Name) }

func predefined(name string) bool {
	return name == dockernetwork.NetworkBridge || name == dockernetwork.NetworkHost || name == dockernetwork.NetworkNone
}

// subnets of the network, IPv4 first.
func (r *networkRecord) subnets() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range r.Pools {
		all = append(all, p.Subnet)
	}
	return all
}

// gateway is the router that an address of this network has; invalid when it has none.
func (r *networkRecord) gateway(a netip.Addr) netip.Addr {
	if r.closed() || r.direct() {
		return netip.Addr{}
	}
	for _, p := range r.Pools {
		if p.Subnet.Contains(a) {
			return p.route()
		}
	}
	return netip.Addr{}
}

// closed: no way leads out of the network. A macvlan or ipvlan network without a parent is closed, though inspect does not say so.
func (r *networkRecord) closed() bool {
	switch r.Driver {
	case driverMacvlan, driverIPvlan:
		return r.Internal || r.Options[optParent] == ""
	}
	return r.Internal
}

// direct: containers need no gateway, packets for anywhere go straight into the network (ipvlan in layer 3).
func (r *networkRecord) direct() bool {
	o := r.options()
	return !r.closed() && o.layer3(r.Driver)
}

// kind of the interfaces that containers have on the network; empty: the network gives none.
func (r *networkRecord) kind() string {
	switch r.Driver {
	case driverBridge:
		return network.KindBridge
	case driverMacvlan:
		return network.KindMacvlan
	case driverIPvlan:
		return network.KindIPvlan
	}
	return ""
}

// master is the interface of the host that those sit on.
func (r *networkRecord) master() string { return r.Bridge + r.Parent }

// bridge is the kernel's part of the network.
func (r *networkRecord) bridge() network.Bridge {
	o := r.options()
	b := network.Bridge{Name: r.Bridge, MTU: o.mtu, From: "network " + r.Name}
	for _, p := range r.Pools {
		if p.Gateway.IsValid() && !o.addressless(p.v6()) {
			b.Addresses = append(b.Addresses, netip.PrefixFrom(p.Gateway, p.Subnet.Bits()))
		}
	}
	return b
}

// wall is what the firewall knows of the network.
func (r *networkRecord) wall() firewall.Network {
	o := r.options()
	w := firewall.Network{Bridge: r.Bridge, Subnets: r.subnets(), Internal: r.Internal, Isolated: o.isolated, NoMasquerade: o.noMasquerade}
	for _, a := range r.bridge().Addresses {
		w.Gateways = append(w.Gateways, a.Addr())
	}
	for _, a := range []netip.Addr{o.host4, o.host6} {
		if a.IsValid() {
			w.Sources = append(w.Sources, a)
		}
	}
	return w
}

// load reads a network by what the user typed: full id, name, or unique prefix of an id, in this order as Docker does.
func (n *Networks) load(ref string) (*networkRecord, error) {
	if ref == "" {
		return nil, invalid("invalid network name or ID: value is empty")
	}
	if predefined(ref) {
		return n.ensure(ref)
	}
	if len(ref) == store.IDLength {
		if r, err := n.read(ref); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
	}
	r, err := n.named(ref)
	if r != nil || err != nil {
		return r, err
	}
	return n.prefixed(ref)
}

// named reads the network of that name; nil when there is none. A name whose document is gone or says otherwise is the rest of a
// creation or a removal that was interrupted.
func (n *Networks) named(name string) (*networkRecord, error) {
	owner, err := n.root.NetworkNames().Owner(store.NetworkClaim(name))
	if err != nil {
		return nil, gone(err)
	}
	r, err := n.read(owner)
	if err != nil {
		return nil, gone(err)
	}
	if r.Name != name {
		return nil, nil
	}
	return r, nil
}

func (n *Networks) prefixed(ref string) (*networkRecord, error) {
	all, err := n.all()
	if err != nil {
		return nil, err
	}
	var found []*networkRecord
	for _, r := range all {
		if r.Name == ref { // somebody lost the name's claim
			return r, nil
		}
		if strings.HasPrefix(r.ID, ref) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, noNetwork(ref)
	case 1:
		return found[0], nil
	}
	return nil, invalid("network %s is ambiguous (%d matches found based on ID prefix)", ref, len(found))
}

func noNetwork(ref string) error {
	return &Error{Class: NotFound, Text: fmt.Sprintf("network %s not found", ref)}
}

func (n *Networks) read(id string) (*networkRecord, error) {
	r := &networkRecord{place: n.root.Network(id)}
	if err := store.Read(r.place.Document(), r); err != nil {
		return nil, err
	}
	if r.ID != id || r.Driver == "" {
		return nil, fmt.Errorf("%s is not the document of network %s", r.place.Document(), id)
	}
	return r, nil
}

// all reads every network. Of a damaged document the user is told, once: it stands aside then.
func (n *Networks) all() ([]*networkRecord, error) {
	ids, err := n.root.NetworkIDs()
	if err != nil {
		return nil, err
	}
	var all []*networkRecord
	for _, id := range ids {
		r, err := n.read(id)
		var damaged *store.Corrupt
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.As(err, &damaged):
			n.warn(err.Error())
		case err != nil:
			return nil, err
		default:
			all = append(all, r)
		}
	}
	return all, nil
}
