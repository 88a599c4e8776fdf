package engine

import (
	"context"
	"os"
	"slices"

	"glassbox/monitor"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Stepper is asked before each request of a start, an exec or a stop whether to go on: see Containers.Step.
type Stepper = monitor.Asker

// asker answers the stops of a start: what waits is noted for view, then the user is asked. The monitor knows all phases but the network's,
// which is ours and comes when the file tree is made.
type asker struct {
	c      *Containers
	r      *record
	ctx    context.Context
	phases []string
	steps  int
}

// newAsker is nil where nobody steps.
func (c *Containers) newAsker(ctx context.Context, r *record) *asker {
	if c.Step == nil {
		return nil
	}
	return &asker{c: c, r: r, ctx: ctx}
}

// monitored answers for the monitor.
func (a *asker) monitored(ctx context.Context, s program.Stop) (program.Answer, error) {
	if a.r.plugs() {
		s.Phases = slices.Clone(s.Phases)
		if at := slices.Index(s.Phases, "start"); at >= 0 {
			s.Phases = slices.Insert(s.Phases, at, phaseNetwork)
		}
	}
	a.phases, a.steps = s.Phases, s.Steps
	return a.answer(ctx, s)
}

// plugged answers for the network's requests, which the engine makes.
func (a *asker) plugged(s program.Stop) (program.Answer, error) {
	s.Phases, s.Steps = a.phases, a.steps
	return a.answer(a.ctx, s)
}

func (a *asker) answer(ctx context.Context, s program.Stop) (program.Answer, error) {
	if err := a.r.note(s); err != nil {
		return program.Go, err
	}
	return a.c.Step(ctx, s)
}

// done: nothing waits any more.
func (a *asker) done() error {
	if a == nil {
		return nil
	}
	return a.r.unnote()
}

func openPidfd(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}
