package engine

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/go-connections/nat"
)

// validateNetwork refuses what Docker refuses of networks before there is a container. Networks that do not exist are
// found missing by the start, as in Docker.
func (c *Containers) validateNetwork(o *Options) (warnings []string, err error) {
	h := o.HostConfig
	o.settleMode()
	switch mode := h.NetworkMode; {
	case mode.IsContainer(), mode == "container":
		return nil, validateSharedNetwork(o)
	case h.UTSMode.IsHost() && o.Config.Hostname != "":
		return nil, invalid("conflicting options: hostname and the UTS mode")
	case mode.IsHost() && len(h.Links) > 0:
		return nil, invalid("conflicting options: host type networking can't be used with links. This would result in undefined behavior")
	case mode.IsHost() && len(h.PortBindings) > 0:
		warnings = append(warnings, "Published ports are discarded when using host network mode")
	}
	for _, check := range []func(*Options) error{settleMAC, validatePorts, validateInterfaceSysctls, c.validateEndpoints} {
		if err := check(o); err != nil {
			return warnings, err
		}
	}
	return warnings, nil
}

// settleMode calls the default network by its name.
func (o *Options) settleMode() {
	h := o.HostConfig
	if h.NetworkMode != "" && !h.NetworkMode.IsDefault() {
		return
	}
	h.NetworkMode = network.NetworkBridge
	if o.NetworkingConfig == nil {
		return
	}
	if e, ok := o.NetworkingConfig.EndpointsConfig[network.NetworkDefault]; ok {
		o.NetworkingConfig.EndpointsConfig[network.NetworkBridge] = e
		delete(o.NetworkingConfig.EndpointsConfig, network.NetworkDefault)
	}
}

// settleMAC makes the container's --mac-address that of its first network.
func settleMAC(o *Options) error {
	mac, mode := o.Config.MacAddress, o.HostConfig.NetworkMode
	if mac == "" || !mode.IsBridge() && !mode.IsUserDefined() {
		return nil
	}
	e := o.main()
	if e.MacAddress != "" && e.MacAddress != mac {
		return invalid("the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty")
	}
	e.MacAddress = mac
	return nil
}

// main is what was asked of the network that the network mode names.
func (o *Options) main() *network.EndpointSettings {
	if o.NetworkingConfig == nil {
		o.NetworkingConfig = &network.NetworkingConfig{}
	}
	n := o.NetworkingConfig
	if n.EndpointsConfig == nil {
		n.EndpointsConfig = map[string]*network.EndpointSettings{}
	}
	name := o.HostConfig.NetworkMode.NetworkName()
	if n.EndpointsConfig[name] == nil {
		n.EndpointsConfig[name] = &network.EndpointSettings{}
	}
	return n.EndpointsConfig[name]
}

func validatePorts(o *Options) error {
	for port, bindings := range o.HostConfig.PortBindings {
		if _, err := nat.ParsePort(port.Port()); err != nil {
			return invalid("invalid port specification: %q", port.Port())
		}
		for _, b := range bindings {
			if _, _, err := nat.ParsePortRange(either(b.HostPort, "0")); err != nil {
				return invalid("invalid port specification: %q", b.HostPort)
			}
			if b.HostIP != "" && net.ParseIP(b.HostIP) == nil {
				return invalid("invalid IP address: %s", b.HostIP)
			}
		}
	}
	return nil
}

// sysctlOption is the driver option for sysctls of one interface, which is IFNAME in them.
const sysctlOption = "com.docker.network.endpoint.sysctls"

// validateInterfaceSysctls: --sysctl is set before there are interfaces.
func validateInterfaceSysctls(o *Options) error {
	if !o.HostConfig.NetworkMode.IsPrivate() {
		return nil
	}
	for k := range o.HostConfig.Sysctls {
		if parts := strings.SplitN(k, ".", 5); len(parts) == 5 && parts[0] == "net" && strings.HasPrefix(parts[3], "eth") {
			return invalid("interface specific sysctl setting %q must be supplied using driver option '%s'", k, sysctlOption)
		}
	}
	return nil
}

func (c *Containers) validateEndpoints(o *Options) error {
	if o.NetworkingConfig == nil {
		return nil
	}
	var found objections
	for _, name := range slices.Sorted(maps.Keys(o.NetworkingConfig.EndpointsConfig)) {
		e := o.NetworkingConfig.EndpointsConfig[name]
		if e == nil {
			found.add("invalid config for network %s: EndpointsConfig is nil", name)
			continue
		}
		known, err := c.networks.load(name)
		if err != nil && !Is(err, NotFound) {
			return err
		}
		if err := validateEndpoint(known, name, e); err != nil {
			found.add("invalid config for network %s: %v", name, err)
		}
	}
	return found.error("")
}

// validateEndpoint checks what is asked of one network; known is nil where the network does not exist.
func validateEndpoint(known *networkRecord, name string, e *network.EndpointSettings) error {
	var found objections
	ipam := e.IPAMConfig
	if ipam == nil {
		ipam = &network.EndpointIPAMConfig{}
	}
	if !container.NetworkMode(name).IsUserDefined() {
		if ipam.IPv4Address != "" || ipam.IPv6Address != "" {
			found.add("user specified IP address is supported on user defined networks only")
		}
		if len(e.Aliases) > 0 {
			found.add("network-scoped alias is supported only for containers in user defined networks")
		}
	}
	found.addresses(ipam)
	if known != nil {
		found.within(known, ipam)
	}
	if e.MacAddress != "" {
		if _, err := net.ParseMAC(e.MacAddress); err != nil {
			return invalid("invalid MAC address %s", e.MacAddress)
		}
	}
	found.sysctls(e.DriverOpts)
	return found.error("invalid endpoint settings:\n")
}

// objections are gathered, and listed as Docker lists them.
type objections []string

func (o *objections) add(format string, args ...any) { *o = append(*o, fmt.Sprintf(format, args...)) }

func (o objections) error(before string) error {
	switch len(o) {
	case 0:
		return nil
	case 1:
		return invalid("%s%s", before, strings.TrimSpace(o[0]))
	}
	for i := range o {
		o[i] = strings.ReplaceAll(o[i], "\n", "\n\t")
	}
	return invalid("%s* %s", before, strings.Join(o, "\n* "))
}

func (o *objections) addresses(i *network.EndpointIPAMConfig) {
	if a, err := netip.ParseAddr(i.IPv4Address); i.IPv4Address != "" && (err != nil || !a.Is4() || a.IsUnspecified()) {
		o.add("invalid IPv4 address: %s", i.IPv4Address)
	}
	if a, err := netip.ParseAddr(i.IPv6Address); i.IPv6Address != "" && (err != nil || !a.Is6() || a.Is4In6() || a.IsUnspecified()) {
		o.add("invalid IPv6 address: %s", i.IPv6Address)
	}
	for _, l := range i.LinkLocalIPs {
		if a, err := netip.ParseAddr(l); err != nil || a.IsUnspecified() {
			o.add("invalid link-local IP address: %s", l)
		}
	}
}

// within: who asks for an address must have asked for the subnet.
func (o *objections) within(known *networkRecord, i *network.EndpointIPAMConfig) {
	for _, want := range []struct {
		text string
		v6   bool
	}{{i.IPv4Address, false}, {i.IPv6Address, true}} {
		if want.text == "" {
			continue
		}
		a, _ := netip.ParseAddr(want.text)
		chosen := slices.DeleteFunc(slices.Clone(known.Pools), func(p addressPool) bool { return p.Chosen || p.Subnet.Addr().Is6() != want.v6 })
		holds := func(p addressPool) bool { return p.Subnet.Contains(a) } // --ip-range is for addresses that are chosen
		switch {
		case len(chosen) == 0:
			o.add("user specified IP address is supported only when connecting to networks with user configured subnets")
		case !slices.ContainsFunc(chosen, holds):
			o.add("no configured subnet or ip-range contain the IP address %s", want.text)
		}
	}
}

func (o *objections) sysctls(options map[string]string) {
	all, ok := options[sysctlOption]
	if !ok {
		return
	}
	for s := range strings.SplitSeq(all, ",") {
		n := strings.SplitN(s, ".", 5)
		if len(n) != 5 || !slices.Contains([]string{"ipv4", "ipv6", "mpls"}, n[1]) || !strings.EqualFold(n[3], "ifname") {
			o.add("unrecognised network interface sysctl '%s'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'", s)
		}
	}
}

func validateSharedNetwork(o *Options) error {
	h := o.HostConfig
	switch {
	case h.NetworkMode.ConnectedContainer() == "":
		return invalid("invalid network mode: invalid container format container:<name|id>")
	case o.Config.Hostname != "":
		return invalid("conflicting options: hostname and the network mode")
	case len(h.Links) > 0:
		return invalid("conflicting options: container type network can't be used with links. This would result in undefined behavior")
	case len(h.DNS) > 0:
		return invalid("conflicting options: dns and the network mode")
	case len(h.ExtraHosts) > 0:
		return invalid("conflicting options: custom host-to-IP mapping and the network mode")
	case len(h.PortBindings) > 0 || h.PublishAllPorts:
		return invalid("conflicting options: port publishing and the container type network mode")
	case len(o.Config.ExposedPorts) > 0:
		return invalid("conflicting options: port exposing and the container type network mode")
	}
	return nil
}

// legacyLink is one of --link on the default bridge: other containers there are known by it under a second name.
type legacyLink struct{ ID, Name, Alias string }

// links finds the containers that --link names. On networks of the user's, a link is a name that is looked up when it is used.
func (c *Containers) links(h *container.HostConfig) ([]legacyLink, error) {
	if h.NetworkMode.IsUserDefined() {
		return nil, nil
	}
	var all []legacyLink
	for _, text := range h.Links {
		name, alias, err := parseLink(text)
		if err != nil {
			return nil, err
		}
		other, err := c.load(name)
		for err == nil && other.HostConfig.NetworkMode.IsContainer() {
			name = other.HostConfig.NetworkMode.ConnectedContainer()
			other, err = c.load(name)
		}
		if Is(err, NotFound) {
			return nil, invalid("could not get container for %s: %w", name, err)
		}
		if err != nil {
			return nil, err
		}
		if other.HostConfig.NetworkMode.IsHost() {
			return nil, invalid("conflicting options: host type networking can't be used with links. This would result in undefined behavior")
		}
		all = append(all, legacyLink{other.ID, other.Name, alias})
	}
	return all, nil
}

// parseLink reads name, name:alias, or what inspect shows: /name:/parent/alias.
func parseLink(text string) (name, alias string, err error) {
	parts := strings.Split(text, ":")
	switch {
	case text == "":
		return "", "", invalid("empty string specified for links")
	case len(parts) > 2:
		return "", "", invalid("bad format for links: %s", text)
	case len(parts) == 1:
		return text, text, nil
	case strings.HasPrefix(parts[0], "/"):
		return parts[0][1:], path.Base(parts[1]), nil
	}
	return parts[0], parts[1], nil
}
