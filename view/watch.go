package view

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"glassbox/engine"
)

// pause is between two looks.
const pause = 500 * time.Millisecond

// Watch looks twice a second and shows what it sees, until ctx is done or the container has ended, which it returns as *Gone. A container that is
// not there yet is shown as *Gone, too, and waited for. look takes a sight.
func Watch(ctx context.Context, look func() (*engine.Sight, error), show func(*View, *Gone) error) error {
	var before *View
	for {
		s, err := look()
		if err != nil {
			return err
		}
		v, err := Look(s, before)
		var gone *Gone
		if errors.As(err, &gone) {
			if !gone.Later {
				return err
			}
			err = nil
		}
		if err == nil {
			err = show(v, gone)
		}
		if err != nil {
			return err
		}
		before = v
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Steady is the view without what changes all the time though nobody changes it: what is used, clocks, whether a process runs at this moment. Two
// views with the same Steady show the same container.
func (v *View) Steady() string {
	c := *v
	c.Processes = slices.Clone(v.Processes)
	for i := range c.Processes {
		if p := &c.Processes[i]; strings.Contains("RSDI", p.State) {
			p.State = "S"
		}
	}
	c.Cgroup.Limits = slices.Clone(v.Cgroup.Limits)
	for i := range c.Cgroup.Limits {
		c.Cgroup.Limits[i].Used = ""
	}
	c.Resources = slices.DeleteFunc(slices.Clone(v.Resources), func(r Resource) bool { return r.What == "load" })
	c.OOMScore, c.Clocks, c.Started = Value{}, nil, time.Time{}
	text, err := json.Marshal(c)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
