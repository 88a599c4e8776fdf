package engine

import (
	"glassbox/attendant"
	"glassbox/network"
)

// attended: the container needs an attendant.
func (w *wiring) attended() bool { return len(w.Bound) > 0 || w.Resolver }

// revive starts another attendant for a running container whose own was killed, unless somebody is at work on the container: then it is
// about to have another one, or none. Whoever looks at containers does it.
func (c *Containers) revive(r *record, w *wiring) {
	if !w.attended() {
		return
	}
	if running, err := attendant.Running(r.place.Run); running || err != nil {
		return
	}
	lock, err := atOnce(r.place)
	if err != nil {
		return
	}
	defer lock.Release()
	if err := c.attendOnceMore(r); err != nil {
		c.warn("the process that answers names and holds the ports of container " + r.Name + " was killed, and cannot be replaced: " + err.Error())
	}
}

func (c *Containers) attendOnceMore(r *record) error {
	w, err := liveAt(r.place)
	if err != nil || w == nil || !w.inhabited() {
		return err
	}
	if running, err := attendant.Running(r.place.Run); running || err != nil {
		return err
	}
	p := &plugging{c: c, r: r, w: w}
	defer p.settle()
	if err := p.bindAgain(); err != nil {
		return err
	}
	if p.ns, err = network.Open(w.Pid); err != nil {
		return err
	}
	if err := p.attend(); err != nil {
		return err
	}
	return p.serves()
}
