package engine

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"glassbox/store"

	"github.com/docker/docker/api/types/filters"
	dockernetwork "github.com/docker/docker/api/types/network"
)

// Networks is everything that can be done with networks. A network is named by name, full id or unique prefix.
type Networks struct {
	root       store.Root
	containers *Containers

	// Warn is told what a user should know but no error is; may be nil.
	Warn func(message string)

	mended sync.Map // ids of networks that this command has looked at
}

func (n *Networks) warn(message string) {
	if n.Warn != nil {
		n.Warn(message)
		return
	}
	n.containers.warn(message)
}

// List is `network ls`: by name. Who is on the networks is left out, as in Docker.
func (n *Networks) List(f filters.Args) ([]dockernetwork.Summary, error) {
	if err := dockernetwork.ValidateFilters(f); err != nil {
		return nil, invalid("%w", err)
	}
	all, err := n.everything()
	if err != nil {
		return nil, err
	}
	sieve := &networkSieve{args: f}
	if f.Contains("dangling") {
		if sieve.used, err = n.used(); err != nil {
			return nil, err
		}
	}
	passed, err := sieve.pass(all)
	out := []dockernetwork.Summary{}
	for _, r := range passed {
		out = append(out, r.summary())
	}
	return out, err
}

// everything is all networks, those among them that are always there, by name.
func (n *Networks) everything() ([]*networkRecord, error) {
	for _, name := range []string{dockernetwork.NetworkBridge, dockernetwork.NetworkHost, dockernetwork.NetworkNone} {
		if _, err := n.ensure(name); err != nil {
			return nil, err
		}
	}
	all, err := n.all()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b *networkRecord) int { return strings.Compare(a.Name, b.Name) })
	ids, err := n.root.NetworkIDs()
	if len(ids) > len(all) { // some have no document: a command was killed
		err = errors.Join(err, n.tidy())
	}
	return all, err
}

// Inspect is `network inspect`, with the containers that are on the network now.
func (n *Networks) Inspect(ref string) (dockernetwork.Inspect, error) {
	r, err := n.load(ref)
	if err != nil {
		return dockernetwork.Inspect{}, err
	}
	s := r.summary()
	guests, err := n.guests(r)
	for _, g := range guests {
		s.Containers[g.id] = g.resource()
	}
	return s, err
}

// summary is the network in Docker's words.
func (r *networkRecord) summary() dockernetwork.Summary {
	return dockernetwork.Summary{
		Name: r.Name, ID: r.ID, Created: r.Created, Scope: "local", Driver: r.Driver, EnableIPv4: r.EnableIPv4, EnableIPv6: r.EnableIPv6,
		IPAM:     dockernetwork.IPAM{Driver: r.IPAM.Driver, Options: r.IPAM.Options, Config: r.shownPools()},
		Internal: r.Internal, Attachable: r.Attachable, ConfigFrom: dockernetwork.ConfigReference{Network: r.ConfigFrom}, ConfigOnly: r.ConfigOnly,
		Containers: map[string]dockernetwork.EndpointResource{}, Options: r.Options, Labels: r.Labels,
	}
}

// shownPools are the subnets that were asked for, IPv4 first, then those that were chosen.
func (r *networkRecord) shownPools() []dockernetwork.IPAMConfig {
	a := &allotment{r: r}
	shown := append(a.asked(false), a.asked(true)...)
	for _, p := range r.Pools {
		if !p.Chosen {
			continue
		}
		c := dockernetwork.IPAMConfig{Subnet: p.Subnet.String()}
		if p.Gateway.IsValid() {
			c.Gateway = p.Gateway.String()
		}
		shown = append(shown, c)
	}
	return shown
}
