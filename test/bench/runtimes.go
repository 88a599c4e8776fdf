package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"glassbox/test/smaps"
	"glassbox/test/world"
)

// low is an OCI runtime as a command line, up to the verb.
type low struct {
	name string
	argv []string
	in   *bare // where it finds no cgroups; nil: here
}

// runtimes: one OCI bundle under each of them.
func runtimes(r *rig, t *table) error {
	for _, name := range []string{"runc", "crun"} {
		if err := installed(name); err != nil {
			return err
		}
	}
	place, err := newBare()
	if err != nil {
		return err
	}
	defer place.close()
	glassrun := []string{*bin + "/glassrun"}
	ours := low{name: "glassrun", argv: glassrun}
	free := low{name: "glassrun", argv: glassrun, in: place}
	runc := low{name: "runc", argv: []string{"runc"}}
	crun := low{name: "crun", argv: []string{"crun", "--cgroup-manager=disabled"}}
	for _, measure := range []func() error{
		func() error { return wholeLives(r, t, ours, free, runc, crun) },
		func() error { return stepLives(r, t, ours, free, runc, crun) },
		func() error { return manyLives(r, t, ours, runc) },
		func() error { return beginnings(t, ours) },
		func() error { return keepers(r, t, ours, runc) },
	} {
		if err := measure(); err != nil {
			return err
		}
	}
	return nil
}

// wholeLives: `run`.
func wholeLives(r *rig, t *table, ours, free, runc, crun low) error {
	var all []*runner
	for i, l := range []low{ours, free, runc, crun} {
		all = append(all, &runner{name: l.name + " run", lap: func(round int) (time.Duration, error) {
			return l.time("run", "-b", r.bundle, fmt.Sprintf("run-%d-%d", i, round))
		}})
	}
	if err := race(all, *rounds); err != nil {
		return err
	}
	t.compare("`glassrun run`", all[0], all[2], 0.25, "≤ 1/4")
	t.compare("`glassrun run` without cgroups", all[1], all[3], 0, "")
	return nil
}

// stepLives: what an engine does, `create`, `start` and, when the container has ended, `delete`.
func stepLives(r *rig, t *table, ours, free, runc, crun low) error {
	var all []*runner
	for i, l := range []low{ours, free, runc, crun} {
		all = append(all, &runner{name: l.name + "'s", lap: func(round int) (time.Duration, error) {
			return l.steps(r.bundle, fmt.Sprintf("steps-%d-%d", i, round))
		}})
	}
	if err := race(all, *rounds); err != nil {
		return err
	}
	t.compare("create, start, delete with `glassrun`", all[0], all[2], 1./3, "≤ 1/3")
	t.compare("create, start, delete with `glassrun`, without cgroups", all[1], all[3], 1, "≤ 1")
	return nil
}

// manyLives: ten containers at once.
func manyLives(r *rig, t *table, ours, runc low) error {
	const many = 10
	var both []*runner
	for _, l := range []low{ours, runc} {
		both = append(both, &runner{name: l.name + "'s", lap: func(round int) (time.Duration, error) {
			var all sync.WaitGroup
			failed := make(chan error, many)
			start := time.Now()
			for i := range many {
				all.Go(func() {
					_, err := l.steps(r.bundle, fmt.Sprintf("many-%s-%d-%d", l.name, round, i))
					failed <- err
				})
			}
			all.Wait()
			took := time.Since(start)
			for range many {
				if err := <-failed; err != nil {
					return 0, err
				}
			}
			return took, nil
		}})
	}
	if err := race(both, max(5, *rounds/3)); err != nil {
		return err
	}
	t.compare("ten containers at once", both[0], both[1], 1/2.5, "≤ 1/2.5")
	return nil
}

// beginnings: what glassrun takes to come up, beyond what any Go program does.
func beginnings(t *table, ours low) error {
	const goal = 2 * time.Millisecond
	up := &runner{name: "glassrun", argv: always(ours.argv[0], "--version")}
	nothing := &runner{name: "an empty Go program", argv: always(*empty)}
	if err := race([]*runner{up, nothing}, 5**rounds); err != nil {
		return err
	}
	more := up.median() - nothing.median()
	t.add("`glassrun --version` / an empty Go program", spread(up), spread(nothing), "+"+milliseconds(more), "< 2 ms more", more < goal)
	return nil
}

// keepers: what stays in memory with a container that runs, beside it.
func keepers(r *rig, t *table, ours, runc low) error {
	var both [2]int
	for i, l := range []low{ours, runc} {
		var err error
		if both[i], err = l.keeper(r); err != nil {
			return err
		}
	}
	ratio := float64(both[0]) / float64(both[1])
	t.add("memory of `glassrun run` while the container lives / runc's", fmt.Sprintf("%.1f MiB", mebibytes(both[0])), fmt.Sprintf("%.1f MiB", mebibytes(both[1])),
		fmt.Sprintf("%.2f", ratio), "≤ 1/2", ratio <= 0.5)
	return nil
}

// keeper is the proportional size, in KiB, of the process that stays.
func (l low) keeper(r *rig) (kib int, err error) {
	bundle, err := r.sleeper()
	if err != nil {
		return 0, err
	}
	id := "keeper-" + l.name
	c := exec.Command(l.argv[0], append(l.argv[1:], "run", "-b", bundle, id)...)
	if err := c.Start(); err != nil {
		return 0, err
	}
	defer c.Wait()
	defer run(l.command("delete", "--force", id))
	if err := l.await(id, "running"); err != nil {
		return 0, err
	}
	time.Sleep(time.Second) // until it has come to rest
	return smaps.Proportional(c.Process.Pid)
}

func (l low) command(args ...string) []string { return append(append([]string{}, l.argv...), args...) }

// time runs one command, and says how long it took.
func (l low) time(args ...string) (took time.Duration, err error) {
	argv := l.command(args...)
	c := exec.Command(argv[0], argv[1:]...)
	start := time.Now()
	if l.in == nil {
		err = c.Start()
	} else {
		err = l.in.do(func() error {
			start = time.Now()
			return c.Start()
		})
	}
	if err == nil {
		err = c.Wait()
	}
	took = time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%v: %w (%v)", argv, err, run(argv))
	}
	return took, nil
}

// steps adds up the times of create, start and delete. Waiting for the container's end is not counted.
func (l low) steps(bundle, id string) (sum time.Duration, err error) {
	pidfile := filepath.Join(world.Dir(), id+".pid")
	defer os.Remove(pidfile)
	for _, args := range [][]string{{"create", "-b", bundle, "--pid-file", pidfile, id}, {"start", id}, {"delete", id}} {
		if args[0] == "delete" {
			if err := ended(pidfile); err != nil {
				return 0, err
			}
		}
		took, err := l.time(args...)
		if err != nil {
			return 0, err
		}
		sum += took
	}
	return sum, nil
}

// ended waits until the process of a pid file is no more, or a zombie that nobody has collected.
func ended(pidfile string) error {
	text, err := os.ReadFile(pidfile)
	if err != nil {
		return err
	}
	path := "/proc/" + strings.TrimSpace(string(text)) + "/stat"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		stat, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X") {
			return nil
		}
	}
	return fmt.Errorf("process %s has not ended", strconv.Quote(strings.TrimSpace(string(text))))
}

// await waits until the runtime says that of the container.
func (l low) await(id, status string) error {
	argv := l.command("state", id)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if out, err := world.Output(argv[0], argv[1:]...); err == nil && strings.Contains(out, `"`+status+`"`) {
			return nil
		}
	}
	return fmt.Errorf("container %s of %s is not %s", id, l.name, status)
}
