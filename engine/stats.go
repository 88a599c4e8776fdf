package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"glassbox/event"
)

// StatsOptions says which containers are measured: those named, else all that run, with All those that do not, too.
type StatsOptions struct {
	Names []string
	All   bool
	Once  bool // one result, after a first interval
}

// The pauses between two measurements. The first is as short as it can be without CPU shares that depend on which moment it was.
const (
	firstInterval = 300 * time.Millisecond
	interval      = time.Second
)

// Stats shows what containers use, first after firstInterval and then each second until ctx ends or show fails. All of them are measured one
// after the other, and again after one pause for all: two hundred take hardly longer than one.
func (c *Containers) Stats(ctx context.Context, o StatsOptions, show func([]Usage) error) error {
	w, err := c.watch(o)
	if err != nil {
		return err
	}
	defer w.close()
	w.measure()
	for pause := firstInterval; ; pause = interval {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if err := w.follow(); err != nil {
			return err
		}
		if err := show(w.measure()); err != nil || o.Once {
			return err
		}
	}
}

// watching is the containers that are measured.
type watching struct {
	c       *Containers
	options StatsOptions
	journal *event.Reader // nil for named ones, which stay
	meters  []*meter
}

// watch listens to the journal before it looks, so that no start is missed between the two.
func (c *Containers) watch(o StatsOptions) (*watching, error) {
	w := &watching{c: c, options: o}
	if len(o.Names) > 0 {
		return w, w.named()
	}
	var err error
	if w.journal, err = journal(c.root).Tail(c.warn); err != nil {
		return nil, err
	}
	all, err := c.everything()
	if err != nil {
		w.close()
		return nil, err
	}
	for _, l := range all {
		if l.now.Running || o.All {
			w.add(l.ID, l.ID)
		}
	}
	return w, nil
}

func (w *watching) named() error {
	var errs []error
	for _, name := range w.options.Names {
		r, err := w.c.load(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		w.add(name, r.ID)
	}
	return errors.Join(errs...)
}

func (w *watching) close() {
	if w.journal != nil {
		w.journal.Close()
	}
}

// add is for a container that a user called name. One that is measured already is not added.
func (w *watching) add(name, id string) {
	if !slices.ContainsFunc(w.meters, func(m *meter) bool { return m.last.Container == name }) {
		w.meters = append(w.meters, &meter{containers: w.c, last: Usage{Container: name, ID: id}})
	}
}

// follow lets containers come and go as Docker does: those that do not run stay with All.
func (w *watching) follow() error {
	if w.journal == nil {
		return nil
	}
	for {
		e, ok, err := w.journal.Next()
		if !ok || err != nil {
			return err
		}
		switch {
		case e.Type != "container":
		case e.Action == "start", e.Action == "create" && w.options.All:
			w.add(e.ID, e.ID)
		case e.Action == "die" && !w.options.All:
			w.meters = slices.DeleteFunc(w.meters, func(m *meter) bool { return m.last.ID == e.ID })
		}
	}
}

func (w *watching) measure() []Usage {
	all := make([]Usage, len(w.meters))
	for i, m := range w.meters {
		all[i] = m.read()
	}
	return all
}
