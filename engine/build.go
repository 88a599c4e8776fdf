package engine

import "glassbox/store"

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
	if err := place.Sweep(); err != nil {
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
