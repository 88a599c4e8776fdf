package engine

import (
	"net/netip"
	"os"
	"slices"
	"strings"

	dockernetwork "github.com/docker/docker/api/types/network"
)

const (
	localHosts4 = "127.0.0.1\tlocalhost\n"
	localHosts6 = "::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)

// hostGateway is what --add-host takes for an address by which a container reaches its host.
const hostGateway = "host-gateway"

// hosts is the container's /etc/hosts: localhost, what --add-host and links add, and its own addresses.
func (c *Containers) hosts(r *record, w *wiring) (string, error) {
	if r.HostConfig.NetworkMode.IsHost() && len(r.HostConfig.ExtraHosts) == 0 {
		data, err := os.ReadFile("/etc/hosts")
		return string(data), gone(err)
	}
	var b strings.Builder
	b.WriteString(localHosts4)
	v6 := r.speaksIPv6()
	if v6 {
		b.WriteString(localHosts6)
	}
	add := func(address, names string) {
		if a, err := netip.ParseAddr(address); err == nil && (v6 || a.Is4()) {
			b.WriteString(address + "\t" + names + "\n")
		}
	}
	if err := c.extraHosts(r, add); err != nil {
		return "", err
	}
	if w == nil {
		return b.String(), nil
	}
	if err := c.linkedHosts(r, w, add); err != nil {
		return "", err
	}
	for _, e := range w.Endpoints {
		for _, family := range []bool{false, true} {
			add(e.address(family).Addr().String(), r.ownNames())
		}
	}
	return b.String(), nil
}

// speaksIPv6: whoever switched IPv6 off for the container does not want to find addresses of it.
func (r *record) speaksIPv6() bool {
	if r.HostConfig.Sysctls["net.ipv6.conf.all.disable_ipv6"] == "1" {
		return false
	}
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
}

// asksForHost: some name stands for the host.
func (r *record) asksForHost() bool {
	return slices.ContainsFunc(r.HostConfig.ExtraHosts, func(extra string) bool { return strings.HasSuffix(extra, ":"+hostGateway) })
}

func (c *Containers) extraHosts(r *record, add func(address, names string)) error {
	for _, extra := range r.HostConfig.ExtraHosts {
		name, address, _ := strings.Cut(extra, ":")
		if address != hostGateway {
			add(strings.Trim(address, "[]"), name)
			continue
		}
		bridge, err := c.networks.load(dockernetwork.NetworkBridge)
		if err == nil {
			err = c.networks.settle(bridge)
		}
		if err != nil {
			return err
		}
		for _, p := range bridge.Pools {
			add(p.Gateway.String(), name)
		}
	}
	return nil
}

// ownNames are the full name and the short one, whether the user gave them as one or as two.
func (r *record) ownNames() string {
	names := r.Config.Hostname
	if r.Config.Domainname != "" {
		names += "." + r.Config.Domainname
	}
	if short, _, found := strings.Cut(names, "."); found {
		names += " " + short
	}
	return names
}

// rewriteHosts brings the file of a running container up to date, in place: it is mounted there. Lines that the container itself has
// added stay.
func (r *record) rewriteHosts(e *endpoint, there bool) error {
	data, err := os.ReadFile(r.place.Hosts())
	if err != nil {
		return err
	}
	text := string(data)
	for _, v6 := range []bool{false, true} {
		a := e.address(v6)
		if !a.IsValid() || v6 && !r.speaksIPv6() {
			continue
		}
		line := a.Addr().String() + "\t" + r.ownNames() + "\n"
		if there {
			text += line
		} else {
			text = strings.Replace(text, line, "", 1)
		}
	}
	return os.WriteFile(r.place.Hosts(), []byte(text), 0o644)
}
