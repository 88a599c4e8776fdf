package engine

import (
	"errors"
	"io/fs"
	"time"

	"glassbox/attendant"
	"glassbox/cgroups"
	"glassbox/monitor"
	"glassbox/network"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Sight is what is needed to look at a container in the kernel: which process to look at, and what was asked for.
type Sight struct {
	ID, Name  string
	Status    string              // created, running, paused, restarting, exited
	Sentence  string              // the same as ps has it: "Exited (137) 3 minutes ago"
	Pid       int                 // the container's first process on the host; 0: there is none
	PidStart  uint64              // when that began, proc_pid_stat(5), field 22
	Spec      *specs.Spec         // the config.json of its last start; nil: it was not started since the machine was
	Facts     cgroups.Facts       // what this host's cgroup v2 offers
	Group     cgroups.Group       // the container's own
	Settings  []cgroups.Setting   // of the group's files, that were asked for
	Plugged   []network.Interface // what its networks gave it
	Published []Published         // ports of the host that lead into its network namespace
	Names     *attendant.Names    // what the resolver beside it was told; nil: there is none
	SharedNet string              // the container whose network namespace it shares; empty: none's
	Halted    *Halted             // where its start waits, if somebody steps through it
}

// Sight takes one. It never waits for the container's lock, which a command holds that steps through a start.
func (c *Containers) Sight(id string) (*Sight, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	s, err := c.state(r)
	if err != nil {
		return nil, err
	}
	out := &Sight{ID: r.ID, Name: r.Name, Status: string(s.word()), Sentence: s.sentence(time.Now()), Pid: s.Pid, PidStart: s.PidStart}
	if out.Halted, err = c.Halted(r.ID); err != nil {
		return nil, err
	}
	switch {
	case out.Halted != nil:
		out.Pid, out.PidStart = out.Halted.Pid, out.Halted.PidStart
	case !s.Running && !(monitor.State{Pid: s.Pid, PidStart: s.PidStart, BootID: s.BootID}).Alive():
		out.Pid, out.PidStart = 0, 0
	}
	if err := out.asked(r); err != nil {
		return nil, err
	}
	if out.Group, err = c.groupOf(r); err != nil {
		return nil, err
	}
	return out, c.wiredAs(r, out)
}

// asked reads what was asked for. A spec whose limits this host cannot set never got as far as a process.
func (s *Sight) asked(r *record) error {
	var spec specs.Spec
	err := store.Read(r.place.Spec(), &spec)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if spec.Linux == nil || spec.Process == nil || spec.Root == nil {
		return errors.New(r.place.Spec() + " is not the config.json of a container of glassbox")
	}
	s.Spec = &spec
	if s.Facts, err = cgroups.Observe(spec.Linux.Resources); err != nil {
		return err
	}
	if s.Settings, err = cgroups.Settings(spec.Linux.Resources, s.Facts); errors.As(err, new(*cgroups.LimitError)) {
		return nil
	}
	return err
}

// wiredAs reads what the container's networks gave it, or the container that it shares a namespace with.
func (c *Containers) wiredAs(r *record, s *Sight) error {
	place := r.place
	if id := r.HostConfig.NetworkMode.ConnectedContainer(); id != "" {
		other, err := c.load(id)
		if Is(err, NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		place, s.SharedNet = other.place, other.Name
	}
	w, err := wiringAt(place)
	if err != nil || w == nil {
		return err
	}
	for _, e := range w.Endpoints {
		s.Plugged = append(s.Plugged, e.Interface)
	}
	for _, b := range w.Bound {
		s.Published = append(s.Published, b.published())
	}
	if told, err := attendant.Read(place.Run); err == nil && w.Resolver {
		s.Names = told.Names
	}
	return nil
}
