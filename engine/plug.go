package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"glassbox/attendant"
	"glassbox/firewall"
	"glassbox/monitor"
	"glassbox/network"
	"glassbox/program"
	"glassbox/store"

	dockernetwork "github.com/docker/docker/api/types/network"
)

const phaseNetwork = "network"

const networkFailed = "failed to set up container networking"

// What the account says of the phase, and of the change to the firewall.
const (
	plugWhy  = "the host plugs the process's network namespace in, while that makes its file tree and then waits at its gate"
	fenceWhy = "who may send from which address, and which ports of the host lead to the container"
)

// plugging is the network's share of a start: addresses are claimed before the container's files are written, the networks made
// ready and ports bound while its process comes up, its namespace gets interfaces while it makes its file tree, and at the gate
// `created` the rest is done.
type plugging struct {
	c         *Containers
	r         *record
	w         *wiring
	networks  []*networkRecord // of w.Endpoints
	held      []*store.Lock    // keep the networks from being removed
	sockets   []*os.File       // of w.Bound
	attendant *attendant.Starting
	raised    chan error
	cabled    chan error         // nil until that begins
	ns        *network.Namespace // of the process, once it is known
	step      *program.Stepping  // nil: nobody is asked
	pidfd     *os.File           // of the process, for step
	ready     program.Ledger     // what others may use by now: it stays
	done      program.Ledger     // what is taken back after a failure
}

// engage begins the plugging in of a container: its addresses and interfaces are settled, and nothing is asked of the kernel yet.
// The result is nil where there is nothing to plug in. The caller holds the container's lock.
func (c *Containers) engage(r *record) (*plugging, error) {
	if err := c.unplug(r.place); err != nil { // what the last run has left
		return nil, err
	}
	if !r.plugs() {
		return nil, nil
	}
	p := &plugging{c: c, r: r, w: &wiring{ID: store.NewID()}}
	for _, w := range r.wishes() {
		if err := p.join(w); err != nil {
			return nil, errors.Join(prefixed(networkFailed, err), p.back())
		}
	}
	p.w.lead()
	p.w.Resolver = p.w.named()
	return p, nil
}

// join adds an endpoint on one network.
func (p *plugging) join(w wish) error {
	n, err := p.c.networks.load(w.ref())
	if err != nil {
		return err
	}
	if n.ConfigOnly {
		return errConfigOnly
	}
	if n.Driver == driverHost {
		return conflict("cannot connect container to host network - container must be created in host network mode")
	}
	if n.Driver == driverNull {
		if len(p.r.networks()) > 1 {
			return conflict("container cannot be connected to multiple networks with one of the networks in private (none) mode")
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	lock, err := p.c.networks.hold(ctx, n)
	if err != nil {
		return err
	}
	p.held = append(p.held, lock)
	e, err := p.c.draft(p.r, n, w.EndpointSettings)
	if err != nil {
		return err
	}
	e.Interface.Name = p.w.freeName(w.DriverOpts, n)
	e.Interface.Sysctls = interfaceSysctls(w.DriverOpts, e.Interface.Name)
	p.w.Endpoints = append(p.w.Endpoints, e)
	p.networks = append(p.networks, n)
	return nil
}

// nameOption is Docker's option of endpoints for the interface's name inside.
const nameOption = "com.docker.network.endpoint.ifname"

// freeName is the interface's name inside: the one that was asked for, or the next of eth0, eth1, ...
func (w *wiring) freeName(options map[string]string, n *networkRecord) string {
	if name := options[nameOption]; name != "" {
		return name
	}
	prefix := n.options().prefix
	taken := map[string]bool{}
	for _, e := range w.Endpoints {
		taken[e.Interface.Name] = true
	}
	for i := 0; ; i++ {
		if name := prefix + strconv.Itoa(i); !taken[name] {
			return name
		}
	}
}

// draft claims addresses and draws the endpoint.
func (c *Containers) draft(r *record, n *networkRecord, s *dockernetwork.EndpointSettings) (endpoint, error) {
	addresses, err := c.addresses(r, n, s.IPAMConfig)
	if err != nil {
		return endpoint{}, err
	}
	mac, err := hardware(s.MacAddress, addresses)
	if err != nil {
		return endpoint{}, errors.Join(err, c.networks.release(n, r.ID, addresses...))
	}
	return r.endpointOn(n, store.NewID(), s, mac, addresses), nil
}

// endpointOn draws the container's place on the network; the interface's name inside and its routes are for the caller to settle.
func (r *record) endpointOn(n *networkRecord, id string, s *dockernetwork.EndpointSettings, mac net.HardwareAddr, addresses []netip.Prefix) endpoint {
	e := endpoint{
		ID: id, Network: n.ID, Name: n.Name, Driver: n.Driver, Internal: n.closed(), Direct: n.direct(), Priority: s.GwPriority,
	}
	for _, a := range addresses {
		if g := n.gateway(a.Addr()); g.IsValid() && g != a.Addr() {
			e.Gateways = append(e.Gateways, g)
		}
	}
	e.Interface = n.port(e.ID, mac, addresses)
	if e.named() {
		e.Aliases = r.dnsNames(s.Aliases)
	}
	if n.Driver == driverBridge {
		e.Member = &firewall.Member{Bridge: n.Bridge, Host: e.Interface.Host, MAC: mac, Isolated: n.options().isolated}
		for _, a := range addresses {
			e.Member.Addresses = append(e.Member.Addresses, a.Addr())
		}
	}
	return e
}

// hardware is the interface's MAC address: the one that was asked for, or one that belongs to the IP address, so that neighbours who
// remember it are right.
func hardware(wanted string, addresses []netip.Prefix) (net.HardwareAddr, error) {
	switch {
	case wanted != "":
		return net.ParseMAC(wanted)
	case len(addresses) == 0:
		return network.HardwareAddress(), nil
	}
	return network.HardwareAddressOf(addresses[0].Addr()), nil
}

// port draws the interface of a container on the network.
func (r *networkRecord) port(id string, mac net.HardwareAddr, addresses []netip.Prefix) network.Interface {
	o := r.options()
	i := network.Interface{
		Kind: r.kind(), Master: r.master(), Mode: o.mode, Flag: o.flag, MAC: mac, Addresses: addresses, MTU: o.mtu, From: "network " + r.Name,
	}
	switch r.Driver {
	case driverBridge:
		i.Host = "veth" + id[:7]
	case driverMacvlan:
		i.Host = "mac" + id[:7]
	case driverIPvlan:
		i.Host, i.MAC = "ipv"+id[:7], nil // all share the parent's address
	}
	return i
}

// interfaceSysctls reads the driver option: net.ipv4.conf.IFNAME.log_martians=1,...
func interfaceSysctls(options map[string]string, name string) map[string]string {
	all := map[string]string{}
	for s := range strings.SplitSeq(options[sysctlOption], ",") {
		k, v, ok := strings.Cut(s, "=")
		if parts := strings.SplitN(k, ".", 5); ok && len(parts) == 5 {
			parts[3] = name
			all[strings.Join(parts, ".")] = v
		}
	}
	return all
}

// addresses claims those that the network gives, and adds the link-local ones that were asked for.
func (c *Containers) addresses(r *record, n *networkRecord, ipam *dockernetwork.EndpointIPAMConfig) ([]netip.Prefix, error) {
	if ipam == nil {
		ipam = &dockernetwork.EndpointIPAMConfig{}
	}
	var local []netip.Prefix
	for _, text := range ipam.LinkLocalIPs {
		a, err := netip.ParseAddr(text)
		if err != nil || !a.IsLinkLocalUnicast() {
			return nil, invalid("invalid link local IP address: %s", text)
		}
		bits := 64
		if a.Is4() {
			bits = 16
		}
		local = append(local, netip.PrefixFrom(a, bits))
	}
	want4, _ := netip.ParseAddr(ipam.IPv4Address)
	want6, _ := netip.ParseAddr(ipam.IPv6Address)
	given, err := c.networks.reserve(r.spoken(n), r.ID, want4, want6)
	return append(given, local...), err
}

// wiring of the container to be; nil without networks.
func (p *plugging) wiring() *wiring {
	if p == nil {
		return nil
	}
	return p.w
}

// spoken is the network as far as the container speaks its protocols.
func (r *record) spoken(n *networkRecord) *networkRecord {
	if !n.EnableIPv6 || r.speaksIPv6() {
		return n
	}
	without := *n
	without.EnableIPv6 = false
	return &without
}

// begin binds the ports and has the networks made ready, while the container's process comes up.
func (p *plugging) begin() error {
	if p == nil {
		return nil
	}
	if err := p.bind(); err != nil {
		return prefixed(networkFailed, err)
	}
	if p.step != nil {
		return nil // all in its turn, by cable
	}
	p.raised = make(chan error, 1)
	go func() { p.raised <- p.raise() }()
	return nil
}

// askFor has somebody asked before each request, one after the other.
func (p *plugging) askFor(step *asker) {
	if p == nil || step == nil {
		return
	}
	p.step = program.NewStepping(step.plugged)
	p.step.In(phaseNetwork)
	p.ready.Step, p.done.Step = p.step, p.step
}

// raise makes the networks ready, and the bridge whose address host-gateway stands for.
func (p *plugging) raise() error {
	networks := slices.Clone(p.networks)
	if p.r.asksForHost() {
		bridge, err := p.c.networks.load(dockernetwork.NetworkBridge)
		if err != nil {
			return err
		}
		networks = append(networks, bridge)
	}
	for _, n := range networks {
		if err := p.c.networks.raise(n, &p.ready); err != nil {
			return err
		}
	}
	return nil
}

// greet begins to plug in a process that still makes its file tree: both take about as long. Kernel parameters of the network that the user
// asked for come first, since some are defaults for interfaces to come.
func (p *plugging) greet(pid int) {
	if p == nil || p.step != nil || len(p.r.HostConfig.Sysctls) > 0 {
		return
	}
	p.cabled = make(chan error, 1)
	go func() { p.cabled <- p.cable(pid) }()
}

// cable gives the process its interfaces.
func (p *plugging) cable(pid int) error {
	s, err := monitor.Identify(pid)
	if err != nil {
		return err
	}
	p.w.Pid, p.w.PidStart, p.w.BootID = s.Pid, s.PidStart, s.BootID
	if err := p.save(); err != nil {
		return err
	}
	if p.step != nil {
		if p.pidfd, err = openPidfd(pid); err != nil {
			return err
		}
		p.step.At(pid, p.pidfd)
		err = p.raise()
	} else {
		err = <-p.raised
		p.raised = nil
	}
	if err != nil {
		return err
	}
	if p.ns, err = network.Open(pid); err != nil {
		return err
	}
	if !p.w.alive() { // and its number may be another's
		return fmt.Errorf("the container's process %d has ended", pid)
	}
	for i := range p.w.Endpoints {
		if err := p.done.Carry(p.w.Endpoints[i].Interface.Plug(p.ns)...); err != nil {
			return err
		}
	}
	return nil
}

// plug gives the waiting process its network.
func (p *plugging) plug(pid int) error {
	if p == nil {
		return nil
	}
	err := p.connect(pid)
	if p.c.accounts(p.r) {
		err = errors.Join(err, store.Put(p.r.place.Plugged(), p.account()))
	}
	if err != nil {
		return &unplugged{prefixed(networkFailed, err), p.account()}
	}
	return nil
}

func (p *plugging) connect(pid int) error {
	if err := p.interfaces(pid); err != nil {
		return err
	}
	if err := p.c.fence(p.w, &p.done); err != nil {
		return err
	}
	if err := p.attend(); err != nil {
		return err
	}
	for i, n := range p.networks {
		if err := p.r.announce(n, &p.w.Endpoints[i]); err != nil {
			return err
		}
	}
	if err := p.c.tellLinked(p.r, p.w); err != nil {
		return err
	}
	return p.r.remember(p.networks)
}

// interfaces are there when it returns, by what greet has begun or by itself.
func (p *plugging) interfaces(pid int) error {
	if p.cabled == nil {
		return p.cable(pid)
	}
	err := <-p.cabled
	p.cabled = nil
	return err
}

// remember notes which networks of the user's the container was on: another one of the same name is another one.
func (r *record) remember(networks []*networkRecord) error {
	changed := false
	for _, n := range networks {
		if e := r.Networks[n.Name]; e != nil && !n.predefined() && e.NetworkID != n.ID {
			e.NetworkID, changed = n.ID, true
		}
	}
	if !changed {
		return nil
	}
	return r.save()
}

func (p *plugging) save() error { return store.Write(p.r.place.Wiring(), p.w) }

// fence puts members and ports into the firewall's table, which is made where it is missing.
func (c *Containers) fence(w *wiring, l *program.Ledger) error {
	b := w.batch()
	if b.Empty() {
		return nil
	}
	err := l.Carry(b.Request("", fenceWhy))
	if errors.Is(err, firewall.ErrNoTable) {
		all, stale := c.networks.desired()
		if stale != nil {
			return stale
		}
		err = l.Carry(firewall.Rebuild(all))
	}
	if err != nil {
		return err
	}
	return l.Carry(firewall.Forget(w.ports())...)
}

// batch is what the firewall's table gets for the wiring.
func (w *wiring) batch() *firewall.Batch {
	b := &firewall.Batch{}
	for _, m := range w.members() {
		b.AddMember(m)
	}
	for _, port := range w.ports() {
		b.Publish(port)
	}
	return b
}

// announce lets the containers of a network find this one by its names.
func (r *record) announce(n *networkRecord, e *endpoint) error {
	if !e.named() {
		return nil
	}
	if err := os.MkdirAll(n.zone(), 0o700); err != nil {
		return err
	}
	h := attendant.Host{ID: r.ID}
	for _, name := range e.Aliases {
		h.Names = append(h.Names, strings.ToLower(name))
	}
	for _, a := range e.Interface.Addresses {
		if !a.Addr().IsLinkLocalUnicast() {
			h.Addresses = append(h.Addresses, a.Addr())
		}
	}
	return store.Write(announcement(n, r.ID), h)
}

func announcement(n *networkRecord, id string) string { return n.zone() + "/" + id + ".json" }

// account is what was asked of the kernel so far.
func (p *plugging) account() []program.Account {
	a := p.ready.Account(phaseNetwork, plugWhy)
	a.Host = append(a.Host, p.done.Account(phaseNetwork, plugWhy).Host...)
	return []program.Account{a}
}

// unplugged is a start that failed over the network, with what had been asked of the kernel by then.
type unplugged struct {
	error
	account []program.Account
}

func (u *unplugged) Unwrap() error { return u.error }

// settle ends a plugging that succeeded: the networks may be removed again, once the container is off them, and the attendant has
// the sockets.
func (p *plugging) settle() error {
	if p == nil {
		return nil
	}
	var errs []error
	if p.ns != nil {
		errs = append(errs, p.ns.Close())
		p.ns = nil
	}
	if p.pidfd != nil {
		p.sockets, p.pidfd = append(p.sockets, p.pidfd), nil
	}
	for _, f := range p.sockets {
		errs = append(errs, f.Close())
	}
	for _, l := range p.held {
		errs = append(errs, l.Release())
	}
	p.sockets, p.held = nil, nil
	return errors.Join(errs...)
}

// back takes everything back that a start has claimed, bound and done.
func (p *plugging) back() error {
	if p == nil {
		return nil
	}
	if p.cabled != nil {
		<-p.cabled // its error counts no more; what has been done is taken back
		p.cabled = nil
	}
	if p.raised != nil {
		<-p.raised // its error counts no more
		p.raised = nil
	}
	errs := []error{p.done.Back(), p.c.unplug(p.r.place)}
	for i, n := range p.networks {
		errs = append(errs, p.c.networks.release(n, p.r.ID, p.w.Endpoints[i].Interface.Addresses...))
	}
	return errors.Join(append(errs, p.settle())...)
}

// fail words an error of the endpoint's, as Docker's bridge driver does.
func (p *plugging) fail(e *endpoint, err error) error {
	return prefixed(fmt.Sprintf("driver failed programming external connectivity on endpoint %s (%s)", p.r.Name, e.ID), err)
}
