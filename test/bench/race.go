package main

import (
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// runner is one command of a race; before and after are not measured.
type runner struct {
	name          string
	argv          func(round int) []string
	before, after func(round int) error
	times         []time.Duration
}

// race runs all of them in every round, each round beginning with another one. Two rounds more than asked for go first, uncounted.
func race(runners []*runner, rounds int) error {
	for round := range rounds + 2 {
		for i := range runners {
			r := runners[(round+i)%len(runners)]
			took, err := r.once(round)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			if round >= 2 {
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
	argv := r.argv(round)
	c := exec.Command(argv[0], argv[1:]...)
	start := time.Now()
	// Output to /dev/null: a pipe would add the time of whoever keeps it open.
	err := c.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%v: %w (%v)", argv, err, run(argv))
	}
	if r.after != nil {
		return took, r.after(round)
	}
	return took, nil
}

func (r *runner) median() time.Duration {
	s := slices.Sorted(slices.Values(r.times))
	return s[len(s)/2]
}

func (r *runner) least() time.Duration { return slices.Min(r.times) }
