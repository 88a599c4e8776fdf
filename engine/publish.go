package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"glassbox/firewall"

	"github.com/docker/go-connections/nat"
	"golang.org/x/sys/unix"
)

// publishing is one published port as it was asked for.
type publishing struct {
	proto       string
	target      uint16     // the container's port
	host        netip.Addr // invalid: all of the host's addresses, of both families
	first, last uint16     // ports of the host to choose from; 0: any of the kernel's
}

// publishings are in Docker's order: exact ports before those to choose, and next to one another those that shall get the same number.
func (r *record) publishings() ([]publishing, error) {
	var all []publishing
	for _, port := range r.exposed() {
		bindings := r.HostConfig.PortBindings[port]
		if len(bindings) == 0 && r.HostConfig.PublishAllPorts {
			bindings = []nat.PortBinding{{}}
		}
		for _, b := range bindings {
			p, err := parsePublishing(port, b)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b publishing) int {
		return cmp.Or(
			count(a.chooses())-count(b.chooses()), int(a.target)-int(b.target), protoOrder(a.proto)-protoOrder(b.proto),
			int(a.first)-int(b.first), int(a.last)-int(b.last), a.host.Compare(b.host),
		)
	})
	return all, nil
}

func protoOrder(proto string) int { return slices.Index([]string{"tcp", "udp", "sctp"}, proto) }

func parsePublishing(port nat.Port, b nat.PortBinding) (publishing, error) {
	first, last, err := nat.ParsePortRangeToInt(either(b.HostPort, "0"))
	if err != nil {
		return publishing{}, invalid("error parsing HostPort value (%s): %w", b.HostPort, err)
	}
	p := publishing{proto: port.Proto(), target: uint16(port.Int()), first: uint16(first), last: uint16(last)}
	if ip := net.ParseIP(b.HostIP); ip != nil {
		p.host, _ = netip.AddrFromSlice(ip)
		p.host = p.host.Unmap()
	}
	return p, nil
}

func (p publishing) chooses() bool { return p.first == 0 || p.first != p.last }

// together: both get the same port of the host.
func (p publishing) together(q publishing) bool {
	return p.proto == q.proto && p.target == q.target && p.first == q.first && p.last == q.last
}

// exposed are all ports of the container that its image or its user named, sorted.
func (r *record) exposed() []nat.Port {
	all := map[nat.Port]bool{}
	for p := range r.Config.ExposedPorts {
		all[p] = true
	}
	for p := range r.HostConfig.PortBindings {
		all[p] = true
	}
	var sorted []nat.Port
	for p := range all {
		sorted = append(sorted, p)
	}
	slices.SortFunc(sorted, func(a, b nat.Port) int {
		return cmp.Or(a.Int()-b.Int(), strings.Compare(a.Proto(), b.Proto()))
	})
	return sorted
}

// binding is one socket to be.
type binding struct {
	listen   netip.Addr
	to       netip.AddrPort
	endpoint *endpoint
	implied  bool // ::, because nobody said which addresses
}

// bind binds the published ports, if a network leads outside. The ports are those of the container's gateway, as in Docker.
func (p *plugging) bind() error {
	v4, v6 := p.w.publisher(false), p.w.publisher(true)
	if v4 == nil && v6 == nil {
		return nil
	}
	for _, port := range p.r.exposed() {
		p.w.Exposed = append(p.w.Exposed, string(port))
	}
	all, err := p.r.publishings()
	if err != nil {
		return err
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[0].together(all[n]) {
			n++
		}
		if err := p.bindTogether(all[:n], v4, v6); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// publisher is the endpoint whose address of the family published ports lead to: on a bridge.
func (w *wiring) publisher(v6 bool) *endpoint {
	if e := w.provider(v6); e != nil && e.Driver == driverBridge {
		return e
	}
	return nil
}

// bindTogether gives all of them one number.
func (p *plugging) bindTogether(group []publishing, v4, v6 *endpoint) error {
	var wanted []binding
	for _, g := range group {
		wanted = append(wanted, p.bindings(g, v4, v6)...)
	}
	if len(wanted) == 0 {
		return nil
	}
	g := group[0]
	if !g.chooses() {
		_, err := p.try(g, wanted, g.first)
		return err
	}
	first, last := g.first, g.last
	if first == 0 {
		first, last = dynamicPorts()
	}
	return p.choose(g, wanted, first, last)
}

// choose takes the first port of the range that is free for all of them.
func (p *plugging) choose(g publishing, wanted []binding, first, last uint16) error {
	ours := true
	var busy error
	for port := int(first); port <= int(last); port++ {
		again, err := p.try(g, wanted, uint16(port))
		if err == nil || !again {
			return err
		}
		busy = err
		ours = ours && Is(err, Conflict)
	}
	if ours && busy != nil {
		return p.fail(wanted[0].endpoint, conflict("all ports are allocated"))
	}
	return busy
}

// bindings are the sockets of one publishing: for IPv4, for IPv6, or for both.
func (p *plugging) bindings(g publishing, v4, v6 *endpoint) []binding {
	var all []binding
	standard := p.standard(v4)
	if host := either4(g.host, standard); v4 != nil && host.Is4() {
		all = append(all, binding{listen: host, to: netip.AddrPortFrom(v4.address(false).Addr(), g.target), endpoint: v4})
	}
	// A container without IPv6 is reached over the host's IPv6 by the attendant.
	e, target := v6, netip.Addr{}
	switch {
	case v6 != nil:
		target = v6.address(true).Addr()
	case v4 != nil && p.w.provider(true) == nil:
		e, target = v4, v4.address(false).Addr()
	}
	host := g.host
	if !host.IsValid() && standard == netip.IPv4Unspecified() {
		host = netip.IPv6Unspecified()
	} else if !host.IsValid() {
		host = standard
	}
	if target.IsValid() && host.Is6() {
		all = append(all, binding{listen: host, to: netip.AddrPortFrom(target, g.target), endpoint: e, implied: !g.host.IsValid()})
	}
	return all
}

func either4(a, b netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return b
}

// standard is the address for those who name none: 0.0.0.0, unless the network says otherwise.
func (p *plugging) standard(e *endpoint) netip.Addr {
	if e == nil {
		return netip.IPv4Unspecified()
	}
	for _, n := range p.networks {
		if n.ID == e.Network {
			return n.options().binding
		}
	}
	n, err := p.c.networks.read(e.Network)
	if err != nil {
		return netip.IPv4Unspecified() // removed meanwhile, by force
	}
	return n.options().binding
}

// try binds all of them at one port of the host. again: another port may be free.
func (p *plugging) try(g publishing, wanted []binding, port uint16) (again bool, err error) {
	var done []bound
	var sockets []*os.File
	for _, w := range wanted {
		at := netip.AddrPortFrom(w.listen, port)
		f, err := p.c.take(g, at)
		if w.implied && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
			continue // a host without IPv6
		}
		if err != nil {
			closeAll(sockets)
			again = errors.Is(err, unix.EADDRINUSE)
			if again && g.first == 0 {
				return true, err // of thousands of ports, nobody asks whose one is
			}
			return again, p.fail(w.endpoint, p.busy(g, w, at, done, err))
		}
		sockets = append(sockets, f)
		done = append(done, bound{
			Port: firewall.Port{Proto: g.proto, Listen: at, To: w.to, Bridge: w.endpoint.Interface.Master},
			Host: at, Target: g.target, Network: w.endpoint.Network,
		})
	}
	p.w.Bound = append(p.w.Bound, done...)
	p.sockets = append(p.sockets, sockets...)
	return false, nil
}

// take binds one socket. A port that was asked for, and that only a container holds which has ended, is freed first.
func (c *Containers) take(g publishing, at netip.AddrPort) (*os.File, error) {
	f, err := listen(g.proto, at)
	if !errors.Is(err, unix.EADDRINUSE) || g.first == 0 {
		return f, err
	}
	if c.tidyPort(g.proto, at) {
		return listen(g.proto, at)
	}
	return nil, err
}

// dynamicPorts is the range from which the kernel takes ports too: ip(7).
func dynamicPorts() (first, last uint16) {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(data), &first, &last)
	}
	if err != nil || first == 0 || last < first {
		return 49153, 65535 // Docker's, where the kernel does not say
	}
	return first, last
}
