package engine

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"

	"glassbox/monitor"
)

// Booted is one thing that Boot did, or failed to do.
type Booted struct {
	Name string // of the container
	Done string // what was done: started, removed
	Err  error
}

// atATime is how many containers Boot starts at a time.
const atATime = 8

// Boot has every container run that its restart policy wants to, as Docker's daemon does when it starts, and removes those that were to be
// removed at their end. A container comes after those whose namespaces it joins and those that it is linked to. Whatever runs is left
// alone, so doing it twice does no harm. tell is told of one thing at a time.
func (c *Containers) Boot(ctx context.Context, tell func(Booted)) error {
	all, err := c.everything() // which records the ends that nobody saw
	if err != nil {
		return err
	}
	var told sync.Mutex
	each := func(some []listed, done string, do func(listed) error) {
		inParallel(some, func(l listed) {
			err := do(l)
			if Is(err, NotFound) && done == "removed" { // by somebody else, just now
				return
			}
			told.Lock()
			defer told.Unlock()
			tell(Booted{l.Name, done, err})
		})
	}
	var over, due []listed
	for _, l := range all {
		switch {
		case l.now.Running:
		case l.Build != "", l.HostConfig.AutoRemove && !l.now.StartedAt.IsZero():
			over = append(over, l)
		case l.due():
			due = append(due, l)
		}
	}
	each(over, "removed", func(l listed) error { return c.Remove(ctx, l.ID, false, true) })
	for _, wave := range c.waves(due) {
		each(wave, "started", func(l listed) error { return c.Start(ctx, l.ID) })
	}
	return c.sweepClaims()
}

func inParallel[T any](all []T, do func(T)) {
	places := make(chan struct{}, atATime)
	var busy sync.WaitGroup
	for _, one := range all {
		places <- struct{}{}
		busy.Go(func() { do(one); <-places })
	}
	busy.Wait()
}

// due says whether a container that does not run should, in the eyes of its restart policy. As in Docker, one that has never been started is
// not, and a user's stop counts with unless-stopped only.
func (l listed) due() bool {
	return !l.now.StartedAt.IsZero() && l.restart().Wants(l.now.ExitCode, l.now.Restarts, l.stopped())
}

// stopped: a user has sent it a signal since it was started.
func (r *record) stopped() bool {
	word, err := os.ReadFile(r.place.Stopped())
	return err == nil && string(word) != monitor.Shutdown
}

// waves orders containers: none needs one of its own wave or of a later one. Of those that need each other somebody has to be the first, and
// fails.
func (c *Containers) waves(all []listed) [][]listed {
	byID := map[string]listed{}
	for _, l := range all {
		byID[l.ID] = l
	}
	levels := map[string]int{}
	var level func(listed) int
	level = func(l listed) int {
		if n, known := levels[l.ID]; known {
			return n
		}
		levels[l.ID] = 0 // until it is known
		n := 0
		for _, id := range c.wants(l.record) {
			if other, in := byID[id]; in {
				n = max(n, level(other)+1)
			}
		}
		levels[l.ID] = n
		return n
	}
	var waves [][]listed
	for _, l := range slices.Backward(all) { // the oldest first
		n := level(l)
		for len(waves) <= n {
			waves = append(waves, nil)
		}
		waves[n] = append(waves[n], l)
	}
	return waves
}

// wants are the ids of the containers that must run before this one can start.
func (c *Containers) wants(r *record) (ids []string) {
	h := r.HostConfig
	for _, ref := range []string{h.NetworkMode.ConnectedContainer(), h.PidMode.Container(), h.IpcMode.Container()} {
		if id, err := c.find(ref); err == nil {
			ids = append(ids, id)
		}
	}
	for _, l := range r.Links {
		ids = append(ids, l.ID)
	}
	return ids
}

// Halt ends all containers before the machine is shut down: with their stop signals and grace periods, but without anybody's wish that they stay
// down, so that Boot starts them again.
func (c *Containers) Halt(ctx context.Context, tell func(Booted)) error {
	all, err := c.everything()
	if err != nil {
		return err
	}
	running := slices.DeleteFunc(all, func(l listed) bool { return !l.now.Running })
	var told sync.Mutex
	inParallel(running, func(l listed) {
		err := c.halt(ctx, l.record)
		told.Lock()
		defer told.Unlock()
		tell(Booted{l.Name, "stopped", err})
	})
	return nil
}

func (c *Containers) halt(ctx context.Context, r *record) error {
	before, err := os.ReadFile(r.place.Stopped())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	users := err == nil && string(before) != monitor.Shutdown
	if err := c.stop(ctx, r, StopOptions{}, "stop", stopPhases()); err != nil || users {
		return err
	}
	return os.WriteFile(r.place.Stopped(), []byte(monitor.Shutdown), 0o600)
}

func (b Booted) String() string {
	if b.Err != nil {
		return b.Name + " is not " + b.Done + ": " + strings.ReplaceAll(b.Err.Error(), "\n", "; ")
	}
	return b.Done + " " + b.Name
}
