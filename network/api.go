// Package network plugs containers into networks: bridges, veth pairs, macvlan and ipvlan interfaces, addresses and routes, each a
// netlink request that is told as iproute2 would say it.
package network

import (
	"errors"
	"iter"
	"net"
	"net/netip"
	"os"

	"glassbox/program"
)

var errStub = errors.New("network: stub")

// Bridge is a switch in the kernel; the interfaces of one network's containers are its ports, and its own addresses are
// their gateways.
type Bridge struct {
	Name      string
	Addresses []netip.Prefix // of the gateways, each with its subnet's length; empty with an isolated one
	MTU       int            // 0: the kernel's
	From      string         // what asked for it, for the account
}

// Raise returns the requests for what the bridge lacks: the link, its addresses, IPv6, route_localnet (so that
// the host's 127.0.0.1 reaches published ports), up. None when nothing is missing.
func (b Bridge) Raise() ([]program.Request, error) { return nil, errStub }

// Lower returns the requests that remove it; none when it is not there.
func (b Bridge) Lower() ([]program.Request, error) { return nil, errStub }

// Ports are the names of the interfaces that are plugged into the bridge.
func (b Bridge) Ports() ([]string, error) { return nil, errStub }

// Kinds of interfaces.
const (
	KindBridge  = "bridge" // a veth pair, one end in a bridge
	KindMacvlan = "macvlan"
	KindIPvlan  = "ipvlan"
)

// Interface is what one container has of one network.
type Interface struct {
	Kind      string
	Master    string           // the bridge, or the parent interface of the host
	Mode      string           // macvlan: bridge (default) vepa passthru private; ipvlan: l2 (default) l3 l3s
	Host      string           // name of the host's end of a veth pair
	Name      string           // inside: eth0
	MAC       net.HardwareAddr // nil: the kernel's choice
	Addresses []netip.Prefix
	Gateways  []netip.Addr // default routes through this interface, at most one of each family
	MTU       int
	Sysctls   map[string]string // net.ipv4.conf.IFNAME.x=y, IFNAME already replaced
	From      string
}

// Namespace is a container's network namespace, held open; nil where nothing is asked of the kernel.
type Namespace struct{ File *os.File }

// Open holds the network namespace of a process.
func Open(pid int) (*Namespace, error) { return nil, errStub }

// OpenPath holds the network namespace that a path names: namespaces(7).
func OpenPath(path string) (*Namespace, error) { return nil, errStub }

func (n *Namespace) Close() error { return n.File.Close() }

// Enter runs f on a thread of its own inside the namespace: sockets that f opens belong to it for good.
func (n *Namespace) Enter(f func() error) error { return errStub }

// Plug returns the requests that give the container the interface, up, with addresses and routes.
func (i Interface) Plug(n *Namespace) []program.Request { return nil }

// Unplug returns the requests that take it away again while the container runs.
func (i Interface) Unplug(n *Namespace) []program.Request { return nil }

// Reroute returns the requests that make these the container's default routes: after a network was connected or disconnected.
func Reroute(n *Namespace, routes []Route) []program.Request { return nil }

// Route is a default route: through which interface, and over which gateway (invalid: straight into the interface).
type Route struct {
	Interface string
	Gateway   netip.Addr
	IPv6      bool
}

// Leftover returns the requests that remove a veth's end, or another interface of ours, from the host by its name, if it is there.
func Leftover(name string) ([]program.Request, error) { return nil, errStub }

// Parent returns the requests for the parent of a macvlan or ipvlan network, if it lacks: a VLAN sub-interface (eth0.10), or a
// dummy for an internal network. made says whether it is ours to remove when the network goes.
func Parent(name string, internal bool) (requests []program.Request, made bool, err error) {
	return nil, false, errStub
}

// Routed are the subnets that this host has routes to (the kernel's tables, without default routes) and the servers of its
// resolv.conf: a new network must not hide them.
func Routed() ([]netip.Prefix, error) { return nil, errStub }

// Pool is a range from which subnets of one size are cut.
type Pool struct {
	Base netip.Prefix
	Size int // prefix length of a subnet
}

// DefaultPools are Docker's.
func DefaultPools() []Pool { return nil }

// ErrExhausted says that no subnet or address is free.
var ErrExhausted = errors.New("none is free")

// Free returns the first subnet of the pools that overlaps none of those taken.
func Free(pools []Pool, taken []netip.Prefix) (netip.Prefix, error) { return netip.Prefix{}, errStub }

// Candidates yields the addresses of a subnet that hosts may have, in order, from within (which may be the whole subnet, or
// --ip-range): without network and broadcast address in IPv4, without the all-zero one in IPv6.
func Candidates(subnet, within netip.Prefix) iter.Seq[netip.Addr] { return nil }

// HardwareAddress is a locally administered unicast address, random.
func HardwareAddress() net.HardwareAddr { return nil }

// Forwarding returns the requests that let this host route between its interfaces (net.ipv4.ip_forward, and
// net.ipv6.conf.all.forwarding), none where it does already.
func Forwarding(ipv6 bool) ([]program.Request, error) { return nil, errStub }
