package network

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"glassbox/program"
)

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
	Flag      string           // ipvlan: bridge (default) private vepa
	Host      string           // name of the host's end of a veth pair
	Name      string           // inside: eth0
	MAC       net.HardwareAddr // nil: the kernel's choice
	Addresses []netip.Prefix
	Gateways  []netip.Addr // default routes through this interface, at most one of each family; 0.0.0.0 or ::: straight into it
	MTU       int
	Sysctls   map[string]string // net.ipv4.conf.IFNAME.x=y, IFNAME already replaced
	From      string
}

// Plug returns the requests that give the container the interface, up, with addresses and routes.
func (i Interface) Plug(n *Namespace) []program.Request {
	var out []program.Request
	if i.Kind == KindBridge {
		out = i.pair(n)
	} else {
		out = i.child(n)
	}
	p, on := n.inside(), &known{name: i.Name}
	out = append(out, i.protocol(p))
	for _, a := range i.Addresses {
		out = append(out, addAddress(p, a, on, i.From, "the container's address on the network"))
	}
	out = append(out, i.notify(p)...)
	for _, key := range slices.Sorted(maps.Keys(i.Sysctls)) {
		out = append(out, set(p, i.key(key), i.Sysctls[key], i.From, "a setting that was asked for"))
	}
	out = append(out, setUp(p, i.Name, i.From, "the interface carries packets when it is up"))
	for _, g := range i.Gateways {
		out = append(out, over(i.Name, g).ask(p, "add", on, i.From, "what is not on a network of the container goes through "+i.Name))
	}
	return append(out, i.again(n)...)
}

// ipv6 says whether the network has it.
func (i Interface) ipv6() bool {
	return slices.ContainsFunc(i.Addresses, func(a netip.Prefix) bool { return a.Addr().Is6() })
}

// protocol turns IPv6 on exactly where the network has it: with a link-local address alone, an interface would listen to whoever
// advertises routes.
func (i Interface) protocol(p place) program.Request {
	key := conf("ipv6", i.Name, "disable_ipv6")
	if i.ipv6() {
		return set(p, key, "0", i.From, "the network has IPv6")
	}
	return set(p, key, "1", i.From, "the network has no IPv6: not even a link-local address, by which neighbours could advertise routes")
}

// key is a setting's key with slashes where the interface's name has dots.
func (i Interface) key(key string) string {
	if !strings.Contains(i.Name, ".") {
		return key
	}
	before, after, _ := strings.Cut(key, "."+i.Name+".")
	return strings.ReplaceAll(before, ".", "/") + "/" + i.Name + "/" + after
}

// Unplug returns the requests that take it away again while the container runs. That of a bridge needs no namespace: both ends of the
// pair go with the host's.
func (i Interface) Unplug(n *Namespace) []program.Request {
	if i.Kind == KindBridge {
		return []program.Request{remove(n.host(), i.Host, i.From, "remove the pair: "+i.Name+" in the container is its other end")}
	}
	return []program.Request{remove(n.inside(), i.Name, i.From, "remove "+i.Name+" from the container")}
}
