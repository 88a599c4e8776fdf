package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"glassbox/firewall"
	"glassbox/store"

	"github.com/docker/docker/api/types/network"
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
	ID          string
	Name        string
	Created     time.Time
	Driver      string
	EnableIPv4  bool
	EnableIPv6  bool
	IPAM        network.IPAM // as it was asked for
	Pools       []addressPool
	Internal    bool
	Attachable  bool
	ConfigOnly  bool
	ConfigFrom  string
	Options     map[string]string
	Labels      map[string]string
	Bridge      string // the bridge's interface, with the driver bridge
	Parent      string // the host's interface, with macvlan and ipvlan
	ParentMade  bool   // Parent is ours to remove
	BridgeFound bool   // the bridge was there before the network, and stays when it goes

	place store.NetworkPlace
}

// addressPool is a subnet of a network, and which of its addresses are not for containers.
type addressPool struct {
	Subnet  netip.Prefix
	Range   netip.Prefix // containers get addresses from here; invalid: from the whole subnet
	Gateway netip.Addr   // invalid: there is none
	Aux     map[string]netip.Addr
	Chosen  bool // by us: nobody may ask for an address in it
}

func (r *networkRecord) short() string { return r.ID[:12] }

func (r *networkRecord) save() error { return store.Write(r.place.Document(), r) }

// zone is the directory of the Host documents of the network's containers.
func (r *networkRecord) zone() string { return r.place.Zone() }

// predefined: bridge, host and none are always there.
func (r *networkRecord) predefined() bool { return predefined(r.Name) }

func predefined(name string) bool {
	return name == network.NetworkBridge || name == network.NetworkHost || name == network.NetworkNone
}

// subnets of the network in the order in which addresses are given: IPv4 first.
func (r *networkRecord) subnets() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range r.Pools {
		all = append(all, p.Subnet)
	}
	return all
}

// gateway is the address that containers whose own address is a route through; invalid when the subnet has none.
func (r *networkRecord) gateway(a netip.Addr) netip.Addr {
	for _, p := range r.Pools {
		if p.Subnet.Contains(a) {
			return p.Gateway
		}
	}
	return netip.Addr{}
}

// wall is what the firewall knows of the network.
func (r *networkRecord) wall() firewall.Network {
	return firewall.Network{Bridge: r.Bridge, Subnets: r.subnets(), Internal: r.Internal}
}

// load reads a network by what the user typed: full id, name, or unique prefix of an id.
func (n *Networks) load(ref string) (*networkRecord, error) {
	owner, err := n.root.NetworkNames().Owner(ref)
	if err != nil {
		return nil, noNetwork(ref)
	}
	return n.read(owner)
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

// all reads every network.
func (n *Networks) all() ([]*networkRecord, error) {
	ids, err := n.root.NetworkIDs()
	if err != nil {
		return nil, err
	}
	var all []*networkRecord
	for _, id := range ids {
		r, err := n.read(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
