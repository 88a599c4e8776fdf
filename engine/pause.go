package engine

import (
	"context"
	"errors"
	"fmt"
)

// Pause freezes every process of a container where it stands.
func (c *Containers) Pause(id string) error {
	r, lock, err := c.locked(context.Background(), id)
	if err != nil {
		return err
	}
	defer lock.Release()
	s, err := c.state(r)
	switch {
	case err != nil:
		return err
	case !s.Running:
		return notRunning(r.ID)
	case s.Paused:
		return conflict("Container %s is already paused", r.ID)
	case s.Restarting:
		return restarting(r.ID)
	}
	g, err := c.groupOf(r)
	if err == nil {
		err = g.Freeze(true)
	}
	if err != nil {
		return fmt.Errorf("cannot pause container %s: %w", r.ID, err)
	}
	c.heed(r)
	c.tell(r, "pause")
	return nil
}

// Unpause lets them go on.
func (c *Containers) Unpause(id string) error {
	r, lock, err := c.locked(context.Background(), id)
	if err != nil {
		return err
	}
	defer lock.Release()
	s, err := c.state(r)
	switch {
	case err != nil:
		return err
	case !s.Paused:
		return &Error{Text: "Container " + r.ID + " is not paused"}
	}
	g, err := c.groupOf(r)
	if err == nil {
		err = g.Freeze(false)
	}
	if err != nil {
		return fmt.Errorf("Cannot unpause container %s: %w", r.ID, err)
	}
	c.heed(r)
	c.tell(r, "unpause")
	return nil
}

// Rename gives a container another name.
func (c *Containers) Rename(id, name string) error {
	if id == "" || name == "" {
		return invalid("Neither old nor new names may be empty")
	}
	r, lock, err := c.locked(context.Background(), id)
	if err != nil {
		return err
	}
	defer lock.Release()
	old := r.Name
	if "/"+old == name || old == name {
		return invalid("Renaming a container with the same name as its current name")
	}
	if r.Name, err = c.claimName(name, r.ID); err != nil {
		return prefixed("Error when allocating new name", err)
	}
	if err := r.save(); err != nil {
		c.root.Names().Release(r.Name) // a claim that stays is stale: the document has the old name
		return err
	}
	err = errors.Join(c.root.Names().Release(old), c.renameOnNetworks(r))
	if s, e := c.state(r); e == nil && s.Running {
		err = errors.Join(err, r.rebrief())
	}
	if err == nil {
		c.tell(r, "rename", "oldName", "/"+old)
	}
	return err
}
