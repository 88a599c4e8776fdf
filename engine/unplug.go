package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"glassbox/attendant"
	"glassbox/firewall"
	"glassbox/monitor"
	"glassbox/network"
	"glassbox/program"
	"glassbox/store"
)

// unplug takes a container that does not run off its networks: its names first, then its ports, so that both are free when the
// rest is done. What is gone already is not missed. The caller holds the container's lock.
func (c *Containers) unplug(p store.Place) error { return c.unplugLeaving(p, nil, new(program.Ledger)) }

// unplugLeaving is unplug for a caller in a hurry: what the kernel takes its time over is noted in rest.
func (c *Containers) unplugLeaving(p store.Place, rest *monitor.Rest, l *program.Ledger) error {
	w, err := wiringAt(p)
	if w == nil {
		return err
	}
	var networks []*networkRecord
	for _, e := range w.Endpoints {
		n, err := c.networks.read(e.Network)
		if errors.Is(err, fs.ErrNotExist) {
			n, err = nil, nil // removed, by force or by hand
		}
		if err != nil {
			return err
		}
		networks = append(networks, n)
	}
	var errs []error
	for _, n := range networks {
		errs = append(errs, silence(n, p.ID))
	}
	errs = append(errs, dismiss(p, l), c.unfence(w, rest, l))
	for i := range w.Endpoints {
		errs = append(errs, c.detach(networks[i], p.ID, &w.Endpoints[i], rest, l))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return gone(os.Remove(p.Wiring()))
}

// dismiss ends the attendant, if there is one.
func dismiss(p store.Place, l *program.Ledger) error {
	running, err := attendant.Running(p.Run)
	if err != nil || !running {
		return err
	}
	return l.Carry(program.Request{
		Call: "pidfd_send_signal(<attendant>, SIGTERM, NULL, 0)", From: "stop", Why: "end the process that answered names and held the published ports",
		Do: func() error { return attendant.Stop(p.Run) },
	})
}

// silence takes the container's names off the network.
func silence(n *networkRecord, id string) error {
	if n == nil {
		return nil
	}
	return gone(os.Remove(announcement(n, id)))
}

// gone: what is not there need not be removed.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// unfence takes members and ports out of the firewall's table. Where that is missing, so are they.
func (c *Containers) unfence(w *wiring, rest *monitor.Rest, l *program.Ledger) error {
	var b firewall.Batch
	if rest != nil {
		b.Keep = func(socket *os.File) { rest.Files = append(rest.Files, socket) }
	}
	for _, port := range w.ports() {
		b.Withdraw(port)
	}
	for _, m := range w.members() {
		b.RemoveMember(m)
	}
	if b.Empty() {
		return nil
	}
	err := l.Carry(b.Request("", "the container is gone"))
	if errors.Is(err, firewall.ErrNoTable) {
		return nil
	}
	return err
}

// detach removes the host's end of an interface and gives its addresses back. The kernel would remove it with the namespace, but late
// under load, and not at all while something else holds that.
func (c *Containers) detach(n *networkRecord, id string, e *endpoint, rest *monitor.Rest, l *program.Ledger) error {
	switch {
	case e.Interface.Kind != network.KindBridge:
	case rest != nil:
		rest.Links = append(rest.Links, e.Interface.Host)
	default:
		if err := removeLink(e.Interface.Host, l); err != nil {
			return err // the address is not free as long as somebody may answer to it
		}
	}
	if n == nil {
		return nil
	}
	return c.networks.release(n, id, e.Interface.Addresses...)
}

// removeLink removes an interface of ours from the host, if it is there.
func removeLink(name string, l *program.Ledger) error {
	requests, err := network.Leftover(name)
	if err != nil {
		return err
	}
	return l.Carry(requests...)
}

// tidy unplugs a container whose process has ended, unless somebody holds its lock: they do it, or it starts again.
func (c *Containers) tidy(id string) {
	place := c.root.Container(id)
	lock, err := atOnce(place)
	if errors.Is(err, fs.ErrNotExist) { // its record is gone: nobody else will
		err = c.unplug(place)
	} else if err == nil {
		defer lock.Release()
		if w, _ := wiringAt(place); w == nil || w.alive() {
			return
		}
		err = c.unplug(place)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		c.warn("unplugging the ended container " + id[:12] + ": " + err.Error())
	}
}

// atOnce takes a container's lock if nobody has it, else the error is context.Canceled.
func atOnce(p store.Place) (*store.Lock, error) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	return store.Exclusive(now, p.Dir)
}

// relief is a connection to a monitor whose cleanup is ours.
type relief struct{ client *monitor.Client }

// relieve takes the cleanup over from the monitor of a container that is about to be ended, so that it need not start a command for what is
// done here anyway. Where that command does more, it is left to it. Should we be killed, the monitor has it run after all.
func (c *Containers) relieve(r *record) *relief {
	if r.passing() || r.mountsVolumes() || !r.plugs() {
		return &relief{}
	}
	client, err := dial(r)
	if err != nil {
		return &relief{}
	}
	if err := client.TakeCleanup(); err != nil {
		client.Close()
		return &relief{}
	}
	return &relief{client}
}

func (r *relief) close() {
	if r.client != nil {
		r.client.Close()
	}
}

// rest is what can be left to the monitor; nil where there is none.
func (r *relief) rest() *monitor.Rest {
	if r.client == nil {
		return nil
	}
	return &monitor.Rest{}
}

// leave tells the monitor that all but the rest is done.
func (r *relief) leave(rest *monitor.Rest) error {
	if r.client == nil {
		return nil
	}
	defer closeAll(rest.Files)
	if err := r.client.Cleaned(*rest); !errors.Is(err, monitor.ErrDead) {
		return err
	}
	for _, name := range rest.Links {
		if err := removeLink(name, new(program.Ledger)); err != nil {
			return err
		}
	}
	return nil
}

// ended unplugs a container that was just seen to end. Whoever else is at it is waited for.
func (c *Containers) ended(ctx context.Context, r *record, relief *relief, e *ending) error {
	if _, err := os.Lstat(r.place.Wiring()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock, err := store.Exclusive(ctx, r.place.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed, by --rm
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if w, err := wiringAt(r.place); w == nil || w.alive() { // started again
		return err
	}
	rest := relief.rest()
	why := "The container is taken off its networks: its names first, then its ports and addresses."
	if relief.client != nil {
		why += " Its interface is deleted by its monitor, for which nobody has to wait."
	}
	e.in(phaseUnplug, why)
	return errors.Join(c.unplugLeaving(r.place, rest, e.last()), relief.leave(rest))
}
