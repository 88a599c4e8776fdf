package engine

import (
	"context"
	"errors"

	"glassbox/store"
)

// Builds is what builds keep for later ones, and the places of those going on.
type Builds struct {
	root       store.Root
	containers *Containers
}

// Work is the place of a build going on: a directory on the store's file system, which goes when the build ends, or with the next build should it
// be killed. So do its containers.
type Work struct {
	Dir string

	name   string
	place  store.Build
	lock   *store.Lock
	builds *Builds
}

// Begin begins a build, and removes what killed ones have left.
func (b *Builds) Begin() (*Work, error) {
	place := b.root.Build()
	if err := b.sweep(); err != nil {
		return nil, err
	}
	name, lock, err := place.Begin()
	if err != nil {
		return nil, err
	}
	return &Work{Dir: place.Work(name), name: name, place: place, lock: lock, builds: b}, nil
}

// End ends it.
func (w *Work) End() error {
	err := w.place.End(w.name, w.lock)
	w.lock = nil
	return err
}

// Places are where builds keep their documents.
func (b *Builds) Places() store.Build { return b.root.Build() }

// sweep removes what builds have left that were killed.
func (b *Builds) sweep() error {
	all, err := b.root.Build().Works()
	for _, name := range all {
		_, e := b.sweepOne(name)
		err = errors.Join(err, e)
	}
	return err
}

// sweepOne removes what a build has left, unless it goes on: its containers, whose monitors have ended those that ran, and its directory.
func (b *Builds) sweepOne(name string) (dead bool, err error) {
	place := b.root.Build()
	lock, err := place.Dead(name)
	if lock == nil {
		return false, err
	}
	ids, err := place.Containers(name).All()
	for _, id := range ids {
		r, e := b.containers.read(id)
		if e == nil && r.Build == name {
			e = unlessRemoved(b.containers.Remove(context.Background(), id, true, true))
		}
		if e = gone(e); e != nil {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return true, errors.Join(err, lock.Release())
	}
	return true, place.End(name, lock)
}
