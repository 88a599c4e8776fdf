package engine

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"

	"glassbox/firewall"
	"glassbox/network"
	"glassbox/program"
	"glassbox/store"
)

// raise carries out what plugging a container in needs of the network: its bridge, forwarding, its parent, the firewall's table
// and the network's elements in it. None of it is taken back with the ledger: others may use it by then.
func (n *Networks) raise(r *networkRecord, l *program.Ledger) error {
	was := r.raised()
	requests, err := n.lacks(r)
	if err != nil || len(requests) == 0 && was {
		return err
	}
	if l.Step != nil {
		if err = n.raiseAsked(r, l); err == nil && was {
			err = n.rejoin(r, l)
		}
	} else {
		err = n.undisturbed(func() error { return n.raiseAtOnce(r, l, was) })
	}
	if err != nil || r.Driver == driverBridge { // which is marked with the firewall's request
		return err
	}
	return r.mark()
}

// raiseAtOnce makes what is missing, under the lock: somebody else may have been quicker.
func (n *Networks) raiseAtOnce(r *networkRecord, l *program.Ledger, was bool) error {
	requests, err := n.lacks(r)
	if err != nil {
		return err
	}
	for i := range requests {
		requests[i].Undo = nil
	}
	if err := l.Carry(requests...); err != nil || !was {
		return err
	}
	return n.rejoin(r, l)
}

// raiseAsked is raiseAtOnce for somebody who is asked before each request. The network is others' too, who shall not wait until a person has
// answered: the lock is taken for one request at a time. Those for interfaces do no harm if others have made them meanwhile; the firewall's table is
// looked at again, since it holds what is others'.
func (n *Networks) raiseAsked(r *networkRecord, l *program.Ledger) error {
	requests, err := n.lacksWay(r)
	for i, q := range requests {
		requests[i].Undo, requests[i].Do = nil, func() error { return n.undisturbed(q.Do) }
	}
	if err == nil {
		err = l.Carry(requests...)
	}
	for asked := ""; err == nil; {
		wall, failed := n.lacksWall(r)
		if failed != nil || len(wall) == 0 || wall[0].Call == asked {
			return failed
		}
		asked = wall[0].Call
		wall[0].Do = func() error { return n.undisturbed(func() error { return n.fenceAs(r, asked) }) }
		err = l.Carry(wall...)
	}
	return err
}

// undisturbed does something to networks while nobody else does.
func (n *Networks) undisturbed(do func() error) error {
	lock, err := n.alone(n.root.LockBridges)
	if err != nil {
		return err
	}
	defer lock.Release()
	return do()
}

// fenceAs gives the firewall what it lacks, if that is still what was asked about.
func (n *Networks) fenceAs(r *networkRecord, asked string) error {
	wall, err := n.lacksWall(r)
	if err == nil && len(wall) > 0 && wall[0].Call == asked {
		return wall[0].Do()
	}
	return cmp.Or(err, error(program.NotMade("not made: others have changed what is missing")))
}

// rejoin puts the containers that are on the network into its bridge, which may have been deleted by hand and made again.
func (n *Networks) rejoin(r *networkRecord, l *program.Ledger) error {
	if r.Driver != driverBridge {
		return nil
	}
	running, err := n.containers.wirings()
	for _, w := range running {
		if e := w.endpoint(r.ID); e != nil {
			requests, lost := e.Interface.Rejoin()
			err = errors.Join(err, lost, l.Carry(requests...))
		}
	}
	return err
}

func (n *Networks) alone(lock func(context.Context) (*store.Lock, error)) (*store.Lock, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockWait)
	defer cancel()
	return lock(ctx)
}

// raised: the firewall knows the network, unless its table went.
func (r *networkRecord) raised() bool {
	_, err := os.Lstat(r.place.Raised())
	return err == nil
}

func (r *networkRecord) mark() error {
	if r.raised() {
		return nil
	}
	if err := os.MkdirAll(r.zone(), 0o711); err != nil {
		return err
	}
	return os.WriteFile(r.place.Raised(), nil, 0o600)
}

// lacks are the requests that raise carries out; none when all is there.
func (n *Networks) lacks(r *networkRecord) ([]program.Request, error) {
	requests, err := n.lacksWay(r)
	if err != nil {
		return nil, err
	}
	fence, err := n.lacksWall(r)
	return append(requests, fence...), err
}

// lacksWay are the requests for the network's own interfaces, and for the way from them to others.
func (n *Networks) lacksWay(r *networkRecord) ([]program.Request, error) {
	requests, err := n.lacksLinks(r)
	if err != nil || r.Driver != driverBridge || r.Internal {
		return requests, err
	}
	forward, err := n.forward(r)
	return append(requests, forward...), err
}

// lacksLinks are the requests for the network's own interfaces.
func (n *Networks) lacksLinks(r *networkRecord) ([]program.Request, error) {
	switch r.Driver {
	case driverBridge:
		return r.bridge().Raise()
	case driverMacvlan, driverIPvlan:
		requests, _, err := network.Parent(r.Parent, r.Options[optParent] == "")
		return requests, err
	}
	return nil, nil
}

// forward switches routing between interfaces on, where it is off, and says so: it is the host's business too.
func (n *Networks) forward(r *networkRecord) ([]program.Request, error) {
	requests, err := network.Forwarding(r.EnableIPv6)
	for i := range requests {
		_, setting, ok := strings.Cut(requests[i].Call, "sysctl -w ")
		if !ok || !strings.Contains(setting, "forward") {
			continue
		}
		told(&requests[i], func() {
			n.warn("this host did not forward packets and does now (" + setting + "): the containers of network " + r.Name + " reach other networks through it")
		})
	}
	return requests, err
}

// told has say called once the request has succeeded.
func told(r *program.Request, say func()) {
	do := r.Do
	r.Do = func() error {
		err := do()
		if err == nil {
			say()
		}
		return err
	}
}

// lacksWall is what the firewall does not know: nothing at all, or this network.
func (n *Networks) lacksWall(r *networkRecord) ([]program.Request, error) {
	if r.Driver != driverBridge {
		return nil, nil
	}
	there, err := firewall.Present()
	if err != nil {
		return nil, err
	}
	if !there {
		all, err := n.desired()
		if err != nil {
			return nil, err
		}
		if !r.raised() {
			all.Networks = append(all.Networks, r.wall())
		}
		return r.marking(firewall.Rebuild(all)), nil
	}
	if r.raised() {
		return nil, nil
	}
	var b firewall.Batch
	b.AddNetwork(r.wall())
	return r.marking(b.Request("network "+r.Name, "the firewall learns which bridge the network has and who may pass")), nil
}

// marking is a request by which the firewall learns of the network, and which notes that it has: whoever rebuilds the table next needs to know.
func (r *networkRecord) marking(q program.Request) []program.Request {
	do := q.Do
	q.Do = func() error {
		if err := do(); err != nil {
			return err
		}
		return r.mark()
	}
	return []program.Request{q}
}

// desired is all that the firewall shall hold: every network that was raised since the machine was started, and what the wirings of
// running containers say.
func (n *Networks) desired() (firewall.Desired, error) {
	var d firewall.Desired
	all, err := n.all()
	if err != nil {
		return d, err
	}
	for _, r := range all {
		if r.Driver == driverBridge && r.raised() {
			d.Networks = append(d.Networks, r.wall())
		}
	}
	running, err := n.containers.wirings()
	for _, w := range running {
		d.Members = append(d.Members, w.members()...)
		d.Ports = append(d.Ports, w.ports()...)
	}
	return d, err
}

// lower takes away what the kernel has of the network, and what its run directory says about it.
func (n *Networks) lower(r *networkRecord) error {
	lock, err := n.alone(n.root.LockBridges)
	if err != nil {
		return err
	}
	defer lock.Release()
	return errors.Join(n.unfence(r), n.removeLinks(r), gone(os.Remove(r.place.Raised())))
}

func (n *Networks) removeLinks(r *networkRecord) error {
	var requests []program.Request
	var err error
	switch {
	case r.Bridge != "" && !r.Found:
		requests, err = r.bridge().Lower()
	case r.Parent != "" && r.ParentMade:
		requests, err = n.removeParent(r)
	}
	if err != nil {
		return err
	}
	return new(program.Ledger).Carry(requests...)
}

// removeParent takes the parent that we made, when no other network sits on it.
func (n *Networks) removeParent(r *networkRecord) ([]program.Request, error) {
	all, err := n.all()
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if o.ID != r.ID && o.Parent == r.Parent {
			return nil, nil
		}
	}
	return network.Leftover(r.Parent)
}

// unfence takes the network out of the firewall's table, and the table away with the last network.
func (n *Networks) unfence(r *networkRecord) error {
	if r.Driver != driverBridge {
		return nil
	}
	there, err := firewall.Present()
	if err != nil || !there {
		return err
	}
	last, err := n.last(r)
	if err != nil {
		return err
	}
	request := firewall.Remove()
	if !last {
		var b firewall.Batch
		b.RemoveNetwork(r.wall())
		request = b.Request("network "+r.Name, "the firewall forgets the network")
	}
	if err := new(program.Ledger).Carry(request); !errors.Is(err, firewall.ErrNoTable) {
		return err
	}
	return nil
}

// last: no other network has a bridge that the firewall knows.
func (n *Networks) last(r *networkRecord) (bool, error) {
	all, err := n.all()
	for _, o := range all {
		if o.ID != r.ID && o.Driver == driverBridge && o.raised() {
			return false, err
		}
	}
	return true, err
}
