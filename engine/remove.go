package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"glassbox/monitor"
	"glassbox/program"
	"glassbox/store"
)

// Remove deletes a container; force kills it first. With volumes its anonymous ones go with it.
func (c *Containers) Remove(ctx context.Context, id string, force, volumes bool) error {
	err := c.remove(ctx, id, force, volumes)
	var damaged *store.Corrupt
	if force && (errors.As(err, &damaged) || Is(err, NotFound)) {
		if c.removeRemains(ctx, id) == nil {
			return nil
		}
	}
	return err
}

func (c *Containers) remove(ctx context.Context, id string, force, volumes bool) error {
	if force {
		if gone, err := c.breakOffFirst(ctx, id); gone || err != nil {
			return err
		}
	}
	r, lock, err := c.locked(ctx, id)
	if err != nil {
		return err
	}
	defer lock.Release()
	s, err := c.state(r)
	if err != nil {
		return err
	}
	relief := &relief{}
	if s.Running {
		if force {
			relief = c.relieve(r)
			defer relief.close()
		}
		if err := c.endForRemoval(ctx, id, r, s, force); err != nil {
			return err
		}
	}
	rest := relief.rest()
	return errors.Join(c.unplugLeaving(r.place, rest, new(program.Ledger)), c.destroy(r, volumes), relief.leave(rest))
}

// breakOffFirst ends a start that somebody steps through. With --rm the container is gone with it.
func (c *Containers) breakOffFirst(ctx context.Context, ref string) (gone bool, err error) {
	id, err := c.find(ref)
	if err != nil {
		return false, err
	}
	place := c.root.Container(id)
	was, err := c.breakOff(ctx, place)
	return was && err == nil && !there(place.Document()), err
}

func (c *Containers) endForRemoval(ctx context.Context, id string, r *record, s state, force bool) error {
	switch {
	case !force && s.Paused:
		return conflict("cannot remove container %q: container is paused and must be unpaused first", id)
	case !force:
		return conflict("cannot remove container %q: container is %s: stop the container before removing or force remove", id, s.word())
	}
	e := &ending{}
	defer e.close()
	if err := c.kill(ctx, r, s, e); err != nil {
		return prefixed("cannot remove container \""+id+"\": could not kill container", err)
	}
	return nil
}

// destroy is erase of a container that users knew.
func (c *Containers) destroy(r *record, anonymous bool) error {
	err := c.erase(r, anonymous)
	if err == nil {
		c.tell(r, "destroy")
	}
	return err
}

// erase deletes everything that a container has; with anonymous also the volumes that nobody named. The caller holds its lock.
func (c *Containers) erase(r *record, anonymous bool) error {
	return errors.Join(c.forsake(r), r.dropSecrets(), c.unplug(r.place), c.surrender(r), c.unmountVolumes(r), r.place.Remove(), c.unclaim(r), c.leave(r, anonymous))
}

// surrender gives back addresses that a start had claimed which was broken off before it noted them down in a wiring.
func (c *Containers) surrender(r *record) error {
	var errs []error
	for name := range r.networks() {
		n, err := c.networks.named(name)
		if n != nil {
			err = c.networks.release(n, r.ID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// unclaim gives the container's name and range of ids back.
func (c *Containers) unclaim(r *record) error {
	var errs []error
	if owner, err := c.root.Names().Owner(r.Name); err == nil && owner == r.ID {
		errs = append(errs, c.root.Names().Release(r.Name))
	}
	if r.Range != "" {
		errs = append(errs, c.root.Ranges().Release(r.Range))
	}
	return errors.Join(errs...)
}

// removeRemains deletes a container whose document is lost. Its monitor, should one live, is asked to end it.
func (c *Containers) removeRemains(ctx context.Context, ref string) error {
	id, err := c.find(ref)
	if err != nil {
		return err
	}
	p := c.root.Container(id)
	lock, err := store.Exclusive(ctx, p.Dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	if client, err := monitor.Dial(p.Run); err == nil {
		if err := endThrough(ctx, client); err != nil {
			return err
		}
	}
	names, err := c.root.Names().All()
	if err != nil {
		return err
	}
	for _, name := range names {
		if owner, err := c.root.Names().Owner(name); err == nil && owner == id {
			if err := c.root.Names().Release(name); err != nil {
				return err
			}
		}
	}
	return errors.Join(c.unplug(p), p.Remove())
}

func endThrough(ctx context.Context, client *monitor.Client) error {
	defer client.Close()
	if err := client.Signal("", sigkill); err != nil {
		return err
	}
	_, err := client.Wait(ctx, "")
	if errors.Is(err, monitor.ErrDead) {
		return nil
	}
	return err
}

// Cleanup is the monitor's last act, or that of the attached client who has taken it over: what has to happen when
// a container ended by itself: it is taken off its networks. A container without --rm stays.
func (c *Containers) Cleanup(id string) error {
	r, lock, err := c.locked(context.Background(), id)
	if err != nil {
		return err
	}
	defer lock.Release()
	client := c.release(r.ID)
	s, err := c.stateBy(client, r)
	var rest *monitor.Rest
	if client != nil {
		rest = &monitor.Rest{}
		defer func() { closeAll(rest.Files) }()
	}
	if err == nil && !s.Running {
		err = errors.Join(c.unplugLeaving(r.place, rest, new(program.Ledger)), c.unmountVolumes(r))
	}
	gone := err == nil && !s.Running && r.passing()
	switch {
	case gone && client == nil:
		return c.destroy(r, true)
	case gone:
		if err = c.forget(r); err == nil {
			c.tell(r, "destroy")
		}
	}
	if client == nil {
		return err
	}
	lock.Release() // the monitor takes it to sweep up
	if err == nil && gone {
		err = client.Sweep(*rest)
	} else if err == nil {
		err = client.Cleaned(*rest)
	}
	if errors.Is(err, monitor.ErrDead) {
		err = nil // what it leaves are remains, which the next command deletes
	}
	return errors.Join(err, client.Close())
}

// stateBy is what the monitor that has left the cleaning up to us says, if there is one: where the disk is full, it alone knows how the container
// ended.
func (c *Containers) stateBy(client *monitor.Client, r *record) (state, error) {
	if client != nil {
		if said, err := client.State(); err == nil {
			s := state{State: said}
			s.Running = s.lives()
			return s, nil
		}
	}
	return c.state(r)
}

// forget makes the container no more: no document, no name, no range of ids. What is left are directories that nobody knows.
func (c *Containers) forget(r *record) error {
	err := os.Remove(r.place.Document())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(c.forsake(r), r.dropSecrets(), err, c.unclaim(r), c.leave(r, true))
}

// promise keeps the connection on which TakeCleanup was said until Cleanup.
func (c *Containers) promise(id string, client *monitor.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.promises == nil {
		c.promises = map[string]*monitor.Client{}
	}
	c.promises[id] = client
}

func (c *Containers) release(id string) *monitor.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.promises[id]
	delete(c.promises, id)
	return client
}

func (c *Containers) promised(client *monitor.Client) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.promises {
		if p == client {
			return true
		}
	}
	return false
}
