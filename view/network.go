package view

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"glassbox/engine"
	"glassbox/network"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Network is what the container's network namespace holds.
type Network struct {
	Same       bool        `json:"same"`                  // it is the host's: what is in it is not listed
	Shared     string      `json:"shared_with,omitempty"` // the container whose namespace it is
	Interfaces []Interface `json:"interfaces"`
	Routes     []Route     `json:"routes"`  // of the main table
	Missing    []Mark      `json:"missing"` // what was asked for and is not there
	Published  []Published `json:"published"`
}

// Published is a port of the host that leads into the container.
type Published struct {
	Host      string   `json:"host"`      // 0.0.0.0:8080
	Port      string   `json:"port"`      // the container's: 80/tcp
	Listeners []string `json:"listeners"` // where somebody in the container listens to it at this moment
	Mark      string   `json:"mark,omitempty"`
}

// Mark is something that is not there.
type Mark struct {
	What string `json:"what"`
	Mark string `json:"mark"`
}

// Interface is one inside, and the host's end of the pair where there is one.
type Interface struct {
	Index     int       `json:"index"`
	Name      string    `json:"name"`
	Kind      string    `json:"kind"` // veth, macvlan, ...; loopback
	MAC       string    `json:"mac"`
	MTU       int       `json:"mtu"`
	Up        bool      `json:"up"`      // as it was set
	Carrier   bool      `json:"carrier"` // the other end is up, too
	Addresses []string  `json:"addresses"`
	Peer      *HostPeer `json:"host,omitempty"`
	Mark      string    `json:"mark,omitempty"`
}

// HostPeer is the host's end of a veth pair, veth(4); or the host's interface that a macvlan or ipvlan sits on.
type HostPeer struct {
	Index  int    `json:"index"`
	Name   string `json:"name"`
	Up     bool   `json:"up"`
	Master string `json:"master"` // the bridge that it is a port of
}

// Route is one of the main table.
type Route struct {
	To      string `json:"to"` // default, or a network
	Gateway string `json:"gateway,omitempty"`
	Device  string `json:"device"`
	Source  string `json:"source,omitempty"`
}

func (v *View) network() error {
	n := &v.Network
	n.Interfaces, n.Routes, n.Missing, n.Published, n.Shared = []Interface{}, []Route{}, []Mark{}, []Published{}, v.sight.SharedNet
	theirs, err := inode(v.init, "net")
	if err != nil {
		return err
	}
	mine, err := inode(v.host, "net")
	if err != nil {
		return err
	}
	if n.Same = theirs == mine; n.Same {
		return nil
	}
	ns, err := network.OpenPath(v.init.path("ns/net"))
	if err != nil {
		return err
	}
	defer ns.Close()
	var inner *netlink.Handle
	err = ns.Enter(func() (err error) { // its sockets stay there, the thread ends
		inner, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return err
	}
	defer inner.Close()
	outer, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer outer.Close()
	if err := n.read(inner, outer, int(ns.File.Fd())); err != nil {
		return err
	}
	v.compareNetwork()
	v.published()
	return nil
}

// published looks at who listens behind the published ports. That nobody does yet is no difference: a server takes its time. A port that is
// published at several of the host's addresses is one difference.
func (v *View) published() {
	marks := map[string]string{}
	for _, p := range v.sight.Published {
		is := Published{Host: p.Host.String(), Port: fmt.Sprintf("%d/%s", p.Target, p.Proto), Listeners: []string{}}
		at := p.Listeners(v.init.pid)
		for _, a := range at {
			is.Listeners = append(is.Listeners, a.String())
		}
		if engine.Deafened(at) && marks[is.Port] == "" {
			marks[is.Port] = v.differs("network", "port "+is.Port, "heard at "+strings.Join(is.Listeners, " "), "asked at an address outside of the container's own loopback")
		}
		is.Mark = marks[is.Port]
		v.Network.Published = append(v.Network.Published, is)
	}
}

// read lists interfaces and routes. A listing during which something changes is marked by the kernel, and asked for again.
func (n *Network) read(inner, outer *netlink.Handle, ns int) error {
	links, err := listed(inner.LinkList)
	if err != nil {
		return err
	}
	peers, err := listed(outer.LinkList)
	if err != nil {
		return err
	}
	here, err := outer.GetNetNsIdByFd(ns)
	if err != nil {
		here = -1
	}
	for _, l := range links {
		i := describe(l)
		addresses, err := listed(func() ([]netlink.Addr, error) { return inner.AddrList(l, netlink.FAMILY_ALL) })
		if err != nil {
			return err
		}
		for _, a := range addresses {
			i.Addresses = append(i.Addresses, a.IPNet.String())
		}
		if i.Peer = peer(l, peers, here); i.sits() {
			i.Peer = below(l, inner, peers)
		}
		n.Interfaces = append(n.Interfaces, i)
	}
	return n.routes(inner)
}

// listed asks for a listing until nothing has changed meanwhile.
func listed[T any](ask func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = ask(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, nil
}

func describe(l netlink.Link) Interface {
	a := l.Attrs()
	i := Interface{
		Index: a.Index, Name: a.Name, Kind: l.Type(), MAC: a.HardwareAddr.String(), MTU: a.MTU,
		Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, Addresses: []string{},
	}
	if a.Flags&net.FlagLoopback != 0 {
		i.Kind = "loopback"
	}
	return i
}

// peer finds the other end of a veth pair among the host's interfaces: each end names the number of the other (IFLA_LINK), and the host's
// names the namespace in which that is (IFLA_LINK_NETNSID), since numbers of different namespaces are alike.
func peer(l netlink.Link, hosts []netlink.Link, ns int) *HostPeer {
	if l.Type() != "veth" {
		return nil
	}
	for _, h := range hosts {
		a := h.Attrs()
		if h.Type() != "veth" || a.Index != l.Attrs().ParentIndex || a.ParentIndex != l.Attrs().Index || ns >= 0 && a.NetNsID != ns {
			continue
		}
		p := &HostPeer{Index: a.Index, Name: a.Name, Up: a.Flags&net.FlagUp != 0}
		for _, m := range hosts {
			if m.Attrs().Index == a.MasterIndex {
				p.Master = m.Attrs().Name
			}
		}
		return p
	}
	return nil
}

// sits: on an interface of the host's, whose wire it shares, and not at one end of a pair.
func (i Interface) sits() bool { return i.Kind == "macvlan" || i.Kind == "ipvlan" }

// below finds the interface that another one sits on: its number, and by what name its own namespace knows the one in which that is (IFLA_LINK,
// IFLA_LINK_NETNSID). That the namespace is the host's, the number alone does not say.
func below(l netlink.Link, inner *netlink.Handle, hosts []netlink.Link) *HostPeer {
	a := l.Attrs()
	host, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil
	}
	defer host.Close()
	if id, err := inner.GetNetNsIdByFd(int(host.Fd())); err != nil || id != a.NetNsID {
		return nil
	}
	for _, h := range hosts {
		if h.Attrs().Index == a.ParentIndex {
			return &HostPeer{Index: a.ParentIndex, Name: h.Attrs().Name, Up: h.Attrs().Flags&net.FlagUp != 0}
		}
	}
	return nil
}

func (n *Network) routes(inner *netlink.Handle) error {
	routes, err := listed(func() ([]netlink.Route, error) { return inner.RouteList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, r := range routes {
		out := Route{To: "default"}
		if r.Dst != nil && r.Dst.IP != nil {
			if ones, _ := r.Dst.Mask.Size(); ones > 0 || !r.Dst.IP.IsUnspecified() {
				out.To = r.Dst.String()
			}
		}
		if r.Gw != nil {
			out.Gateway = r.Gw.String()
		}
		if r.Src != nil {
			out.Source = r.Src.String()
		}
		for _, i := range n.Interfaces {
			if i.Index == r.LinkIndex {
				out.Device = i.Name
			}
		}
		n.Routes = append(n.Routes, out)
	}
	return nil
}

// compareNetwork marks what is not as the networks gave it.
func (v *View) compareNetwork() {
	n := &v.Network
	if lo := n.named("lo"); lo != nil && !lo.Up {
		lo.Mark = v.differs("network", "lo", "down", "asked up")
	}
	for _, asked := range v.sight.Plugged {
		i := n.named(asked.Name)
		if i == nil {
			n.lacks(v, asked.Name, "an interface on "+asked.Master)
			continue
		}
		var marks []string
		for _, wrong := range i.disagrees(asked) {
			marks = append(marks, v.differs("network", i.Name, wrong.What, "asked %s", wrong.Mark))
		}
		i.Mark = strings.Join(marks, "; ")
		for _, g := range asked.Gateways {
			if !n.leads(g, asked.Name) {
				n.lacks(v, "default route", "via "+g.String()+" dev "+asked.Name)
			}
		}
	}
}

func (n *Network) lacks(v *View, what, asked string) {
	n.Missing = append(n.Missing, Mark{what, v.differs("network", what, "missing", "asked %s", asked)})
}

func (n *Network) named(name string) *Interface {
	for i := range n.Interfaces {
		if n.Interfaces[i].Name == name {
			return &n.Interfaces[i]
		}
	}
	return nil
}

// leads: there is the default route. An unspecified gateway is the interface itself.
func (n *Network) leads(g netip.Addr, device string) bool {
	return slices.ContainsFunc(n.Routes, func(r Route) bool {
		return r.To == "default" && r.Device == device && (r.Gateway == g.String() || g.IsUnspecified() && r.Gateway == "")
	})
}

// disagrees lists what the interface has (What) otherwise than its network gave it (Mark).
func (i *Interface) disagrees(asked network.Interface) []Mark {
	var wrong []Mark
	add := func(is, asked string) { wrong = append(wrong, Mark{is, asked}) }
	if !i.Up {
		add("down", "up")
	}
	if len(asked.MAC) > 0 && i.MAC != asked.MAC.String() {
		add(i.MAC, asked.MAC.String())
	}
	if asked.MTU > 0 && i.MTU != asked.MTU {
		add("mtu "+strconv.Itoa(i.MTU), "mtu "+strconv.Itoa(asked.MTU))
	}
	for _, a := range asked.Addresses {
		if !slices.Contains(i.Addresses, a.String()) {
			add(quoted(strings.Join(i.Addresses, " ")), a.String())
		}
	}
	for _, is := range i.Addresses {
		a, err := netip.ParsePrefix(is)
		if err == nil && !slices.Contains(asked.Addresses, a) && !a.Addr().IsLinkLocalUnicast() {
			add(is, "no such address")
		}
	}
	if asked.Kind != network.KindBridge {
		if i.Peer == nil || i.Peer.Name != asked.Master {
			add("elsewhere", "on "+asked.Master)
		}
		return wrong
	}
	switch p := i.Peer; {
	case p == nil:
		add("no end on the host", asked.Host)
	case !p.Up:
		add("the host's end down", "up")
	case p.Master != asked.Master:
		add("the host's end in "+quoted(p.Master), "in "+asked.Master)
	}
	return wrong
}
