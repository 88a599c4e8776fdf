package engine

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"glassbox/network"
	"glassbox/program"
	"glassbox/store"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// Create makes a network, in the kernel too. The checks come in Docker's order.
func (n *Networks) Create(name string, o dockernetwork.CreateOptions) (dockernetwork.CreateResponse, error) {
	r, err := n.request(name, o)
	if err != nil {
		return dockernetwork.CreateResponse{}, err
	}
	if _, err := n.everything(); err != nil {
		return dockernetwork.CreateResponse{}, err
	}
	lock, err := n.alone(n.root.LockNetworks)
	if err != nil {
		return dockernetwork.CreateResponse{}, err
	}
	defer lock.Release()
	if err := n.sweep(); err != nil {
		return dockernetwork.CreateResponse{}, err
	}
	if err := n.admit(r, o); err != nil {
		return dockernetwork.CreateResponse{}, err
	}
	if err := n.establish(r); err != nil {
		return dockernetwork.CreateResponse{}, err
	}
	n.containers.tellAll(r.membership().event("create"))
	return dockernetwork.CreateResponse{ID: r.ID}, nil
}

// request is what can be said of a network without looking at the others.
func (n *Networks) request(name string, o dockernetwork.CreateOptions) (*networkRecord, error) {
	if predefined(name) || name == dockernetwork.NetworkDefault {
		return nil, forbidden("operation is not permitted on predefined %s network", name)
	}
	if o.Driver == "overlay" {
		return nil, forbidden(`This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.`)
	}
	r := n.draft(name)
	r.Driver = either(o.Driver, driverBridge)
	r.Internal, r.Attachable, r.ConfigOnly = o.Internal, o.Attachable, o.ConfigOnly
	maps.Copy(r.Options, o.Options)
	maps.Copy(r.Labels, o.Labels)
	if o.ConfigFrom != nil {
		r.ConfigFrom = o.ConfigFrom.Network
	}
	var err error
	if r.EnableIPv4, err = switched(o.EnableIPv4, r.Options, optEnable4, true); err != nil {
		return nil, err
	}
	if r.EnableIPv6, err = switched(o.EnableIPv6, r.Options, optEnable6, false); err != nil {
		return nil, err
	}
	r.IPAM = dockernetwork.IPAM{Driver: ipamDefault}
	if o.IPAM != nil {
		r.IPAM = *o.IPAM
		r.IPAM.Driver = either(o.IPAM.Driver, ipamDefault)
	}
	if err := dockernetwork.ValidateIPAM(&r.IPAM, r.EnableIPv6); err != nil {
		return nil, invalid("%w", err)
	}
	return r, nil
}

// switched is a family's switch: the flag counts more than the option, which is dropped then.
func switched(flag *bool, options map[string]string, name string, otherwise bool) (bool, error) {
	if flag != nil {
		delete(options, name)
		return *flag, nil
	}
	value, ok := options[name]
	if !ok {
		return otherwise, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return on, invalid("driver-opt %q is not a valid bool", name)
	}
	return on, nil
}

// admit checks the network against the others, and gives it its subnets.
func (n *Networks) admit(r *networkRecord, o dockernetwork.CreateOptions) error {
	if strings.TrimSpace(r.Name) == "" {
		return invalid("invalid name: name is empty")
	}
	if len(store.NetworkClaim(r.Name)) > 255 {
		return invalid("invalid name: %s is longer than the 255 characters that a file's name may have", r.Name)
	}
	if other, err := n.named(r.Name); err != nil {
		return err
	} else if other != nil {
		return conflict("network with name %s already exists", r.Name)
	}
	if err := r.checkTemplate(o); err != nil {
		return err
	}
	if r.ConfigOnly {
		r.Driver = driverNull
		return nil
	}
	if err := n.checkDriver(r, o); err != nil {
		return err
	}
	return n.furnish(r)
}

// checkTemplate checks what concerns networks that are made after others, and those others.
func (r *networkRecord) checkTemplate(o dockernetwork.CreateOptions) error {
	if r.ConfigOnly && (o.Ingress || o.Internal || o.Attachable || o.Scope != "") {
		return forbidden("configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.")
	}
	if r.ConfigFrom == "" {
		return nil
	}
	if r.ConfigOnly {
		return forbidden("a configuration network cannot depend on another configuration network")
	}
	if r.IPAM.Driver != ipamDefault || !r.EnableIPv4 || r.EnableIPv6 || len(r.Labels)+len(r.IPAM.Options)+len(r.IPAM.Config) > 0 {
		return forbidden("user specified configurations are not supported if the network depends on a configuration network")
	}
	if len(r.Options) > 0 {
		return forbidden("network driver options are not supported if the network depends on a configuration network")
	}
	return nil
}

// checkDriver refuses drivers and scopes that are not of this machine, and takes the template's settings over.
func (n *Networks) checkDriver(r *networkRecord, o dockernetwork.CreateOptions) error {
	switch r.Driver {
	case driverBridge, driverMacvlan, driverIPvlan, driverHost, driverNull:
	default:
		return noPlugin(r.Driver)
	}
	if o.Ingress {
		return forbidden("Ingress network can only be global scope network")
	}
	if r.ConfigFrom != "" {
		if err := n.follow(r); err != nil {
			return err
		}
	}
	switch o.Scope {
	case "", "local":
	case "swarm":
		return forbidden("cannot create a swarm scoped network when swarm is not active")
	default:
		return invalid("scope %s: networks are of this machine, their scope is local", o.Scope)
	}
	return nil
}

func noPlugin(name string) error {
	return &Error{Class: NotFound, Text: fmt.Sprintf("plugin %q not found", name)}
}

func (n *Networks) follow(r *networkRecord) error {
	template, err := n.named(r.ConfigFrom)
	if err != nil {
		return err
	}
	if template == nil || !template.ConfigOnly {
		return &Error{Class: NotFound, Text: fmt.Sprintf("configuration network %q does not exist", r.ConfigFrom)}
	}
	r.EnableIPv4, r.EnableIPv6 = template.EnableIPv4, template.EnableIPv6
	r.IPAM, r.Labels, r.Options = template.IPAM, template.Labels, template.Options
	return nil
}

// furnish reads the options, allots the subnets, and checks what the driver checks.
func (n *Networks) furnish(r *networkRecord) error {
	if r.Driver == driverHost || r.Driver == driverNull {
		return forbidden("only one instance of %q network is allowed", r.Driver)
	}
	opts, err := readOptions(r.Driver, r.Internal, r.Options)
	if err != nil {
		return err
	}
	switch r.IPAM.Driver {
	case ipamDefault, ipamNull:
	default:
		return noPlugin(r.IPAM.Driver)
	}
	if err := n.allot(r); err != nil {
		return err
	}
	for _, p := range r.Pools {
		if p.Subnet.Bits() == 0 {
			return p.empty()
		}
	}
	for _, name := range opts.unknown {
		n.warn(fmt.Sprintf("the network driver %s knows no option %s: it is shown, and has no effect", r.Driver, name))
	}
	for _, name := range slices.Sorted(maps.Keys(r.IPAM.Options)) {
		n.warn(fmt.Sprintf("the IPAM driver %s knows no option %s: it is shown, and has no effect", r.IPAM.Driver, name))
	}
	if r.Driver == driverBridge {
		return n.furnishBridge(r, opts)
	}
	return n.furnishParent(r, opts)
}

// allot gives the network its subnets. What is unique to this machine is the id of its network host, which is always there.
func (n *Networks) allot(r *networkRecord) error {
	others, err := n.others(r)
	if err != nil {
		return err
	}
	host, err := n.named(dockernetwork.NetworkHost)
	if err != nil {
		return err
	}
	return (&allotment{r: r, others: others, host: host.ID}).pools()
}

func (n *Networks) furnishBridge(r *networkRecord, o networkOptions) error {
	if !r.EnableIPv4 && !r.EnableIPv6 {
		return invalid("IPv4 or IPv6 must be enabled")
	}
	if len(r.Pools) > count(r.EnableIPv4, r.EnableIPv6) {
		return forbidden("bridge driver doesn't support multiple subnets")
	}
	if o.mtu < 0 {
		return invalid("invalid MTU number: %d", o.mtu)
	}
	for _, p := range r.Pools {
		if err := p.checkIPv6(); err != nil {
			return err
		}
		if r.Internal && !p.v6() && p.Gateway.IsValid() && p.route() != p.Gateway {
			return invalid("no gateway can be set on an internal bridge network")
		}
	}
	r.Bridge = either(o.bridge, "br-"+r.short())
	if err := n.checkConflicts(r); err != nil {
		return err
	}
	there, err := network.Leftover(r.Bridge)
	r.Found = len(there) > 0
	return err
}

var linkLocal = netip.MustParsePrefix("fe80::/64")

// checkIPv6 refuses subnets that containers could not use.
func (p *addressPool) checkIPv6() error {
	if !p.v6() {
		return nil
	}
	shown := p.Subnet
	if p.Gateway.IsValid() {
		shown = netip.PrefixFrom(p.Gateway, p.Subnet.Bits())
	}
	if shown.Addr().Is4In6() {
		return invalid("'%s' is not a valid IPv6 subnet", shown)
	}
	if shown.Addr().IsMulticast() {
		return invalid("multicast subnet '%s' is not allowed", shown)
	}
	if p.Subnet != linkLocal && p.Subnet.Overlaps(linkLocal) {
		return invalid("'%s' clashes with the Link-Local prefix 'fe80::/64'", shown)
	}
	return nil
}

// checkConflicts compares with the other bridges.
func (n *Networks) checkConflicts(r *networkRecord) error {
	all, err := n.all()
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Driver != driverBridge {
			continue
		}
		if what := r.conflicts(o); what != "" {
			return forbidden("cannot create network %s (%s): conflicts with network %s (%s): networks have %s", r.ID, r.Bridge, o.ID, o.Bridge, what)
		}
	}
	return nil
}

func (r *networkRecord) conflicts(o *networkRecord) string {
	if r.Bridge == o.Bridge {
		return "same bridge name"
	}
	for _, p := range r.Pools {
		for _, q := range o.Pools {
			if p.Subnet.Overlaps(q.Subnet) && p.v6() {
				return "overlapping IPv6"
			}
			if p.Subnet.Overlaps(q.Subnet) {
				return "overlapping IPv4"
			}
		}
	}
	return ""
}

// furnishParent settles the interface that a macvlan or ipvlan network sits on.
func (n *Networks) furnishParent(r *networkRecord, o networkOptions) error {
	r.Parent = o.parent
	if r.Parent == "" {
		prefix := map[string]string{driverMacvlan: "dm-", driverIPvlan: "di-"}[r.Driver]
		r.Parent = prefix + r.short()
	}
	all, err := n.all()
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Parent != r.Parent || other.Driver != r.Driver {
			continue
		}
		if err := r.shares(other, o.mode); err != nil {
			return err
		}
	}
	if _, r.ParentMade, err = network.Parent(r.Parent, o.parent == ""); err != nil {
		return err
	}
	for _, other := range all {
		r.ParentMade = r.ParentMade || other.Parent == r.Parent && other.ParentMade
	}
	return nil
}

// shares says whether two networks may sit on one parent.
func (r *networkRecord) shares(o *networkRecord, mode string) error {
	if r.Driver == driverIPvlan {
		return fmt.Errorf("network di-%s is already using parent interface %s", o.short(), r.Parent)
	}
	if mode == "passthru" {
		return fmt.Errorf("cannot use mode passthru, macvlan network %s is already using parent interface %s", o.ID, r.Parent)
	}
	if o.options().mode == "passthru" {
		return fmt.Errorf("macvlan network %s is already using parent interface %s in mode passthru", o.ID, r.Parent)
	}
	return nil
}

// establish puts the network on the disk, then into the kernel. After an error nothing of it is left. The caller holds the lock on
// all networks.
func (n *Networks) establish(r *networkRecord) (err error) {
	lock, err := r.place.Make()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.place.Remove(), n.unname(r))
		}
		err = errors.Join(err, lock.Release())
	}()
	if err := n.root.NetworkNames().Claim(store.NetworkClaim(r.Name), r.ID, func(string) bool { return true }); err != nil {
		return err
	}
	if err := r.save(); err != nil {
		return err
	}
	if r.predefined() || r.ConfigOnly {
		return nil
	}
	return n.build(r)
}

// build makes the network's interfaces and tells the firewall. Forwarding is left until somebody needs it.
func (n *Networks) build(r *networkRecord) error {
	lock, err := n.alone(n.root.LockBridges)
	if err != nil {
		return err
	}
	defer lock.Release()
	var l program.Ledger
	requests, err := n.lacksLinks(r)
	if err == nil {
		err = l.Carry(requests...)
	}
	if err == nil && r.Driver == driverBridge {
		if requests, err = n.lacksWall(r); err == nil {
			err = l.Carry(requests...)
		}
	}
	if err == nil {
		err = r.mark()
	}
	if err != nil {
		return errors.Join(err, l.Back())
	}
	return nil
}

// unname gives the network's name back, if it is still its own.
func (n *Networks) unname(r *networkRecord) error {
	names, claim := n.root.NetworkNames(), store.NetworkClaim(r.Name)
	if owner, err := names.Owner(claim); err == nil && owner == r.ID {
		return names.Release(claim)
	}
	return nil
}

// sweep deletes what killed commands left of networks that they were making or removing: directories, and bridges that carry their
// names. The caller holds the lock on all networks.
func (n *Networks) sweep() error {
	ids, err := n.root.NetworkIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		remains, err := n.root.Network(id).Sweep()
		if err != nil {
			return err
		}
		if remains {
			n.sweepLinks(id)
		}
	}
	return nil
}

func (n *Networks) sweepLinks(id string) {
	for _, kind := range []string{"br-", "dm-", "di-"} {
		requests, err := network.Leftover(kind + id[:12])
		if err == nil {
			err = new(program.Ledger).Carry(requests...)
		}
		if err != nil {
			n.warn(err.Error())
		}
	}
}
