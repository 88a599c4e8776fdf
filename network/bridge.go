// Package network plugs containers into networks: bridges, veth pairs, macvlan and ipvlan interfaces, addresses and routes, each a
// netlink request that is told as iproute2 would say it.
package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

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
func (b Bridge) Raise() ([]program.Request, error) {
	now, has, err := b.now()
	if err != nil {
		return nil, err
	}
	if now == nil {
		return b.make(), nil
	}
	if now.kind != "bridge" {
		return nil, fmt.Errorf("existing interface %s is not a bridge", b.Name)
	}
	return b.mend(*now, has), nil
}

// make are the requests for a bridge that is not there.
func (b Bridge) make() []program.Request {
	d := device{name: b.Name, kind: "bridge", mac: b.mac()}
	why := "make the network's bridge: a switch in the kernel, with an address that stays when its ports change"
	out := []program.Request{unlessThere(d.add(here, b.From, why, b.unused))}
	if b.MTU > 0 { // not with the birth: only one that is set later does not follow the ports'
		out = append(out, setMTU(here, b.Name, b.MTU, b.From))
	}
	for _, s := range b.settings() {
		out = append(out, set(here, s.key, s.value, b.From, s.why))
	}
	out = append(out, b.add(nil)...)
	return append(out, setUp(here, b.Name, b.From, "the bridge forwards when it is up"))
}

// mend are the requests for what a bridge lacks that is there.
func (b Bridge) mend(now link, has []netip.Prefix) []program.Request {
	var out []program.Request
	if b.MTU > 0 && now.mtu != b.MTU {
		out = append(out, setMTU(here, b.Name, b.MTU, b.From))
	}
	for _, s := range b.settings() {
		out = append(out, lacking(s.key, s.value, b.From, s.why)...)
	}
	out = append(out, b.add(has)...)
	if !now.up {
		out = append(out, setUp(here, b.Name, b.From, "the bridge is down, and forwards when it is up"))
	}
	return out
}

type setting struct{ key, value, why string }

func (b Bridge) settings() []setting {
	s := []setting{
		{conf("ipv4", b.Name, "route_localnet"), "1", "packets of 127.0.0.0/8 may leave by it: the host's localhost reaches published ports"},
		{conf("ipv6", b.Name, "accept_ra"), "0", "the host takes no router advertisements from containers"},
	}
	switch {
	case len(b.Addresses) == 0:
		s = append(s, setting{conf("ipv6", b.Name, "disable_ipv6"), "1", "the host has no address on an isolated network, not even a link-local one"})
	case slices.ContainsFunc(b.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() }):
		s = append(s, setting{conf("ipv6", b.Name, "disable_ipv6"), "0", "the network has IPv6"})
	}
	return s
}

// add are the requests for the addresses that are not among those it has. One with another prefix length would bring another route.
func (b Bridge) add(has []netip.Prefix) []program.Request {
	on := &known{name: b.Name}
	var out []program.Request
	for _, a := range b.Addresses {
		if slices.Contains(has, a) {
			continue
		}
		for _, h := range has {
			if h.Addr() == a.Addr() {
				out = append(out, removeAddress(here, h, on, b.From, "the subnet is "+a.Masked().String()+", not "+h.Masked().String()))
			}
		}
		out = append(out, unlessThere(addAddress(here, a, on, b.From, "the gateway of "+a.Masked().String()+", by which its containers reach the host and what is beyond")))
	}
	return out
}

// unlessThere lets a request be content with what another start made in the same moment.
func unlessThere(r program.Request) program.Request {
	do := r.Do
	r.Do = func() error {
		err := do()
		if errors.Is(err, unix.EEXIST) {
			return program.Tolerated{Errno: unix.EEXIST}
		}
		return err
	}
	return r
}

// mac is derived, so that a bridge that was deleted and made again is known to its containers.
func (b Bridge) mac() net.HardwareAddr {
	if len(b.Addresses) > 0 {
		return HardwareAddressOf(b.Addresses[0].Addr())
	}
	return derived([]byte(b.Name))
}

// now is the bridge's link, nil if there is none, and its addresses.
func (b Bridge) now() (l *link, has []netip.Prefix, err error) {
	err = here.speak(func(s *socket) error {
		found, err := s.link(b.Name)
		if err != nil {
			return err
		}
		l = &found
		has, err = s.addresses(found.index)
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		return nil, nil, nil
	}
	return l, has, err
}

// unused is the way back of making it: another container may have been plugged in meanwhile.
func (b Bridge) unused() error {
	if ports, err := b.Ports(); err != nil || len(ports) > 0 {
		return err
	}
	return dropped(here, b.Name)()
}

// Lower returns the requests that remove it; none when it is not there.
func (b Bridge) Lower() ([]program.Request, error) {
	l, err := find(b.Name)
	if err != nil || l == nil {
		return nil, err
	}
	return []program.Request{remove(here, b.Name, b.From, "remove the network's bridge, and its addresses and routes with it")}, nil
}

// Ports are the names of the interfaces that are plugged into the bridge.
func (b Bridge) Ports() (names []string, err error) {
	err = here.speak(func(s *socket) error {
		l, err := s.link(b.Name)
		if err != nil {
			return err
		}
		ports, err := s.links(l.index)
		for _, p := range ports {
			names = append(names, p.name)
		}
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	return names, err
}
