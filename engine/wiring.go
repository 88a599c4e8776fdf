package engine

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"glassbox/firewall"
	"glassbox/monitor"
	"glassbox/network"
	"glassbox/store"
)

// wiring is what a container has of networks while it runs: network.json in its run directory, gone after a reboot. What it was
// asked to have is in its record (Networks), by the network's name. It is written before the kernel is asked for the first of it, and
// removed after the last of it is gone: whoever finds one whose process has ended has something to clean up.
type wiring struct {
	ID        string     // 64 hexadecimal digits, which inspect calls the sandbox
	Pid       int        // the container's first process
	PidStart  uint64     // and when it was started: monitor.State
	BootID    string     // of this boot
	Endpoints []endpoint `json:",omitempty"` // in the order of their interfaces
	Bound     []bound    `json:",omitempty"` // published ports
	Exposed   []string   `json:",omitempty"` // 80/tcp: all that inspect lists, published or not
	Resolver  bool       `json:",omitempty"` // its resolv.conf leads to the attendant, which it does for good
	Links     []string   `json:",omitempty"` // environment variables of links on the default bridge

	place store.Place // where it was read; empty: of a start that is going on
}

// inhabited: the wiring's process exists, be it still at its gate.
func (w *wiring) inhabited() bool {
	return monitor.State{Pid: w.Pid, PidStart: w.PidStart, BootID: w.BootID}.Alive()
}

// alive: the wiring is in use, by its process, by the one that took that one's place after a restart, which becomes the wiring's, or by none
// between the two, when the monitor holds the namespace.
func (w *wiring) alive() bool {
	if w.inhabited() {
		return true
	}
	if held, err := store.Held(w.place.Alive()); w.place.Run == "" || err != nil || !held {
		return false
	}
	s, err := monitor.ReadState(w.place.State())
	if err != nil || s.BootID != w.BootID || s.Status != monitor.Running && s.Status != monitor.Restarting {
		return false
	}
	w.Pid, w.PidStart = s.Pid, s.PidStart
	return true
}

// endpoint on the network of that id; nil when there is none.
func (w *wiring) endpoint(network string) *endpoint {
	for i := range w.Endpoints {
		if w.Endpoints[i].Network == network {
			return &w.Endpoints[i]
		}
	}
	return nil
}

// named: some network answers names.
func (w *wiring) named() bool {
	return slices.ContainsFunc(w.Endpoints, func(e endpoint) bool { return e.named() })
}

// provider is the endpoint through which the default route of the family leads; nil when there is none.
func (w *wiring) provider(v6 bool) *endpoint {
	var first *endpoint
	for i := range w.Endpoints {
		e := &w.Endpoints[i]
		if e.leads(v6) && (first == nil || e.before(first) < 0) {
			first = e
		}
	}
	return first
}

// lead gives the default routes to the interfaces whose they are.
func (w *wiring) lead() {
	for i := range w.Endpoints {
		w.Endpoints[i].Interface.Gateways = nil
	}
	for _, v6 := range []bool{false, true} {
		e := w.provider(v6)
		switch {
		case e == nil:
		case e.gateway(v6).IsValid():
			e.Interface.Gateways = append(e.Interface.Gateways, e.gateway(v6))
		case v6:
			e.Interface.Gateways = append(e.Interface.Gateways, netip.IPv6Unspecified())
		default:
			e.Interface.Gateways = append(e.Interface.Gateways, netip.IPv4Unspecified())
		}
	}
}

// routes are the default routes as lead has given them.
func (w *wiring) routes() []network.Route {
	var routes []network.Route
	for _, v6 := range []bool{false, true} {
		if e := w.provider(v6); e != nil {
			routes = append(routes, network.Route{Interface: e.Interface.Name, Gateway: e.gateway(v6), IPv6: v6})
		}
	}
	return routes
}

// members are the wiring's part of what the firewall shall hold, and ports the other.
func (w *wiring) members() []firewall.Member {
	var all []firewall.Member
	for _, e := range w.Endpoints {
		if e.Member != nil {
			all = append(all, *e.Member)
		}
	}
	return all
}

func (w *wiring) ports() []firewall.Port {
	var all []firewall.Port
	for _, b := range w.Bound {
		if b.forwarded() {
			all = append(all, b.Port)
		}
	}
	return all
}

// wiringAt reads the wiring of the container whose place it is; nil when it has none.
func wiringAt(p store.Place) (*wiring, error) {
	w := &wiring{}
	err := store.Read(p.Wiring(), w)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w.place = p
	return w, nil
}

// liveAt is the wiring of a container that uses it; nil when it has none.
func liveAt(p store.Place) (*wiring, error) {
	w, err := wiringAt(p)
	if w == nil || !w.alive() {
		return nil, err
	}
	return w, nil
}

// wired is a container and its wiring.
type wired struct {
	*wiring
	id string
}

// wirings are those of all containers whose process lives. What others have left is taken away, if nobody else is about to.
func (c *Containers) wirings() ([]wired, error) {
	ids, err := c.root.RunIDs()
	if err != nil {
		return nil, err
	}
	var all []wired
	for _, id := range ids {
		w, err := wiringAt(c.root.Container(id))
		switch {
		case err != nil:
			c.warn(err.Error())
		case w == nil:
		case w.alive():
			all = append(all, wired{w, id})
		default:
			c.tidy(id)
		}
	}
	return all, nil
}
