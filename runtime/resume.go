package runtime

import (
	"os"
	"time"

	"glassbox/cgroups"
	"glassbox/program"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Left is a container that another process has created with Options.Listener and Options.Memory, and left.
type Left struct {
	Pid     int
	Group   cgroups.Group
	Memory  *os.File // as that process left it
	Conn    int      // a socket connected to the listener; Resume takes it over
	Explain bool
	Hooks   *Hooks      // that Start runs; nil: none
	State   specs.State // id and bundle, for who listens to the seccomp filter
	Warn    func(error) // as in Options

	// Passing is called when all that is before the process's program has been done; its failure ends the container.
	Passing func() error

	// Recall gives what it was created from. It is asked only when something is to be told: a failure, an account.
	Recall func() (*specs.Spec, *rootfs.Layers, Facts, error)
}

// Resume takes hold of a container that waits to be started: Start starts it.
func (l Left) Resume() (*Container, error) {
	c := &Container{Pid: l.Pid, known: l.State, group: l.Group, hooks: l.Hooks, passing: l.Passing, explain: l.Explain, warn: l.Warn, began: time.Now()}
	var err error
	if c.process, err = program.Resume(l.Memory, l.Conn, l.Pid, func() (program.Program, error) { return c.recall(l) }); err != nil {
		return nil, err
	}
	c.Pidfd = c.process.Pidfd
	if err := c.process.Reach(gateStart); err != nil {
		return nil, c.abandon(err)
	}
	if l.Explain {
		return c, c.process.Recall()
	}
	return c, nil
}

// recall compiles the plan again: the same facts and the same config.json give the same plan.
func (c *Container) recall(l Left) (program.Program, error) {
	spec, layers, facts, err := l.Recall()
	if err != nil {
		return nil, err
	}
	if c.plan, err = Compile(spec, layers, facts); err != nil {
		return nil, err
	}
	c.rules = c.plan.Rules
	c.spec, c.facts, c.resumed = spec, facts, true
	return program.Whole(c.plan.Phases), nil
}
