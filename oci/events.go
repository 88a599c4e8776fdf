package oci

import (
	"errors"
	"fmt"
	"time"
)

// Event is what `events` prints of a container: type "stats" with data, or "oom".
type Event struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data any    `json:"data,omitempty"`
}

// errNoGroup: without a group (--rootless) nothing counts, limits or freezes the container.
var errNoGroup = errors.New("the container is in no cgroup")

// Measured is the event that holds what the container has used until now.
func (c *Container) Measured() (Event, error) {
	if c.Status() == Stopped {
		return Event{}, fmt.Errorf("container with id %s is not running", c.ID)
	}
	if c.Group == "" {
		return Event{}, errNoGroup
	}
	stats, err := c.Stats()
	return Event{Type: "stats", ID: c.ID, Data: stats}, err
}

// Follow tells what the container uses, once in each interval, and of processes that are killed for want of memory as it happens,
// until the container has ended.
func (c *Container) Follow(interval time.Duration, tell func(Event) error) error {
	if interval <= 0 {
		return errors.New("duration interval must be greater than 0")
	}
	if c.Status() == Stopped {
		return fmt.Errorf("container with id %s is not running", c.ID)
	}
	if c.Group == "" {
		return errNoGroup
	}
	group := c.Cgroup()
	watch, err := group.Watch()
	if err != nil {
		return err
	}
	defer watch.Close()
	killed, _ := group.OOMKills()
	for next := time.Now().Add(interval); group.Populated(); {
		if err := watch.Wait(time.Until(next)); err != nil {
			return err
		}
		now, _ := group.OOMKills()
		for ; killed < now; killed++ {
			if err := tell(Event{Type: "oom", ID: c.ID}); err != nil {
				return err
			}
		}
		if time.Now().Before(next) || !group.Populated() {
			continue
		}
		next = next.Add(interval)
		stats, err := c.Stats()
		if err != nil {
			return err
		}
		if err := tell(Event{Type: "stats", ID: c.ID, Data: stats}); err != nil {
			return err
		}
	}
	return nil
}
