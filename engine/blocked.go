package engine

import (
	"slices"

	"glassbox/firewall"
)

// Blocked names the rules of others' firewalls that drop what goes between the container's bridges and the rest of the world. It
// is slow enough (it reads the host's rule set) to be asked for people only.
func (c *Containers) Blocked(id string) ([]firewall.Blocker, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	w, err := liveAt(r.place)
	if err != nil || w == nil {
		return nil, err
	}
	var bridges []string
	for _, e := range w.Endpoints {
		if e.Driver == "bridge" && !e.Internal && !slices.Contains(bridges, e.Interface.Master) {
			bridges = append(bridges, e.Interface.Master)
		}
	}
	return firewall.Blockers(bridges)
}
