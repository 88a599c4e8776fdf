package main

import (
	"fmt"
	"strings"
	"time"

	"glassbox/test/world"
)

// lives: what is done to a container while it runs, and when it shall end.
func lives(r *rig, t *table) error {
	bb, err := world.Busybox()
	if err != nil {
		return err
	}
	if err := world.Push(bb, r.bb()); err != nil {
		return err
	}
	for _, measure := range []func(*rig, *table) error{execs, stops, crowds, watched} {
		if err := measure(r, t); err != nil {
			return err
		}
	}
	return nil
}

// bb is an image that holds only busybox.
func (r *rig) bb() string { return r.address + "/bb" }

// engines are the command lines of glassbox and Docker, up to the verb.
func (r *rig) engines() [2][]string { return [2][]string{glassbox(), {r.docker.CLI}} }

func with(engine []string, args ...string) []string {
	return append(append([]string{}, engine...), args...)
}

// execs: a command in a running container.
func execs(r *rig, t *table) error {
	var both []*runner
	for _, e := range r.engines() {
		if err := run(with(e, "run", "-d", "--name", "execs", "--network", "none", r.bb(), "sleep", "100000")); err != nil {
			return err
		}
		defer run(with(e, "rm", "-f", "execs"))
		both = append(both, &runner{name: "docker exec", argv: always(with(e, "exec", "execs", "true")...)})
	}
	if err := race(both, *rounds); err != nil {
		return err
	}
	t.compare("`glassbox exec true`", both[0], both[1], 0.2, "≤ 1/5")
	return nil
}

// obeys is a process that ends when it is told to.
const obeys = `trap "exit 0" TERM; echo ready; while :; do sleep 1000 & wait; done`

// stops: `stop` of a container that obeys.
func stops(r *rig, t *table) error {
	var both []*runner
	for _, e := range r.engines() {
		both = append(both, &runner{name: "docker stop", argv: always(with(e, "stop", "stops")...),
			before: func(int) error { return r.startObeying(e, "stops") },
			after:  func(int) error { return run(with(e, "rm", "stops")) }})
	}
	if err := race(both, *rounds); err != nil {
		return err
	}
	t.compare("`glassbox stop`", both[0], both[1], 0.2, "≤ 1/5")
	return nil
}

// startObeying returns when the container has its handler.
func (r *rig) startObeying(engine []string, name string) error {
	if err := run(with(engine, "run", "-d", "--name", name, "--network", "none", r.bb(), "sh", "-c", obeys)); err != nil {
		return err
	}
	for range 1000 {
		logs := with(engine, "logs", name)
		if out, err := world.Output(logs[0], logs[1:]...); err != nil || strings.Contains(out, "ready") {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return fmt.Errorf("%s never said that it is ready", name)
}

// crowds: starting a container beside one other, and beside 199.
func crowds(r *rig, t *table) error {
	const many = 200
	var names []string
	keep := func() error {
		name := fmt.Sprintf("crowd%d", len(names))
		names = append(names, name)
		return run(glassbox("run", "-d", "--name", name, "--network", "none", r.bb(), "sleep", "100000"))
	}
	defer func() { run(glassbox(append([]string{"rm", "-f"}, names...)...)) }()
	start := func(name string) (*runner, error) {
		s := &runner{name: name, argv: always(glassbox("run", "-d", "--name", "next", "--network", "none", r.bb(), "sleep", "100000")...),
			after: func(int) error { return run(glassbox("rm", "-f", "next")) }}
		return s, race([]*runner{s}, *rounds)
	}
	if err := keep(); err != nil {
		return err
	}
	second, err := start("the 2nd")
	if err != nil {
		return err
	}
	for len(names) < many-1 {
		if err := keep(); err != nil {
			return err
		}
	}
	last, err := start("the 2nd")
	if err != nil {
		return err
	}
	t.compare(fmt.Sprintf("`glassbox run -d`, the %dth", many), last, second, 1.3, "≤ 1.3")
	return nil
}
