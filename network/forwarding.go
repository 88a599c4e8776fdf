package network

import (
	"fmt"
	"slices"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Forwarding returns the requests that let this host route between its interfaces (net.ipv4.ip_forward, and with ipv6
// net.ipv6.conf.all.forwarding), none where it does already. They stay: other containers may rely on them by then.
func Forwarding(ipv6 bool) ([]program.Request, error) {
	out, err := forward("net.ipv4.ip_forward", "the host forwards between containers and the world")
	if err != nil || !ipv6 {
		return out, err
	}
	turn, err := forward("net.ipv6.conf.all.forwarding", "the host forwards IPv6 between containers and the world")
	if err != nil || turn == nil {
		return out, err
	}
	keep, err := keepLearning()
	return append(append(out, keep...), turn...), err
}

func forward(key, why string) ([]program.Request, error) {
	switch read(here, sysctlFile(key)) {
	case "":
		return nil, fmt.Errorf("reading %s: this kernel has no such setting (was it started with ipv6.disable=1?)", key)
	case "1":
		return nil, nil
	}
	return []program.Request{set(here, key, "1", "", why)}, nil
}

// keepLearning are the requests that let interfaces go on to take the default routes that routers advertise. A host that forwards
// no longer does so, and would lose its way out: accept_ra in ip-sysctl.
func keepLearning() (out []program.Request, err error) {
	err = here.speak(func(s *socket) error {
		links, err := s.links(0)
		if err != nil {
			return err
		}
		entries, err := s.entries(unix.AF_INET6)
		for _, l := range links {
			if slices.ContainsFunc(entries, func(e entry) bool { return e.learned(l.index) }) {
				out = append(out, learning(l.name)...)
			}
		}
		return err
	})
	return out, err
}

// learned: a default route by that interface, which a router advertised.
func (e entry) learned(index int) bool {
	return e.protocol == unix.RTPROT_RA && e.to.Bits() == 0 && e.index == index
}

func learning(name string) []program.Request {
	key := conf("ipv6", name, "accept_ra")
	if read(here, sysctlFile(key)) != "1" {
		return nil
	}
	return []program.Request{set(here, key, "2", "", name+" goes on to learn its default route from the router, though the host forwards")}
}
