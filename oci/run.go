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
	NoSubreaper bool
}

// Run creates the container of a bundle and starts it at once. Detached, this process has nothing more to do with it; otherwise it watches it
// to its end.
func (s Store) Run(id string, o RunOptions) (*Session, []program.Account, error) {
	b, err := open(o.Bundle)
	if err != nil {
		return nil, nil, err
	}
	if err := o.check(b.spec.Process, o.Detach); err != nil {
		return nil, nil, err
	}
	if !o.Detach {
		fit(b.spec.Process)
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
		return nil, accountOf(c.process, o.Explain, err), errors.Join(err, c.discard())
	}
	return &Session{process: c.process, pid: c.Pid, pidfd: c.process.Pidfd, adopts: adopts}, accountOf(c.process, o.Explain, nil), nil
}
