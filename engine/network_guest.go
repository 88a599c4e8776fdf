package engine

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// guest is a container that is on a network now.
type guest struct {
	id, name string
	endpoint *endpoint // with an id only, on networks that need no plugging in
}

// guests are the containers on the network, by name.
func (n *Networks) guests(r *networkRecord) ([]guest, error) {
	if r.kind() == "" {
		return n.namespaceGuests(r)
	}
	running, err := n.containers.wirings()
	if err != nil {
		return nil, err
	}
	var all []guest
	for _, w := range running {
		e := w.endpoint(r.ID)
		if e == nil {
			continue
		}
		c, err := n.containers.read(w.id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, guest{w.id, c.Name, e})
	}
	slices.SortFunc(all, func(a, b guest) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// namespaceGuests are the running containers that asked for the networks host or none.
func (n *Networks) namespaceGuests(r *networkRecord) ([]guest, error) {
	containers, err := n.containers.everything()
	var all []guest
	for _, l := range containers {
		if _, asked := l.networks()[r.Name]; asked && l.now.Running {
			all = append(all, guest{l.ID, l.Name, &endpoint{ID: l.derivedID(r.Name)}})
		}
	}
	return all, err
}

func (g guest) resource() dockernetwork.EndpointResource {
	res := dockernetwork.EndpointResource{Name: g.name, EndpointID: g.endpoint.ID, MacAddress: g.endpoint.Interface.MAC.String()}
	if a := g.endpoint.address(false); a.IsValid() {
		res.IPv4Address = a.String()
	}
	if a := g.endpoint.address(true); a.IsValid() {
		res.IPv6Address = a.String()
	}
	return res
}

// used are the ids of the networks that somebody is on.
func (n *Networks) used() (map[string]bool, error) {
	running, err := n.containers.wirings()
	used := map[string]bool{}
	for _, w := range running {
		for _, e := range w.Endpoints {
			used[e.Network] = true
		}
	}
	return used, err
}
