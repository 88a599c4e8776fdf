package engine

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"glassbox/event"
	"glassbox/monitor"
	"glassbox/store"
)

// Evidence is all that is recorded of a container's life, for who wants to know why it is as it is. What is recorded where is part of it.
type Evidence struct {
	ID, Name string
	Gone     bool // it was removed: there are its events, and nothing else

	Program string // PID 1's, as it was asked for
	Args    []string
	Path    []string // the directories in which a program without a slash is looked for
	Init    bool     // --init stands before it
	Passing bool     // --rm
	Memory  int64    // the limit asked for; 0: none
	Policy  monitor.Restart
	Stopped bool // a user has sent it a signal since it was started
	Health  []string
	Checks  monitor.HealthState

	State                        monitor.State
	Running, Paused, Restarting  bool
	Group                        string // its cgroup on the host; empty: there is none now
	StateFile, Journal, Document string // where that stands
	Halted                       *Halted
	Events                       []event.Event // the container's, oldest first

	Zombies  []Zombies // of a running container
	Pids     string    // whose PID namespace it is in: "" its own, "host", or the name of another container
	PidsOver time.Time // when that container's first process has ended; zero: it has not

	record *record
}

// Evidence collects what is known of a container. Of one that was removed the journal still tells.
func (c *Containers) Evidence(ref string) (*Evidence, error) {
	r, err := c.load(ref)
	if Is(err, NotFound) {
		return c.gone(ref, err)
	}
	if err != nil {
		return nil, err
	}
	e := &Evidence{
		ID: r.ID, Name: r.Name, Program: r.Path, Args: r.Args, Init: r.Init != "", Passing: r.passing(), Memory: r.HostConfig.Memory,
		Policy: r.restart(), Stopped: r.stopped(), Health: r.healthCommand(), Path: searched(environment(r, r.Config.Tty)),
		StateFile: r.place.State(), Journal: c.root.Events(), Document: r.place.Document(), record: r,
	}
	s, err := c.state(r)
	if err != nil {
		return nil, err
	}
	e.State, e.Running, e.Paused, e.Restarting = s.State, s.Running, s.Paused, s.Restarting
	if g, err := c.groupOf(r); err == nil && g.Exists() {
		e.Group = g.Path
	}
	if err := store.Read(r.place.Health(), &e.Checks); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.warn(err.Error())
	}
	if e.Zombies, err = c.Zombies(r.ID); err != nil {
		c.warn(err.Error()) // its processes could not be listed; all else is known
	}
	c.shares(e, r)
	if e.Halted, err = c.Halted(r.ID); err != nil && !Is(err, NotFound) {
		return nil, err
	}
	e.Events, err = c.eventsOf(func(id, _ string) bool { return id == r.ID })
	return e, err
}

// shares tells of a PID namespace that is another's: with its first process everybody in it ends.
func (c *Containers) shares(e *Evidence, r *record) {
	switch mode := r.HostConfig.PidMode; {
	case mode.IsHost():
		e.Pids = "host"
	case mode.Container() != "":
		e.Pids = mode.Container()
		if other, err := c.load(e.Pids); err == nil {
			e.Pids = other.Name
			if s, err := c.state(other); err == nil && !s.Running {
				e.PidsOver = s.FinishedAt
			}
		}
	}
}

// gone finds a container that was removed in the journal, by its id, the beginning of that, or its name. Of several of that name it is the last.
func (c *Containers) gone(ref string, missing error) (*Evidence, error) {
	id, name := "", ""
	all, err := c.eventsOf(func(its, called string) bool {
		is := called == strings.TrimPrefix(ref, "/") || len(ref) >= 4 && strings.HasPrefix(its, ref)
		if is {
			id, name = its, called
		}
		return is
	})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(e event.Event) bool { return e.ID != id })
	if !slices.ContainsFunc(all, func(e event.Event) bool { return e.Action == "destroy" }) {
		return nil, missing
	}
	return &Evidence{ID: id, Name: name, Gone: true, Journal: c.root.Events(), Events: all}, nil
}

// eventsOf are the journal's lines of containers that are wanted.
func (c *Containers) eventsOf(wanted func(id, name string) bool) ([]event.Event, error) {
	r, err := journal(c.root).Read(func(string) {}) // damage is for `events` to tell
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var all []event.Event
	for {
		e, more, err := r.Next()
		if err != nil || !more {
			return all, err
		}
		if e.Type == "container" && wanted(e.ID, e.Attributes["name"]) {
			all = append(all, e)
		}
	}
}

// searched are PATH's directories.
func searched(env []string) []string {
	for _, e := range env {
		if dirs, is := strings.CutPrefix(e, "PATH="); is {
			return strings.Split(dirs, ":")
		}
	}
	return nil
}

// Life are the events of the container's last life, from the last start on; of one that never started, all.
func (e *Evidence) Life() []event.Event {
	for i, one := range slices.Backward(e.Events) {
		if one.Action == "start" {
			return e.Events[i:]
		}
	}
	return e.Events
}

// Open opens a regular file as the container sees it: with all that is mounted if it runs, else in its layers alone.
func (e *Evidence) Open(name string) (*os.File, error) {
	if e.Running && e.State.Pid != 0 {
		return live{e.State.Pid}.open(name)
	}
	if e.record == nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return e.record.tree().open(name)
}

// LastWords are the end of what it has written, from its log.
func (e *Evidence) LastWords() string {
	if e.record == nil {
		return ""
	}
	text, _ := e.record.lastWords()
	return text
}

// Ran is how long its last life took.
func (e *Evidence) Ran() time.Duration { return e.State.FinishedAt.Sub(e.State.StartedAt) }
