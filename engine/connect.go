package engine

import (
	"errors"
	"maps"
	"os"
	"slices"

	"glassbox/attendant"
	"glassbox/firewall"
	"glassbox/network"
	"glassbox/program"
	"glassbox/store"

	dockernetwork "github.com/docker/docker/api/types/network"
)

// connect puts a container on one more network: at once if it runs, else at its next start. The caller holds its lock.
func (c *Containers) connect(r *record, n *networkRecord, e *dockernetwork.EndpointSettings) error {
	r.Networks = maps.Clone(r.networks())
	if r.Networks == nil {
		r.Networks = map[string]*dockernetwork.EndpointSettings{}
	}
	r.Networks[n.Name] = e
	s, err := c.state(r)
	if err != nil {
		return err
	}
	if s.Running && n.kind() != "" {
		if err := c.plugLive(r, s, wish{n.Name, e}); err != nil {
			return err
		}
		e.NetworkID = n.ID
	}
	if s.Running {
		c.tellAll(n.membership().event("connect", "container", r.ID))
	}
	return r.save()
}

// disconnect takes a container off a network. The caller holds its lock.
func (c *Containers) disconnect(r *record, n *networkRecord, force bool) error {
	s, err := c.state(r)
	if err != nil {
		return err
	}
	if s.Running {
		if err := c.unplugLive(r, n); err != nil && !force {
			return err
		}
		c.tellAll(n.membership().event("disconnect", "container", r.ID))
	}
	r.Networks = maps.Clone(r.networks())
	delete(r.Networks, n.Name)
	return r.save()
}

// change is a running container whose networks change.
type change struct {
	*plugging
	publishers [2]string // the networks whose addresses ports were published at
	resolver   bool      // names were answered before
}

func (c *Containers) change(r *record, s state) (*change, error) {
	w, err := wiringAt(r.place)
	if err != nil {
		return nil, err
	}
	if w == nil {
		w = &wiring{ID: store.NewID(), Pid: s.Pid, PidStart: s.PidStart, BootID: s.BootID}
	}
	w.Pid, w.PidStart = s.Pid, s.PidStart // it may have been started again
	ns, err := network.Open(w.Pid)
	if err != nil {
		return nil, err
	}
	return &change{plugging: &plugging{c: c, r: r, w: w, ns: ns}, publishers: w.publishers(), resolver: w.Resolver}, nil
}

func (w *wiring) publishers() (ids [2]string) {
	for i, v6 := range []bool{false, true} {
		if e := w.publisher(v6); e != nil {
			ids[i] = e.Network
		}
	}
	return ids
}

// plugLive gives a running container one interface more.
func (c *Containers) plugLive(r *record, s state, w wish) error {
	ch, err := c.change(r, s)
	if err != nil {
		return err
	}
	err = ch.add(w)
	if err != nil {
		err = errors.Join(err, ch.undo())
	}
	return errors.Join(err, ch.settle())
}

func (ch *change) add(w wish) error {
	if err := ch.join(w); err != nil {
		return err
	}
	e := &ch.w.Endpoints[len(ch.w.Endpoints)-1]
	if err := ch.save(); err != nil {
		return err
	}
	if err := ch.raise(); err != nil {
		return err
	}
	if err := ch.done.Carry(e.Interface.Plug(ch.ns)...); err != nil {
		return err
	}
	only := &wiring{Endpoints: []endpoint{*e}}
	if err := ch.c.fence(only, &ch.done); err != nil {
		return err
	}
	ch.w.Resolver = ch.w.Resolver || e.named()
	if err := ch.follow(); err != nil {
		return err
	}
	if err := ch.r.rewriteHosts(e, true); err != nil {
		return err
	}
	return ch.r.announce(ch.networks[0], e)
}

// undo takes back what was done for an interface that could not be plugged in after all.
func (ch *change) undo() error {
	errs := []error{ch.done.Back()}
	if len(ch.networks) > 0 {
		last := len(ch.w.Endpoints) - 1
		errs = append(errs, ch.c.detach(ch.networks[0], ch.r.ID, &ch.w.Endpoints[last], nil, new(program.Ledger)))
		ch.w.Endpoints = ch.w.Endpoints[:last]
		errs = append(errs, ch.follow())
	}
	return errors.Join(errs...)
}

// unplugLive takes an interface away from a running container.
func (c *Containers) unplugLive(r *record, n *networkRecord) error {
	s, err := c.state(r)
	if err != nil {
		return err
	}
	ch, err := c.change(r, s)
	if err != nil {
		return err
	}
	defer ch.settle()
	i := slices.IndexFunc(ch.w.Endpoints, func(e endpoint) bool { return e.Network == n.ID })
	if i < 0 {
		return nil // the start has left it out
	}
	e := ch.w.Endpoints[i]
	ch.w.Endpoints = slices.Delete(ch.w.Endpoints, i, i+1)
	errs := []error{silence(n, r.ID), ch.r.rewriteHosts(&e, false), ch.follow(), c.unfence(&wiring{Endpoints: []endpoint{e}}, nil, new(program.Ledger))}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := ch.done.Carry(e.Interface.Unplug(ch.ns)...); err != nil {
		return err
	}
	return errors.Join(c.detach(n, r.ID, &e, nil, new(program.Ledger)), ch.reroute())
}

// follow has default routes, ports and names follow the networks that the container is on now.
func (ch *change) follow() error {
	ch.w.lead()
	if err := ch.reroute(); err != nil {
		return err
	}
	moved := ch.w.publishers() != ch.publishers
	if moved {
		if err := ch.move(); err != nil {
			return err
		}
	}
	if ch.w.Resolver && !ch.resolver {
		if err := ch.answer(); err != nil {
			return err
		}
	}
	if err := errors.Join(ch.save(), ch.c.surround(ch.r, ch.w)); err != nil {
		return err
	}
	return ch.attendAgain(moved || ch.w.Resolver != ch.resolver)
}

func (ch *change) reroute() error {
	return new(program.Ledger).Carry(network.Reroute(ch.ns, ch.w.routes())...)
}

// move publishes the ports at the addresses of other networks than before.
func (ch *change) move() error {
	ch.publishers = [2]string{"on the move"}
	if err := attendant.Stop(ch.r.place.Run); err != nil {
		return err
	}
	if err := ch.c.unfence(&wiring{Bound: ch.w.Bound}, nil, new(program.Ledger)); err != nil {
		return err
	}
	ch.w.Bound, ch.w.Exposed = nil, nil
	if err := ch.bind(); err != nil {
		return err
	}
	if err := ch.publish(); err != nil {
		return err
	}
	ch.publishers = ch.w.publishers()
	return nil
}

func (ch *change) publish() error {
	var b firewall.Batch
	for _, port := range ch.w.ports() {
		b.Publish(port)
	}
	if b.Empty() {
		return nil
	}
	if err := ch.done.Carry(b.Request("", "the published ports lead to the container's address on another network now")); err != nil {
		return err
	}
	return ch.done.Carry(firewall.Forget(ch.w.ports())...)
}

// answer has the container's resolv.conf lead to its own resolver from now on.
func (ch *change) answer() error {
	text, err := ch.r.resolvConf(os.ReadFile, true)
	if err != nil {
		return err
	}
	return os.WriteFile(ch.r.place.ResolvConf(), []byte(text), 0o644)
}

// attendAgain tells the attendant of the change, or starts another one where it has other sockets now.
func (ch *change) attendAgain(sockets bool) error {
	dir := ch.r.place.Run
	if !sockets {
		if !ch.w.Resolver {
			return nil
		}
		config, err := ch.c.attendance(ch.r, ch.w)
		if err != nil {
			return err
		}
		return attendant.Update(dir, config)
	}
	if err := attendant.Stop(dir); err != nil {
		return err
	}
	if len(ch.sockets) < len(ch.w.Bound) {
		if err := ch.bindAgain(); err != nil {
			return err
		}
	}
	if err := ch.attend(); err != nil {
		return err
	}
	return ch.serves()
}

// bindAgain takes the same ports once more, for a new attendant.
func (p *plugging) bindAgain() error {
	closeAll(p.sockets)
	p.sockets = nil
	for _, b := range p.w.Bound {
		f, err := listen(b.Port.Proto, b.Host)
		if err != nil {
			return err
		}
		p.sockets = append(p.sockets, f)
	}
	return nil
}

// renameOnNetworks has a running container found by its new name.
func (c *Containers) renameOnNetworks(r *record) error {
	w, err := liveAt(r.place)
	if w == nil {
		return err
	}
	for i := range w.Endpoints {
		e := &w.Endpoints[i]
		if !e.named() {
			continue
		}
		n, err := c.networks.read(e.Network)
		if err != nil {
			return err
		}
		var aliases []string
		if s := r.networks()[n.Name]; s != nil {
			aliases = s.Aliases
		}
		e.Aliases = r.dnsNames(aliases)
		if err := r.announce(n, e); err != nil {
			return err
		}
	}
	return store.Write(r.place.Wiring(), w)
}
