package engine

import (
	"context"
	"io"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// BenchmarkRun is `run --rm true` without the start of the command-line program.
func BenchmarkRun(b *testing.B) {
	m := newMachine(b)
	ctx := context.Background()
	for b.Loop() {
		o := Options{
			Config:     &container.Config{Image: "bb", Cmd: []string{"true"}},
			HostConfig: &container.HostConfig{NetworkMode: "none", AutoRemove: true},
		}
		c, err := m.Containers.Create(ctx, o)
		if err != nil {
			b.Fatal(err)
		}
		a, err := m.Containers.StartAttached(ctx, c.ID, Streams{Out: io.Discard, Err: io.Discard})
		if err != nil {
			b.Fatal(err)
		}
		if code, err := a.Run(ctx); code != 0 || err != nil {
			b.Fatal(code, err)
		}
		a.Close()
		if err := m.Containers.Cleanup(c.ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCreate is the engine's own half of it.
func BenchmarkCreate(b *testing.B) {
	m := newMachine(b)
	ctx := context.Background()
	for b.Loop() {
		o := Options{Config: &container.Config{Image: "bb", Cmd: []string{"true"}}, HostConfig: &container.HostConfig{NetworkMode: "none"}}
		c, err := m.Containers.Create(ctx, o)
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Containers.Remove(ctx, c.ID, true, true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList is `ps -a` with a thousand stopped containers.
func BenchmarkList(b *testing.B) {
	m := newMachine(b)
	ctx := context.Background()
	for range 1000 {
		o := Options{Config: &container.Config{Image: "bb", Cmd: []string{"true"}}, HostConfig: &container.HostConfig{NetworkMode: "none"}}
		if _, err := m.Containers.Create(ctx, o); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		list, err := m.Containers.List(true, 0, false, filters.NewArgs())
		if err != nil || len(list) != 1000 {
			b.Fatal(len(list), err)
		}
	}
}
