// Command bench measures glassbox against Docker, podman, buildah, runc, crun, bubblewrap and a C program that does the least there is to do.
//
// All peers run in one world (test/world) in the same minutes, one after the other in every round, so that a noisy machine is
// noisy for all of them; what counts is the ratio of medians, never a time measured on another day.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"glassbox/test/world"
)

var (
	rounds = flag.Int("rounds", 30, "how often each command is measured")
	floor  = flag.String("floor", "", "the `program` built from floor/floor.c")
	empty  = flag.String("empty", "", "the `program` built from empty/main.go")
	docker = flag.String("docker", "", "the `directory` of docker and dockerd")
	bin    = flag.String("bin", "", "the `directory` of glassbox and glassrun")
	write  = flag.String("write", "", "put the table into this `file`, between its benchmark marks")
	only   = flag.String("only", "", "measure one `part`: run, runtime, ps, memory, build, images, net, life, logs or explain")
	serve  = flag.Bool("serve", false, "on a host or in a container: count what sendStreams sends")
	send   = flag.String("send", "", "on a host or in a container: send to this `address` and write the bits per second")
	knocks = flag.String("knock", "", "on a host or in a container: connect to this `address` and write the answers per second")
	prints = flag.Int("print", 0, "inside a container: print so many `lines`")
	ask    = flag.String("ask", "", "inside a container: ask the resolver for this `name`")
)

func main() {
	flag.Parse()
	if done, err := part(); done {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	for _, path := range []*string{floor, empty, docker, bin, write} {
		if *path != "" {
			*path, _ = filepath.Abs(*path)
		}
	}
	os.Exit(world.Run(func(string) error { return nil }, inside))
}

// part plays a part in somebody else's measurement.
func part() (done bool, err error) {
	switch {
	case *serve:
		return true, serveStreams()
	case *send != "":
		return true, sendStreams(*send, os.Stdout)
	case *knocks != "":
		return true, knockMany(*knocks, os.Stdout)
	case *prints > 0:
		return true, printLines(*prints, os.Stdout)
	case *ask != "":
		return true, askMany(*ask, os.Stdout)
	}
	return false, nil
}

func inside() int {
	t, err := newTable()
	if err == nil {
		err = measure(t)
	}
	if t != nil {
		fmt.Print(t)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	if *write != "" {
		if err := t.write(*write); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			return 1
		}
	}
	return 0
}

func measure(t *table) error {
	r, err := newRig()
	if err != nil {
		return err
	}
	defer r.stop()
	for _, part := range []struct {
		name string
		run  func(*rig, *table) error
	}{{"run", runs}, {"runtime", runtimes}, {"ps", list}, {"memory", monitors}, {"build", builds}, {"images", images}, {"net", networks}, {"life", lives}, {"logs", logs}, {"explain", explained}} {
		if *only != "" && *only != part.name {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", part.name)
		if err := part.run(r, t); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}
