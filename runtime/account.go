package runtime

import (
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

// Account is what has been asked of the kernel so far. The child's steps are in it once it has executed or failed.
func (c *Container) Account() []program.Account {
	switch {
	case c.plan == nil: // adopted: somebody else asked
		return nil
	case c.process == nil:
		return program.Live(c.plan.Phases, c.told, nil, nil)
	}
	return program.Live(c.plan.Phases, c.told, c.process.Ran(), c.process.Numbers())
}
