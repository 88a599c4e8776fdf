package main

import (
	"fmt"
	"os/exec"
	"slices"
	"time"

	"glassbox/test/machines"
	"glassbox/test/smaps"
)

// runner is one command of a race; before and after are not measured.
type runner struct {
	name          string
	argv          func(round int) []string
	on            *machines.Machine // where; nil: here
	before, after func(round int) error
	lap           func(round int) (time.Duration, error) // instead of argv: what it measures itself
	times         []time.Duration
	watch         bool // its memory, too
	most          int  // KiB that it had at once, at most
}

// race runs all of them in every round, each round beginning with another one. Up to two more go first, uncounted.
func race(runners []*runner, rounds int) error {
	warm := min(2, rounds/2)
	for round := range warm + rounds {
		for i := range runners {
			r := runners[(round+i)%len(runners)]
			took, err := r.once(round)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if round >= warm {
				r.times = append(r.times, took)
			}
		}
	}
	return nil
}

func (r *runner) once(round int) (time.Duration, error) {
	if r.before != nil {
		if err := r.before(round); err != nil {
			return 0, err
		}
	}
	if r.lap != nil {
		return r.lap(round)
	}
	argv := r.argv(round)
	took, err := r.measure(exec.Command(argv[0], argv[1:]...))
	if err != nil {
		return 0, fmt.Errorf("%v: %w (%v)", argv, err, r.again(argv))
	}
	if r.after != nil {
		return took, r.after(round)
	}
	return took, nil
}

// measure runs a command. Its output goes to /dev/null: a pipe would add the time of whoever keeps it open.
func (r *runner) measure(c *exec.Cmd) (time.Duration, error) {
	start := time.Now()
	if r.on == nil {
		err := c.Start()
		if err == nil {
			defer r.look(c.Process.Pid)()
			err = c.Wait()
		}
		return time.Since(start), err
	}
	c.Env, c.Dir = r.on.Env, r.on.Dir
	err := r.on.Enter(func() error {
		start = time.Now()
		return c.Start()
	})
	if err == nil {
		err = c.Wait()
	}
	return time.Since(start), err
}

// look notes a process's high-water mark of memory again and again: getrusage(2) would tell of the larger one of it and of us, who forked it.
func (r *runner) look(pid int) (stop func()) {
	if !r.watch {
		return func() {}
	}
	stopped := make(chan struct{})
	go func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-stopped:
				tick.Stop()
				return
			case <-tick.C:
				r.most = max(r.most, smaps.Most(pid))
			}
		}
	}()
	return func() { stopped <- struct{}{} }
}

// again runs a command that failed once more, to hear what it says.
func (r *runner) again(argv []string) error {
	if r.on == nil {
		return run(argv)
	}
	_, err := r.on.Output(argv[0], argv[1:]...)
	return err
}

func (r *runner) median() time.Duration {
	s := slices.Sorted(slices.Values(r.times))
	return s[len(s)/2]
}

func (r *runner) least() time.Duration { return slices.Min(r.times) }
