package runtime

import (
	"errors"
	"time"

	"glassbox/linux"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// note remembers a request of the host in the current phase.
func (c *Container) note(r program.Request, err error) {
	if !c.explain {
		return
	}
	d := program.Done{Call: r.Call, Result: answer(err), From: r.From, Why: r.Why, At: time.Since(c.began), Failed: err != nil}
	last := len(c.told) - 1
	c.told[last] = append(c.told[last], d)
}

// answer is an error as strace prints a result.
func answer(err error) string {
	if err == nil {
		return "0"
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		if m := linux.Meaning(int(errno)); m.Name != "" {
			return "-1 " + m.Name + " (" + m.Message + ")"
		}
	}
	return err.Error()
}

// Account is what has been asked of the kernel so far. The child's steps are in it once it has executed or failed.
func (c *Container) Account() []program.Account {
	if c.plan == nil || c.process == nil {
		return nil
	}
	return program.Live(c.plan.Phases, c.told, c.process.Ran(), c.process.Numbers())
}
