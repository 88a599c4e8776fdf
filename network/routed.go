package network

import (
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Subnet is one that the host knows the way to.
type Subnet struct {
	Prefix    netip.Prefix
	Interface string // by which it goes; empty for a name server
	Direct    bool   // it begins at that interface; else it is beyond a gateway, and may be an aggregate of which little is in use
}

// Routed are the subnets that this host has routes to (all of the kernel's tables, without default routes) and the servers of its
// resolv.conf: a new network must not hide them.
func Routed() (out []Subnet, err error) {
	err = here.speak(func(s *socket) error {
		links, err := s.links(0)
		if err != nil {
			return err
		}
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			entries, err := s.entries(family)
			if err != nil {
				return err
			}
			out = append(out, subnets(entries, links)...)
		}
		return nil
	})
	return append(out, nameServers()...), err
}

// subnets leaves out default routes, also in two halves, as VPNs have them (0.0.0.0/1 and 128.0.0.0/1).
func subnets(entries []entry, links []link) []Subnet {
	var out []Subnet
	for _, e := range entries {
		if e.to.Bits() <= 1 || e.kind == unix.RTN_MULTICAST || e.kind == unix.RTN_ANYCAST {
			continue
		}
		out = append(out, Subnet{Prefix: e.to, Interface: nameOf(links, e.index), Direct: !e.gateway.IsValid()})
	}
	return out
}

// nameServers are those of resolv.conf(5); where systemd-resolved stands in front, its too.
func nameServers() []Subnet {
	var out []Subnet
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		text, _ := os.ReadFile(file) // without the file there are none
		for _, p := range servers(string(text)) {
			out = append(out, Subnet{Prefix: p, Direct: true})
		}
	}
	return out
}

func servers(text string) []netip.Prefix {
	var out []netip.Prefix
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) < 2 || w[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(w[1]); err == nil {
			a = a.WithZone("").Unmap()
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}
