package engine

import (
	"errors"
	"io/fs"
	"os"

	"glassbox/monitor"
	"glassbox/store"
)

// Halted is a start that somebody steps through: the container is half made, and its process waits.
type Halted struct {
	Pid      int    // the container's process on the host; 0: there is none yet
	PidStart uint64 // when that began, proc_pid_stat(5), field 22
	Stepper  int    // the process that asks
	Phase    string // of the plan
	Number   int    // of the step that comes next, as a plan counts, from 1; 0: it is the host's request
	Call     string // what comes next
	Why      string
}

// Halted tells where a start waits; nil where none does.
func (c *Containers) Halted(id string) (*Halted, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	var h Halted
	err = store.Read(r.place.Step(), &h)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if _, err := monitor.Identify(h.Stepper); err != nil {
		return nil, nil // it was killed; the container's process ends with its monitor
	}
	return &h, nil
}

// note writes down where a start waits, for view.
func (r *record) note(h Halted) error { return store.Write(r.place.Step(), h) }

// unnote: it waits no more.
func (r *record) unnote() error {
	err := os.Remove(r.place.Step())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
