package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"
)

// wish is a network that a container asks to be on, and how.
type wish struct {
	name string
	*network.EndpointSettings
}

// ref finds the network: one of the user's by the id that it had when the container was first plugged in, so that another one
// of its name is not taken for it.
func (w wish) ref() string {
	if w.NetworkID != "" && !predefined(w.name) {
		return w.NetworkID
	}
	return w.name
}

// wishes are in the order of the interfaces: the network of the network mode first, then by name.
func (r *record) wishes() []wish {
	var all []wish
	main := r.HostConfig.NetworkMode.NetworkName()
	for name, e := range r.networks() {
		all = append(all, wish{name, e})
	}
	slices.SortFunc(all, func(a, b wish) int {
		if (a.name == main) != (b.name == main) {
			return count(b.name == main) - count(a.name == main)
		}
		return strings.Compare(a.name, b.name)
	})
	return all
}

// networks is what the container asked for, by the networks' names. A container that was made before there were networks asked for
// none but its mode's.
func (r *record) networks() map[string]*network.EndpointSettings {
	mode := r.HostConfig.NetworkMode
	if r.Networks == nil && !mode.IsContainer() {
		return map[string]*network.EndpointSettings{mode.NetworkName(): {}}
	}
	return r.Networks
}

// plugs: the container has a network namespace of its own, and somewhere to plug it in.
func (r *record) plugs() bool {
	if !r.HostConfig.NetworkMode.IsPrivate() {
		return false
	}
	for name := range r.networks() {
		if name != network.NetworkNone {
			return true
		}
	}
	return false
}

// ask records what the options ask of networks, under the names of those that exist.
func (c *Containers) ask(r *record, o *Options) error {
	mode := o.HostConfig.NetworkMode
	if mode.IsContainer() {
		return nil
	}
	r.Networks = map[string]*network.EndpointSettings{}
	if o.NetworkingConfig != nil {
		maps.Copy(r.Networks, o.NetworkingConfig.EndpointsConfig)
	}
	if len(r.Networks) == 0 {
		r.Networks[mode.NetworkName()] = &network.EndpointSettings{}
	}
	for name := range maps.Clone(r.Networks) {
		if predefined(name) {
			continue
		}
		if err := c.rename(r, name); err != nil {
			return err
		}
	}
	return nil
}

// rename files what was asked of a network, by its id or a part of it, under its name.
func (c *Containers) rename(r *record, ref string) error {
	known, err := c.networks.load(ref)
	if Is(err, NotFound) {
		return nil
	}
	if err != nil || known.Name == ref {
		return err
	}
	e := r.Networks[ref]
	delete(r.Networks, ref)
	r.Networks[known.Name] = e
	if mode := r.HostConfig.NetworkMode; string(mode) == ref {
		r.HostConfig.NetworkMode = container.NetworkMode(known.ID)
	}
	return nil
}

// dnsNames are those under which others on a network of the user's find the container, as inspect shows them.
func (r *record) dnsNames(aliases []string) []string {
	var all []string
	for _, name := range append(append([]string{r.Name}, aliases...), r.short(), r.Config.Hostname) {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
