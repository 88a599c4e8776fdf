package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"glassbox/engine"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/go-connections/nat"
	"github.com/spf13/pflag"
)

// networkFlags say which network the container has and how it is reached.
type networkFlags struct {
	network                                            opts.NetworkOpt
	hosts, dns, dnsOptions, dnsSearch, expose, publish opts.ListOpts
	links, aliases, linkLocal                          opts.ListOpts
	ip4, ip6, mac                                      string
	publishAll                                         bool
}

func (n *networkFlags) define(f *pflag.FlagSet) {
	n.hosts, n.dns = opts.NewListOpts(opts.ValidateExtraHost), opts.NewListOpts(opts.ValidateIPAddress)
	n.dnsOptions, n.dnsSearch = opts.NewListOpts(nil), opts.NewListOpts(opts.ValidateDNSSearch)
	n.expose, n.publish = opts.NewListOpts(nil), opts.NewListOpts(nil)
	n.links, n.aliases, n.linkLocal = opts.NewListOpts(opts.ValidateLink), opts.NewListOpts(nil), opts.NewListOpts(nil)
	f.Var(&n.hosts, "add-host", "Add a custom host-to-IP mapping (host:ip)")
	f.Var(&n.dns, "dns", "Set custom DNS servers")
	f.Var(&n.dnsOptions, "dns-opt", "Set DNS options")
	f.Var(&n.dnsOptions, "dns-option", "Set DNS options")
	f.Var(&n.dnsSearch, "dns-search", "Set custom DNS search domains")
	f.Var(&n.expose, "expose", "Expose a port or a range of ports")
	f.StringVar(&n.ip4, "ip", "", "IPv4 address (e.g., 172.30.100.104)")
	f.StringVar(&n.ip6, "ip6", "", "IPv6 address (e.g., 2001:db8::33)")
	f.Var(&n.links, "link", "Add link to another container")
	f.Var(&n.linkLocal, "link-local-ip", "Container IPv4/IPv6 link-local addresses")
	f.StringVar(&n.mac, "mac-address", "", "Container MAC address (e.g., 92:d0:c6:0a:29:33)")
	f.VarP(&n.publish, "publish", "p", "Publish a container's port(s) to the host")
	f.BoolVarP(&n.publishAll, "publish-all", "P", false, "Publish all exposed ports to random ports")
	f.Var(&n.network, "net", "Connect a container to a network")
	f.Var(&n.network, "network", "Connect a container to a network")
	f.Var(&n.aliases, "net-alias", "Add network-scoped alias for the container")
	f.Var(&n.aliases, "network-alias", "Add network-scoped alias for the container")
	for _, old := range []string{"dns-opt", "net", "net-alias"} {
		_ = f.MarkHidden(old)
	}
}

func (n *networkFlags) apply(c *container.Config, h *container.HostConfig) error {
	if n.mac != "" {
		if _, err := net.ParseMAC(strings.TrimSpace(n.mac)); err != nil {
			return fmt.Errorf("%s is not a valid mac address", n.mac)
		}
	}
	specs, err := portSpecs(n.publish.GetSlice())
	if err != nil {
		return err
	}
	exposed, bindings, err := nat.ParsePortSpecs(specs)
	if err != nil {
		return err
	}
	for _, e := range n.expose.GetSlice() {
		if err := exposeRange(exposed, e); err != nil {
			return err
		}
	}
	c.ExposedPorts, h.PortBindings, h.PublishAllPorts = exposed, bindings, n.publishAll
	h.NetworkMode = container.NetworkMode(n.network.NetworkMode())
	h.DNS, h.DNSOptions, h.DNSSearch = n.dns.GetAllOrEmpty(), n.dnsOptions.GetAllOrEmpty(), n.dnsSearch.GetAllOrEmpty()
	h.ExtraHosts, h.Links = n.hosts.GetSlice(), n.links.GetSlice()
	return nil
}

// attach says what the container has on each network. The MAC address of the main one is the container's own, too.
func (n *networkFlags) attach(o *engine.Options) (err error) {
	if o.NetworkingConfig, err = n.endpoints(); err != nil {
		return err
	}
	o.Config.MacAddress = n.mac
	if e := o.NetworkingConfig.EndpointsConfig[o.HostConfig.NetworkMode.NetworkName()]; e != nil {
		o.Config.MacAddress = e.MacAddress
	}
	return nil
}

// portSpecs turns published=8080,target=80 into 8080:80/tcp.
func portSpecs(published []string) ([]string, error) {
	var specs []string
	for _, p := range published {
		if !strings.Contains(p, "=") {
			specs = append(specs, p)
			continue
		}
		fields := map[string]string{"protocol": "tcp"}
		for _, field := range strings.Split(p, ",") {
			k, v, ok := strings.Cut(field, "=")
			if !ok || k == "" {
				return nil, fmt.Errorf("invalid publish opts format (should be name=value but got '%s')", field)
			}
			fields[k] = v
		}
		specs = append(specs, fields["published"]+":"+fields["target"]+"/"+fields["protocol"])
	}
	return specs, nil
}

// exposeRange adds PORT[-END][/PROTO].
func exposeRange(exposed nat.PortSet, e string) error {
	if strings.Contains(e, ":") {
		return errors.New("invalid port format for --expose: " + e)
	}
	proto, ports := nat.SplitProtoPort(e)
	start, end, err := nat.ParsePortRange(ports)
	if err != nil {
		return fmt.Errorf("invalid range format for --expose: %s, error: %s", e, err)
	}
	for i := start; i <= end; i++ {
		p, err := nat.NewPort(proto, strconv.FormatUint(i, 10))
		if err != nil {
			return err
		}
		exposed[p] = struct{}{}
	}
	return nil
}

// localhostDNS is Docker's warning: a server on the host's loopback is not the container's.
func localhostDNS(servers []string) string {
	for _, s := range servers {
		if ip := net.ParseIP(s); ip != nil && ip.IsLoopback() {
			return fmt.Sprintf("Localhost DNS (%s) may fail in containers.", s)
		}
	}
	return ""
}
