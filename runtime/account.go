package runtime

import (
	"slices"
	"time"

	"glassbox/program"
)

// note remembers a request of the host in the current phase.
func (c *Container) note(r program.Request, err error) {
	if !c.explain {
		return
	}
	last := len(c.told) - 1
	c.told[last] = append(c.told[last], r.Done(err, time.Since(c.began)))
}

// noteIn remembers a request of the host in the phase of this name.
func (c *Container) noteIn(name string, r program.Request, err error) {
	if !c.explain || c.plan == nil {
		return
	}
	at := slices.IndexFunc(c.plan.Phases, func(p program.Phase) bool { return p.Name == name })
	if at < 0 {
		return // the container is gone, and what it was is told already
	}
	for len(c.told) <= at {
		c.told = append(c.told, nil)
	}
	c.told[at] = append(c.told[at], r.Done(err, time.Since(c.began)))
}

// Account is what has been asked of the kernel so far. The child's steps are in it once it has executed or failed. Of a container that was
// resumed it is what happened since.
func (c *Container) Account() []program.Account {
	switch {
	case c.plan == nil: // adopted: somebody else asked
		return nil
	case c.process == nil:
		return program.Live(c.plan.Phases, c.told, nil, nil)
	}
	all := program.Live(c.plan.Phases, c.told, c.process.RanSoFar(), c.process.Numbers())
	if c.resumed {
		return since(all)
	}
	return all
}

// since is what happened after the container was left: first of all, its process was let through the gate where its creator left it.
func since(all []program.Account) []program.Account {
	at := slices.IndexFunc(all, func(a program.Account) bool { return a.Phase == "wait" })
	if at <= 0 {
		return all
	}
	rest := slices.Clone(all[at:])
	before := all[at-1].Child
	rest[0].Child = append(before[len(before)-1:len(before):len(before)], rest[0].Child...)
	return rest
}
