package network

import (
	"fmt"
	"net/netip"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is a default route: through which interface, and over which gateway (invalid or unspecified: straight into the interface).
type Route struct {
	Interface string
	Gateway   netip.Addr
	IPv6      bool
}

// over is the default route through an interface over a gateway.
func over(name string, gateway netip.Addr) Route {
	return Route{Interface: name, Gateway: gateway, IPv6: gateway.Is6()}
}

func (r Route) direct() bool { return !r.Gateway.IsValid() || r.Gateway.IsUnspecified() }

// typed is the route as ip route takes it, after a verb.
func (r Route) typed(verb string) string {
	call := "ip route " + verb + " default"
	if r.IPv6 {
		call = "ip -6 route " + verb + " default"
	}
	if !r.direct() {
		call += " via " + r.Gateway.String()
	}
	return call + " dev " + r.Interface
}

func (r Route) message(kind, flags, index int) message {
	h := nl.NewRtMsg() // main table, protocol boot, as a route that an administrator types
	h.Family = unix.AF_INET
	if r.IPv6 {
		h.Family = unix.AF_INET6
	}
	m := message{kind: kind, flags: flags, parts: []nl.NetlinkRequestData{h}}
	if !r.direct() {
		m.add(unix.RTA_GATEWAY, r.Gateway.AsSlice())
	} else if !r.IPv6 {
		h.Scope = unix.RT_SCOPE_LINK
	}
	m.add(unix.RTA_OIF, nl.Uint32Attr(uint32(index)))
	return m
}

// ask is the request that adds, replaces or deletes the route.
func (r Route) ask(p place, verb string, on *known, from, why string) program.Request {
	return program.Request{Call: p.typed + r.typed(verb), From: from, Why: why, Do: func() error { return r.change(p, verb, on) }}
}

func (r Route) change(p place, verb string, on *known) error {
	kind, flags := unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL
	switch verb {
	case "replace":
		flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	case "del":
		kind, flags = unix.RTM_DELROUTE, 0
	}
	return p.speak(func(s *socket) error {
		index, err := on.number(s)
		if err == nil {
			err = s.change(r.message(kind, flags, index))
		}
		return refused(fmt.Sprintf("doing %s", r.typed(verb)), err)
	})
}

// Reroute returns the requests that make these the container's default routes: after a network was connected or disconnected. What
// is so already is left out.
func Reroute(n *Namespace, routes []Route) []program.Request {
	now, err := n.defaults()
	if err != nil {
		now = nil // unknown: then all is asked for
	}
	var out []program.Request
	for _, ipv6 := range []bool{false, true} {
		out = append(out, reroute(n, of(now, ipv6), of(routes, ipv6))...)
	}
	return out
}

func of(routes []Route, ipv6 bool) []Route {
	var out []Route
	for _, r := range routes {
		if r.IPv6 == ipv6 {
			out = append(out, r)
		}
	}
	return out
}

// reroute is Reroute for one family, which has at most one default route that counts: the first.
func reroute(n *Namespace, now, want []Route) []program.Request {
	p := n.inside()
	var out []program.Request
	if len(want) == 0 {
		for _, r := range now {
			q := r.ask(p, "del", &known{name: r.Interface}, "", "no network of the container leads outside any more")
			q.Undo = func() error { return r.change(p, "add", &known{name: r.Interface}) }
			out = append(out, q)
		}
		return out
	}
	if len(now) > 0 && same(now[0], want[0]) {
		return nil
	}
	r := want[0]
	q := r.ask(p, "replace", &known{name: r.Interface}, "", "what is not on a network of the container goes through "+r.Interface)
	q.Undo = func() error {
		if len(now) == 0 {
			return r.change(p, "del", &known{name: r.Interface})
		}
		return now[0].change(p, "replace", &known{name: now[0].Interface})
	}
	return append(out, q)
}

func same(a, b Route) bool {
	return a.Interface == b.Interface && (a.Gateway == b.Gateway || a.direct() && b.direct())
}

// entry is a line of the kernel's routing tables.
type entry struct {
	to       netip.Prefix
	gateway  netip.Addr
	index    int
	table    int
	kind     uint8 // RTN_*
	scope    uint8
	protocol uint8
}

func parseEntry(answer []byte) entry {
	h := nl.DeserializeRtMsg(answer)
	f := fields(answer[unix.SizeofRtMsg:])
	e := entry{kind: h.Type, scope: h.Scope, protocol: h.Protocol, index: number(f[unix.RTA_OIF]), table: int(h.Table)}
	to, ok := netip.AddrFromSlice(f[unix.RTA_DST])
	if !ok {
		to = netip.IPv4Unspecified()
		if h.Family == unix.AF_INET6 {
			to = netip.IPv6Unspecified()
		}
	}
	e.to = netip.PrefixFrom(to, int(h.Dst_len))
	e.gateway, _ = netip.AddrFromSlice(f[unix.RTA_GATEWAY])
	if t := number(f[unix.RTA_TABLE]); t > 0 {
		e.table = t
	}
	return e
}

// entries asks for the routes of all tables.
func (s *socket) entries(family int) ([]entry, error) {
	h := &nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family)}}
	answers, err := s.ask(message{kind: unix.RTM_GETROUTE, flags: unix.NLM_F_DUMP, parts: []nl.NetlinkRequestData{h}})
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	var out []entry
	for _, a := range answers {
		out = append(out, parseEntry(a))
	}
	return out, nil
}

// defaults are the default routes in the namespace's main table.
func (n *Namespace) defaults() (out []Route, err error) {
	err = n.inside().speak(func(s *socket) error {
		links, err := s.links(0)
		if err != nil {
			return err
		}
		for _, f := range []int{unix.AF_INET, unix.AF_INET6} {
			entries, err := s.entries(f)
			if err != nil {
				return err
			}
			out = append(out, outward(entries, links)...)
		}
		return nil
	})
	return out, err
}

func outward(entries []entry, links []link) []Route {
	var out []Route
	for _, e := range entries {
		if e.to.Bits() > 0 || e.kind != unix.RTN_UNICAST || e.table != unix.RT_TABLE_MAIN {
			continue
		}
		out = append(out, Route{Interface: nameOf(links, e.index), Gateway: e.gateway, IPv6: e.to.Addr().Is6()})
	}
	return out
}

func nameOf(links []link, index int) string {
	for _, l := range links {
		if l.index == index {
			return l.name
		}
	}
	return ""
}
