package oci

import (
	"errors"

	"glassbox/program"
	"glassbox/runtime"
)

// RunOptions is what run is told beside what create is.
type RunOptions struct {
	Options
	Detach      bool
	Keep        bool // the container is not removed at its end
	NoSubreaper bool
}

// Attached is a container that this process runs.
type Attached struct {
	Session
	store Store
	id    string
	keep  bool
}

// Run creates the container of a bundle and starts it at once. Detached, this process has nothing more to do with it; otherwise it watches it
// to its end, and calls Close.
func (s Store) Run(id string, o RunOptions) (*Attached, []program.Account, error) {
	b, err := open(o.Bundle)
	if err != nil {
		return nil, nil, err
	}
	if err := o.check(b.spec.Process, o.Detach); err != nil {
		return nil, nil, err
	}
	c, err := s.begin(id, b, o.Options)
	if err != nil {
		return nil, nil, err
	}
	defer c.lock.Release()
	adopts := c.Shares && !o.Detach && !o.NoSubreaper
	if adopts {
		err = adoptOrphans()
	}
	if err == nil {
		err = c.bear(nil, nil)
	}
	if err == nil {
		err = runtime.WhyNotRun(b.spec.Process, c.process.Start())
	}
	if err != nil {
		return nil, accountOf(c.process, err), errors.Join(err, c.discard())
	}
	session := Session{process: c.process, pid: c.Pid, pidfd: c.process.Pidfd, adopts: adopts}
	return &Attached{Session: session, store: s, id: id, keep: o.Keep}, accountOf(c.process, nil), nil
}

// Close removes the container that has ended, unless it is to be kept or somebody has removed it already.
func (r *Attached) Close() error {
	if r.keep {
		return nil
	}
	return r.store.Delete(r.id, true)
}
