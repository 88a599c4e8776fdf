package engine

import (
	"errors"
	"slices"
	"strconv"

	"glassbox/event"
	"glassbox/monitor"
	"glassbox/store"

	"github.com/docker/docker/api/types/mount"
	dockernetwork "github.com/docker/docker/api/types/network"
)

// What a container has around it while it runs, volumes and networks, is told of when it starts and when it ends, by its monitor, so that the
// journal has Docker's order: mount, connect, start; disconnect, unmount, die.

// surroundings are those events for a container with this wiring, nil where it has none.
func (c *Containers) surroundings(r *record, w *wiring) (arriving, parting []event.Event, err error) {
	networks, err := c.memberships(r, w)
	for _, n := range networks {
		parting = append(parting, n.event("disconnect", "container", r.ID))
	}
	for _, m := range r.Mounts {
		if m.Type == mount.TypeVolume {
			arriving = append(arriving, m.mounted(r.ID))
			parting = append(parting, volumeEvent(m.Name, "unmount", "driver", m.Driver, "container", r.ID))
		}
	}
	for _, n := range networks {
		arriving = append(arriving, n.event("connect", "container", r.ID))
	}
	return arriving, parting, err
}

func (m *mountPoint) mounted(id string) event.Event {
	return volumeEvent(m.Name, "mount", "driver", m.Driver, "container", id, "destination", m.Destination,
		"read/write", strconv.FormatBool(m.RW), "propagation", string(m.Propagation))
}

// tellUnseen tells of an end that no monitor was there to tell of.
func (c *Containers) tellUnseen(r *record, s state) {
	w, err := wiringAt(r.place)
	_, parting, err2 := c.surroundings(r, w)
	if err = errors.Join(err, err2); err != nil {
		c.warn(err.Error())
	}
	c.tellAll(append(parting, r.event("die", s.End()...))...)
}

// tellFailed tells of a start that failed what Docker does: volumes were mounted, and nothing is left of networks and volumes.
func (c *Containers) tellFailed(r *record, w *wiring) {
	arriving, parting, err := c.surroundings(r, w)
	if err != nil {
		return // it is why the start failed
	}
	mounts := slices.DeleteFunc(arriving, func(e event.Event) bool { return e.Type != "volume" })
	c.tellAll(append(mounts, parting...)...)
}

// membership is a network as its events name it.
type membership struct{ id, name, driver string }

func (m membership) event(action string, more ...string) event.Event {
	return event.Event{Type: "network", Action: action, ID: m.id, Attributes: event.Attributes(append(more, "name", m.name, "type", m.driver)...)}
}

func (r *networkRecord) membership() membership { return membership{r.ID, r.Name, r.Driver} }
func (e *endpoint) membership() membership      { return membership{e.Network, e.Name, e.Driver} }

// memberships are the networks that the container is on. host and none leave no trace in the wiring, and are told of all the same.
func (c *Containers) memberships(r *record, w *wiring) (all []membership, err error) {
	switch {
	case w != nil:
		for i := range w.Endpoints {
			all = append(all, w.Endpoints[i].membership())
		}
		return all, nil
	case r.HostConfig.NetworkMode.IsContainer():
		return nil, nil // it is the other container that is on them
	}
	for _, wish := range r.wishes() {
		m, err := c.networks.membership(wish.ref())
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
	return all, nil
}

// membership of a network that is always there can be told from where its name leads: a start need not read its document.
func (n *Networks) membership(ref string) (membership, error) {
	if driver := map[string]string{dockernetwork.NetworkHost: driverHost, dockernetwork.NetworkNone: driverNull}[ref]; driver != "" {
		if id, err := n.root.NetworkNames().Owner(store.NetworkClaim(ref)); err == nil {
			return membership{id, ref, driver}, nil
		}
	}
	r, err := n.load(ref)
	if err != nil {
		return membership{}, err
	}
	return r.membership(), nil
}

// surround tells the monitor of a running container that this is its wiring now.
func (c *Containers) surround(r *record, w *wiring) error {
	var m monitor.Config
	err := store.Read(r.place.Monitor(), &m)
	if err == nil {
		m.Arriving, m.Parting, err = c.surroundings(r, w)
	}
	if err != nil {
		return gone(err)
	}
	return store.Write(r.place.Monitor(), m)
}
