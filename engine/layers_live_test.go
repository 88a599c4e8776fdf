package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
)

// following is a LayersLive that goes on beside the test.
type following struct {
	t      *testing.T
	mu     sync.Mutex
	events []LiveEvent
	gate   chan struct{} // whoever tells an event is let in here, and waits until it is closed; nil: he does not
	done   chan error
}

func (m *machine) follow(t *testing.T, ctx context.Context, id string, gate chan struct{}) *following {
	t.Helper()
	f := &following{t: t, gate: gate, done: make(chan error, 1)}
	ready := make(chan *Layers, 1)
	go func() {
		f.done <- m.LayersLive(ctx, id, func(l *Layers) { ready <- l }, func(e LiveEvent) error {
			if f.gate != nil {
				<-f.gate
				<-f.gate
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.events = append(f.events, e)
			return nil
		})
	}()
	select {
	case <-ready:
	case err := <-f.done:
		t.Fatalf("following ended: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("it does not begin")
	}
	return f
}

// said are the events so far, each as a line; those that repeat themselves once.
func (f *following) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	seen := map[string]bool{}
	for _, e := range f.events {
		line := fmt.Sprintf("%s %s", e.Kind, e.Path)
		if e.Copied > 0 {
			line += fmt.Sprintf(" copied %d", e.Copied)
		}
		if e.Names > 0 {
			line += fmt.Sprintf(" hides %d names %d bytes", e.Names, e.Hidden)
		}
		if len(e.Of) > 0 {
			line += " of " + strings.Join(e.Of, ",")
		}
		if e.Gone {
			line += " gone"
		}
		if !seen[line] {
			seen[line] = true
			all = append(all, line)
		}
	}
	return all
}

// soon waits for lines.
func (f *following) soon(lines ...string) {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		said := f.said()
		missing := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return slices.Contains(said, l) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			f.t.Fatalf("missing:\n%s\nof %d:\n%s", strings.Join(missing, "\n"), len(said), strings.Join(said[:min(40, len(said))], "\n"))
		}
	}
}

// A container does each of what can be done to a layer.
func TestLayersLive(t *testing.T) {
	m := newMachine(t)
	of := m.layered(map[string]string{"/big": strings.Repeat("x", 5000), "/conf": "one\n", "/cache/old": "1234", "/cache/older": "12", "/etc2/x/y": "y\n", "/mode": "m"})
	o := shell("sleep 100")
	o.Config.Image = of.ID.String()
	id := m.detached(o)
	f := m.follow(t, t.Context(), id, nil)
	layer := fmt.Sprint(len(of.Config.RootFS.DiffIDs))
	for _, step := range []struct {
		script string
		want   []string
	}{
		{"echo x >>/big", []string{"copy-up /big copied 5000 of " + layer}},
		{"echo x >>/big", []string{"change /big"}},
		{"rm /conf", []string{"whiteout /conf hides 1 names 4 bytes of " + layer}},
		{"rm -r /cache; mkdir /cache; echo n >/cache/new", []string{"opaque /cache hides 3 names 6 bytes of " + layer, "new /cache/new"}},
		{"mkdir -p /own/sub; echo 1 >/own/sub/f", []string{"new /own", "new /own/sub", "new /own/sub/f"}},
		{"echo 2 >>/own/sub/f", []string{"change /own/sub/f"}},
		{"rm -r /own", []string{"removed /own", "removed /own/sub", "removed /own/sub/f"}},
		{"rm /etc2/x/y", []string{"copy-up /etc2 of " + layer, "copy-up /etc2/x of " + layer, "whiteout /etc2/x/y hides 1 names 2 bytes of " + layer}},
		{"busybox chmod 600 /mode", []string{"copy-up /mode copied 1 of " + layer}},
		{"rm /big", []string{"whiteout /big hides 1 names 5000 bytes of " + layer}},
		{"echo 1 >/big", []string{"new /big hides 1 names 5000 bytes of " + layer}},
		{"echo 1 >/cache/a; mv /cache/a /cache/b", []string{"new /cache/b"}},
	} {
		m.does(id, step.script)
		f.soon(step.want...)
	}
	if slices.ContainsFunc(f.said(), func(l string) bool { return strings.HasPrefix(l, LiveBlind) || strings.HasPrefix(l, LiveOverflow) }) {
		t.Errorf("said: %q", f.said())
	}
	before := len(f.said())
	m.ok(m.Containers.Remove(t.Context(), id, true, true)) // which removes its files, too
	if err := <-f.done; err != nil {
		t.Error(err)
	}
	if after := f.said(); len(after) != before {
		t.Errorf("with the container's removal: %q", after[before:])
	}
	total := f.events[len(f.events)-1].Total
	if total.Copied != 5001 || total.Whiteouts < 3 || total.Opaque != 1 {
		t.Errorf("in all: %+v", total)
	}
}

// The kernel keeps 16384 notices. Ten thousand files make more: that is said, and none is missing.
func TestLayersLiveBurst(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("sleep 100"))
	m.does(id, "mkdir /d")
	gate := make(chan struct{})
	f := m.follow(t, t.Context(), id, gate)
	m.does(id, "echo >/first")
	gate <- struct{}{} // it is about to tell of that, and reads no notices until the gate is open
	m.does(id, "cd /d; busybox seq 1 10000 | busybox xargs busybox touch")
	close(gate)
	f.soon("new /first", "overflow ")
	files := f.made(10001) // with /first; a look finds them in no order that we know
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range 10000 {
		if name := fmt.Sprintf("/d/%d", i+1); files[name] != 1 {
			t.Errorf("%s was told %d times", name, files[name])
		}
	}
	if total := f.events[len(f.events)-1].Total.New; total != len(files) {
		t.Errorf("%d new in all, of %d", total, len(files))
	}
}

// does runs something in the container.
func (m *machine) does(id, script string) {
	m.t.Helper()
	if out, err := m.inside(id, script, false); err != nil {
		m.t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// made waits until so many files were told as new, and says how often each was.
func (f *following) made(n int) map[string]int {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		files := map[string]int{}
		f.mu.Lock()
		for _, e := range f.events {
			if e.Kind == LiveNew {
				files[e.Path]++
			}
		}
		f.mu.Unlock()
		if len(files) >= n || time.Now().After(deadline) {
			return files
		}
	}
}

// Whoever ends the following gets that as an error; a container that does not run cannot be followed.
func TestLayersLiveEnds(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("sleep 100"))
	ctx, cancel := context.WithCancel(t.Context())
	f := m.follow(t, ctx, id, nil)
	cancel()
	if err := <-f.done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	f = m.follow(t, t.Context(), id, nil)
	m.ok(m.Containers.Kill(bg, id, KillOptions{Signal: "KILL"}))
	if err := <-f.done; err != nil {
		t.Error(err)
	}
	m.until(id, "exited", func(s *container.State, _ int) bool { return !s.Running })
	err := m.LayersLive(t.Context(), id, nil, nil)
	if !Is(err, Conflict) {
		t.Error(err)
	}
	if err := m.LayersLive(t.Context(), "bb", nil, nil); !Is(err, NotFound) {
		t.Error(err)
	}
}
