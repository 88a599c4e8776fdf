package engine

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// checkedBy is a container that sleeps and is checked by a script every tenth of a second.
func checkedBy(script string) Options {
	o := shell("exec sleep 1000")
	o.Config.Healthcheck = &container.HealthConfig{
		Test: []string{"CMD-SHELL", script}, Interval: 100 * time.Millisecond, Timeout: 300 * time.Millisecond, Retries: 1,
	}
	return o
}

// health waits until f is true of the container's health.
func (m *machine) health(id, what string, f func(*container.Health) bool) *container.Health {
	m.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if h := m.inspect(id).State.Health; h != nil && f(h) {
			return h
		} else if time.Now().After(end) {
			m.t.Fatalf("waited for %s: %+v", what, h)
		}
	}
}

func inHealth(word string) func(*container.Health) bool {
	return func(h *container.Health) bool { return h.Status == word }
}

// TestHungChecksLeaveNobody: a check that takes too long is killed with its children, those that made a session of their own included.
func TestHungChecksLeaveNobody(t *testing.T) {
	m := newMachine(t)
	id := m.detached(checkedBy("sleep 1001 & setsid sleep 1002 & (sleep 1003 &); sleep 1004; true"))
	h := m.health(id, "four results", func(h *container.Health) bool { return len(h.Log) >= 4 })
	if h.Log[0].ExitCode != -1 || h.Log[0].Output != "Health check exceeded timeout (300ms)" {
		t.Errorf("%+v", h.Log[0])
	}
	top, err := m.Containers.Top(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(top.Processes); n > 6 { // the container's own, and those of the check that runs just now
		t.Errorf("%d processes: %q", n, top.Processes)
	}
}

// TestHealthOutlivesTheMonitor: whoever looks next puts another monitor there, and that goes on checking.
func TestHealthOutlivesTheMonitor(t *testing.T) {
	m := newMachine(t)
	id := m.detached(checkedBy("test -e /ok"))
	m.health(id, "unhealthy", inHealth(container.Unhealthy))
	r, err := m.Containers.load(id)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.again()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.MonitorPid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.inspect(id).GraphDriver.Data["MergedDir"]+"/ok", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.health(id, "healthy", inHealth(container.Healthy))
}

// TestFrozenContainersAreNotChecked, whoever froze them, and are again afterwards.
func TestFrozenContainersAreNotChecked(t *testing.T) {
	m := newMachine(t)
	id := m.detached(checkedBy("sleep 0.05; echo checked"))
	r, err := m.Containers.load(id)
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.Containers.groupOf(r)
	if err != nil {
		t.Fatal(err)
	}
	last := func() time.Time {
		log := m.inspect(id).State.Health.Log
		return log[len(log)-1].Start
	}
	for _, change := range []struct {
		what string
		do   func(on bool) error
	}{
		{"pause", func(on bool) error {
			if on {
				return m.Containers.Pause(id)
			}
			return m.Containers.Unpause(id)
		}},
		{"cgroup.freeze", g.Freeze},
	} {
		m.health(id, "healthy", inHealth(container.Healthy))
		m.ok(change.do(true))
		if s := m.inspect(id).State; s.Health.Status != container.Unhealthy || s.Status != "paused" {
			t.Errorf("%s: %s, %s", change.what, s.Status, s.Health.Status)
		}
		before := last()
		time.Sleep(400 * time.Millisecond)
		if !last().Equal(before) {
			t.Errorf("%s: checked while frozen", change.what)
		}
		m.ok(change.do(false))
		m.health(id, "healthy", func(h *container.Health) bool {
			return h.Status == container.Healthy && h.Log[len(h.Log)-1].Start.After(before)
		})
	}
}

func TestHealthInTables(t *testing.T) {
	m := newMachine(t)
	id := m.detached(checkedBy("true"))
	m.health(id, "healthy", inHealth(container.Healthy))
	plain := m.detached(shell("sleep 1000"))
	fresh := m.create(checkedBy("true"))
	for _, c := range []struct {
		filter string
		want   []string
	}{{"healthy", []string{id}}, {"none", []string{fresh, plain}}, {"unhealthy", nil}} {
		list, err := m.Containers.List(true, 0, false, filters.NewArgs(filters.Arg("health", c.filter)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range list {
			got = append(got, l.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("health=%s: %v, want %v", c.filter, got, c.want)
		}
		if c.filter == "healthy" && (len(list) != 1 || !strings.HasSuffix(list[0].Status, " (healthy)")) {
			t.Errorf("%+v", list)
		}
	}
	if h := m.inspect(fresh).State.Health; h != nil {
		t.Errorf("never started: %+v", h)
	}
}
