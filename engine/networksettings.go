package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
)

// wiringOf is the wiring of a container that runs, with its attendant; one that does not run is unplugged, should that not have
// happened yet.
func (c *Containers) wiringOf(r *record, s state) (*wiring, error) {
	w, err := wiringAt(r.place)
	switch {
	case w == nil:
		return nil, err
	case s.Running:
		c.revive(r, w)
		c.networks.mend(w)
		return w, nil
	case !w.alive():
		c.tidy(r.ID)
	}
	return nil, nil
}

// networkSettings is what `inspect` shows.
func (c *Containers) networkSettings(l listed) (*container.NetworkSettings, error) {
	n := &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}}
	n.Ports = nat.PortMap{}
	for name := range l.networks() {
		n.Networks[name] = l.endpointSettings(name)
		// The ids of the predefined networks are not noted at the start, which must not take time.
		if predefined(name) && l.now.Status != "" {
			known, err := c.networks.load(name)
			if err != nil {
				return nil, err
			}
			n.Networks[name].NetworkID = known.ID
		}
	}
	l.settings(n)
	return n, nil
}

// settings fills in what is known without the networks' documents.
func (l listed) settings(n *container.NetworkSettings) {
	if e := n.Networks[network.NetworkBridge]; e != nil {
		n.DefaultNetworkSettings = container.DefaultNetworkSettings{
			EndpointID: e.EndpointID, Gateway: e.Gateway, GlobalIPv6Address: e.GlobalIPv6Address, GlobalIPv6PrefixLen: e.GlobalIPv6PrefixLen,
			IPAddress: e.IPAddress, IPPrefixLen: e.IPPrefixLen, IPv6Gateway: e.IPv6Gateway, MacAddress: e.MacAddress,
		}
	}
	if !l.now.Running || l.HostConfig.NetworkMode.IsContainer() {
		return
	}
	if n.SandboxID = l.derivedID("sandbox"); !l.now.Restarting {
		n.SandboxKey = "/proc/" + strconv.Itoa(l.now.Pid) + "/ns/net"
	}
	if l.wiring != nil {
		n.SandboxID, n.Ports = l.wiring.ID, l.wiring.portMap()
	}
}

// derivedID is an id for what is made anew at each start, and kept nowhere, on the networks that need no plugging in.
func (l listed) derivedID(what string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %d", what, l.ID, l.now.Pid, l.now.PidStart))
	return hex.EncodeToString(sum[:])
}

// endpointSettings is what was asked of a network, and what became of it.
func (l listed) endpointSettings(name string) *network.EndpointSettings {
	s := *l.networks()[name]
	s.MacAddress = ""
	if !l.now.Running {
		s.DNSNames = l.pastNames(name, s)
		return &s
	}
	if l.wiring == nil || predefined(name) && name != network.NetworkBridge {
		s.EndpointID = l.derivedID(name)
		return &s
	}
	for i := range l.wiring.Endpoints {
		if e := &l.wiring.Endpoints[i]; e.Name == name || e.Network == s.NetworkID {
			e.show(&s)
		}
	}
	return &s
}

// pastNames are shown of a container that has been on the network.
func (l listed) pastNames(name string, s network.EndpointSettings) []string {
	if predefined(name) || s.NetworkID == "" {
		return nil
	}
	return l.dnsNames(s.Aliases)
}

func (e *endpoint) show(s *network.EndpointSettings) {
	s.NetworkID, s.EndpointID, s.MacAddress = e.Network, e.ID, e.Interface.MAC.String()
	s.Gateway, s.IPv6Gateway, s.DNSNames = "", "", e.Aliases
	if g := e.gateway(false); g.IsValid() {
		s.Gateway = g.String()
	}
	if g := e.gateway(true); g.IsValid() {
		s.IPv6Gateway = g.String()
	}
	if a := e.address(false); a.IsValid() {
		s.IPAddress, s.IPPrefixLen = a.Addr().String(), a.Bits()
	}
	if a := e.address(true); a.IsValid() {
		s.GlobalIPv6Address, s.GlobalIPv6PrefixLen = a.Addr().String(), a.Bits()
	}
}

// shortNetworks is what a list shows.
func (l listed) shortNetworks() map[string]*network.EndpointSettings {
	all := map[string]*network.EndpointSettings{}
	for name := range l.networks() {
		e := l.endpointSettings(name)
		short := *e
		short.Links, short.Aliases, short.DriverOpts, short.DNSNames = nil, nil, nil, nil
		if e.IPAMConfig != nil {
			short.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: e.IPAMConfig.IPv4Address, IPv6Address: e.IPAMConfig.IPv6Address}
		}
		all[name] = &short
	}
	return all
}

// portMap lists the exposed ports, and where they are published.
func (w *wiring) portMap() nat.PortMap {
	m := nat.PortMap{}
	for _, p := range w.Exposed {
		m[nat.Port(p)] = nil
	}
	for _, b := range w.Bound {
		p := nat.Port(strconv.Itoa(int(b.Target)) + "/" + b.Port.Proto)
		m[p] = append(m[p], nat.PortBinding{HostIP: b.Host.Addr().String(), HostPort: strconv.Itoa(int(b.Host.Port()))})
	}
	return m
}

// ports are what the PORTS column is made from.
func (l listed) ports() []container.Port {
	ports := []container.Port{}
	if !l.now.Running || l.wiring == nil {
		return ports
	}
	m := l.wiring.portMap()
	for _, text := range l.wiring.Exposed {
		p := nat.Port(text)
		if len(m[p]) == 0 {
			ports = append(ports, container.Port{PrivatePort: uint16(p.Int()), Type: p.Proto()})
		}
		for _, b := range m[p] {
			public, _ := strconv.ParseUint(b.HostPort, 10, 16)
			ports = append(ports, container.Port{PrivatePort: uint16(p.Int()), PublicPort: uint16(public), Type: p.Proto(), IP: b.HostIP})
		}
	}
	slices.SortStableFunc(ports, func(a, b container.Port) int { return int(a.PrivatePort) - int(b.PrivatePort) })
	return ports
}

// shownLinks are the links as `inspect` shows them: /name:/parent/alias.
func (r *record) shownLinks() []string {
	var all []string
	for _, l := range r.Links {
		all = append(all, "/"+l.Name+":/"+strings.TrimPrefix(r.Name, "/")+"/"+l.Alias)
	}
	return all
}
