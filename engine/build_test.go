package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// aBuild begins a build.
func (m *machine) aBuild() *Work {
	m.t.Helper()
	w, err := m.Builds.Begin()
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := w.End(); err != nil {
			m.t.Error(err)
		}
	})
	return w
}

// step makes the container of a RUN of a shell's command.
func (m *machine) step(w *Work, script string) *Step {
	m.t.Helper()
	img, err := m.Images.Resolve("bb")
	if err != nil {
		m.t.Fatal(err)
	}
	s, err := w.Step(context.Background(), StepOptions{
		Base:       img,
		Config:     &container.Config{Image: img.ID.String(), Cmd: []string{"sh", "-c", script}, Entrypoint: []string{""}, Env: []string{"FROM=image", "ARGUMENT=given"}},
		HostConfig: &container.HostConfig{NetworkMode: "none", LogConfig: container.LogConfig{Type: "none"}},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

func (m *machine) containers() (names []string) {
	m.t.Helper()
	all, err := m.Containers.List(true, -1, false, filters.NewArgs())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, c := range all {
		names = append(names, c.ID)
	}
	return names
}

func TestStepLeavesWhatItWrote(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	s := m.step(w, "echo $ARGUMENT; echo oops >&2; echo hi >/made; rm /etc/group")
	var out, errs bytes.Buffer
	if code, err := s.Run(context.Background(), &out, &errs); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	if out.String() != "given\n" || errs.String() != "oops\n" {
		t.Errorf("it said %q and %q", &out, &errs)
	}
	upper := filepath.Join(w.Dir, "upper")
	if err := s.Take(upper); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(false); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(upper + "/made"); err != nil || string(data) != "hi\n" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := os.Lstat(upper + "/etc/group"); err != nil || info.Mode().Type() != os.ModeDevice|os.ModeCharDevice {
		t.Errorf("the removed file is no whiteout: %v, %v", info, err)
	}
	entries, err := os.ReadDir(upper)
	if err != nil || len(entries) != 2 {
		t.Errorf("beside what was written there is %v, %v", entries, err)
	}
	if left := m.containers(); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
}

func TestStepThatFailsCanStay(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	s := m.step(w, "exit 7")
	if code, err := s.Run(context.Background(), io.Discard, io.Discard); code != 7 || err != nil {
		t.Fatal(code, err)
	}
	if err := s.Close(true); err != nil {
		t.Fatal(err)
	}
	i, err := m.Containers.Inspect(s.ID(), false)
	if err != nil || i.State.ExitCode != 7 || i.HostConfig.AutoRemove {
		t.Errorf("%+v, %v", i.State, err)
	}
}

func TestStepBrokenOff(t *testing.T) {
	m := newMachine(t)
	w := m.aBuild()
	s := m.step(w, "echo begun; sleep 100")
	ctx, stop := context.WithCancel(context.Background())
	begun := time.Now()
	if _, err := s.Run(ctx, writes(func() { stop() }), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if err := s.Close(false); err != nil {
		t.Error(err)
	}
	if left := m.containers(); len(left) > 0 || time.Since(begun) > 20*time.Second {
		t.Errorf("containers are left: %v", left)
	}
}

// writes is called at each writing.
type writes func()

func (w writes) Write(b []byte) (int, error) { w(); return len(b), nil }

// BenchmarkStep is a trivial RUN on the default bridge, with the next one's monitor begun meanwhile.
func BenchmarkStep(b *testing.B) {
	m := newMachine(b)
	ctx := context.Background()
	w := m.aBuild()
	img, err := m.Images.Resolve("bb")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := w.Step(ctx, StepOptions{
			Base:       img,
			Config:     &container.Config{Image: img.ID.String(), Cmd: []string{"sh", "-c", "echo hi >/made"}, Entrypoint: []string{""}},
			HostConfig: &container.HostConfig{NetworkMode: "bridge", LogConfig: container.LogConfig{Type: "none"}},
		})
		if err != nil {
			b.Fatal(err)
		}
		if code, err := s.Run(ctx, io.Discard, io.Discard); code != 0 || err != nil {
			b.Fatal(code, err)
		}
		m.Containers.Warm()
		if err := s.Take(w.Dir + "/" + s.ID()); err != nil {
			b.Fatal(err)
		}
		if err := s.Close(false); err != nil {
			b.Fatal(err)
		}
	}
}
