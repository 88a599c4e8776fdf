package engine

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/monitor"
	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"golang.org/x/sys/unix"
)

// by gives a container a restart policy.
func by(o Options, name container.RestartPolicyMode, most int) Options {
	o.HostConfig.RestartPolicy = container.RestartPolicy{Name: name, MaximumRetryCount: most}
	return o
}

// until waits for what inspect says.
func (m *machine) until(id, what string, f func(s *container.State, restarts int) bool) container.InspectResponse {
	m.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		i := m.inspect(id)
		if f(i.State, i.RestartCount) {
			return i
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("waited 30 s until the container is %s: %d restarts, %+v", what, i.RestartCount, i.State)
		}
	}
}

// pauses waits until a container that fails at once waits long enough to be looked at: 3.2 s.
func (m *machine) pauses(id string) container.InspectResponse {
	m.t.Helper()
	return m.until(id, "restarting", func(s *container.State, n int) bool { return s.Restarting && n >= 6 })
}

// The pauses double, are never shorter than they should, and the state of a container that waits is Docker's.
func TestBackOff(t *testing.T) {
	m := newMachine(t)
	began := time.Now()
	id := m.detached(by(shell("exit 2"), container.RestartPolicyAlways, 0))
	i := m.pauses(id)
	if took, least := time.Since(began), 3100*time.Millisecond; took < least || took > 3*least {
		t.Errorf("six ends after %v, want %v and what five starts take", took, least)
	}
	if s := i.State; s.Status != "restarting" || !s.Running || s.Pid != 0 || s.ExitCode != 2 || s.Paused || s.FinishedAt < s.StartedAt {
		t.Errorf("%+v", s)
	}
	c := m.Containers
	list, err := c.List(false, 0, false, filters.NewArgs(filters.Arg("status", "restarting")))
	if err != nil || len(list) != 1 || !strings.HasPrefix(list[0].Status, "Restarting (2) ") {
		t.Errorf("%+v, %v", list, err)
	}
	m.refuses(c.Remove(bg, id, false, false), `cannot remove container "`+id+`": container is restarting: stop the container before removing or force remove`)
	m.refuses(c.Pause(id), "Container "+id+" is restarting, wait until the container is running")
	_, err = c.Attach(bg, id, Streams{})
	m.refuses(err, "container "+id+" is restarting, wait until the container is running")
	m.ok(c.Start(bg, id)) // as in Docker: it runs, in a way
	m.ok(c.Rename(id, "renamed"))
	if r, err := c.Prune(filters.NewArgs()); err != nil || len(r.ContainersDeleted) != 0 {
		t.Errorf("prune: %+v, %v", r, err)
	}
	began = time.Now()
	m.ok(c.Stop(bg, id, StopOptions{}))
	if s := m.inspect(id).State; s.Status != "exited" || s.ExitCode != 2 || time.Since(began) > 5*time.Second {
		t.Errorf("after a stop of %v: %+v", time.Since(began), s)
	}
	m.ok(c.Start(bg, id))
	m.pauses(id)
	m.ok(c.Remove(bg, id, true, true))
	m.leavesNothing(id)
}

// Whoever stops or kills a container at any moment of its restarts has the last word.
func TestStopAtAnyMoment(t *testing.T) {
	m := newMachine(t)
	c := m.Containers
	for n, end := range []func(id string) error{
		func(id string) error { return c.Stop(bg, id, StopOptions{Timeout: ptr(1)}) },
		func(id string) error { return c.Kill(bg, id, KillOptions{}) },
	} {
		for pause := range 16 {
			id := m.detached(by(shell("exit 1"), container.RestartPolicyAlways, 0))
			time.Sleep(time.Duration(pause*17) * time.Millisecond)
			m.ok(end(id))
			if s := m.inspect(id).State; s.Status != "exited" {
				t.Errorf("%d, %d: %+v", n, pause, s)
			}
			m.ok(c.Remove(bg, id, false, true))
			m.leavesNothing(id)
		}
	}
}

// What the container has of networks stays: address, name, the published port, its attendant. A stop takes it all away.
func TestRestartKeepsTheNetwork(t *testing.T) {
	need.SecondKernel(t)
	m := newNetworks(t)
	m.network("shop", network.CreateOptions{})
	web := m.detached(by(called(plugged("shop", "echo hello | nc -l -p 80; exit 1", "8080:80"), "web"), container.RestartPolicyAlways, 0))
	client := plugged("shop", "nslookup web 127.0.0.11")
	first := m.inspect(web).NetworkSettings.Networks["shop"]
	for n := range 3 {
		m.until(web, "running", func(s *container.State, r int) bool { return s.Status == "running" && r >= n })
		address := []string{"127.0.0.1:8080", "[::1]:8080", "192.0.2.1:8080"}[n]
		if got := m.hears(address); got != "hello\n" {
			t.Errorf("run %d at %s: %q", n, address, got)
		}
		m.until(web, "restarted", func(_ *container.State, r int) bool { return r > n })
		if out, _, _ := m.run(client); !strings.Contains(out, first.IPAddress) {
			t.Errorf("after run %d web has not the address %s:\n%s", n, first.IPAddress, out)
		}
	}
	now := m.inspect(web)
	if e := now.NetworkSettings.Networks["shop"]; e.IPAddress != first.IPAddress || e.EndpointID != first.EndpointID {
		t.Errorf("%+v, and after restarts %+v", first, e)
	}
	if ports := now.NetworkSettings.Ports["80/tcp"]; len(ports) != 2 {
		t.Errorf("ports after restarts: %v", now.NetworkSettings.Ports)
	}
	m.ok(m.Containers.Stop(bg, web, StopOptions{Timeout: ptr(0)}))
	m.clean()
}

// A container whose program ends for good is unplugged by its monitor's last act, also after restarts.
func TestLastEndUnplugs(t *testing.T) {
	need.SecondKernel(t)
	m := newNetworks(t)
	id := m.detached(by(plugged("bridge", "exit 1", "8080:80"), container.RestartPolicyOnFailure, 2))
	m.until(id, "over", func(s *container.State, n int) bool { return s.Status == "exited" && n == 2 })
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Lstat(m.Containers.root.Container(id).Wiring()); err != nil {
			break
		}
	}
	m.clean()
}

// Limits and policy that are changed while a container runs are those of its next start.
func TestUpdateBeforeRestart(t *testing.T) {
	m := newMachine(t)
	o := shell("trap 'exit 3' TERM; while :; do sleep 0.05; done")
	id := m.detached(o)
	_, err := m.Containers.Update(id, container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: "always"}})
	m.ok(err)
	m.until(id, "running again", func(s *container.State, n int) bool {
		if n == 0 && s.Pid != 0 {
			unix.Kill(s.Pid, unix.SIGTERM) // by itself, as far as glassbox knows; before the trap it is ignored
		}
		return n > 0 && s.Status == "running"
	})
	_, err = m.Containers.Update(id, container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: "no"}})
	m.ok(err)
	m.until(id, "over", func(s *container.State, _ int) bool {
		if s.Pid != 0 {
			unix.Kill(s.Pid, unix.SIGTERM)
		}
		return s.Status == "exited"
	})
	_, err = m.Containers.Update(id, container.UpdateConfig{RestartPolicy: container.RestartPolicy{Name: "always", MaximumRetryCount: 1}})
	m.refuses(err, "invalid restart policy: maximum retry count can only be used with 'on-failure'")
}

// A monitor that is killed while its container waits or runs takes the restarts with it in the first case, which the state says, and none in the second.
func TestMonitorKilledAmidRestarts(t *testing.T) {
	m := newMachine(t)
	id := m.detached(by(shell("exit 1"), container.RestartPolicyAlways, 0))
	m.pauses(id)
	m.orphan(id)
	i := m.until(id, "found", func(s *container.State, _ int) bool { return !s.Running })
	if s := i.State; s.Status != "exited" || s.ExitCode != 1 || s.Error != monitor.NotStartedAgain {
		t.Errorf("%+v", s)
	}
	var booted []string
	m.ok(m.Containers.Boot(bg, func(b Booted) { booted = append(booted, b.String()) }))
	if want := []string{"started " + strings.TrimPrefix(i.Name, "/")}; !slices.Equal(booted, want) {
		t.Errorf("boot: %q, want %q", booted, want)
	}
	m.ok(m.Containers.Remove(bg, id, true, true))
	m.leavesNothing(id)

	id = m.detached(by(shell("trap 'exit 3' TERM; while :; do sleep 0.05; done"), container.RestartPolicyAlways, 0))
	killed := m.orphan(id).MonitorPid
	m.until(id, "running again", func(s *container.State, n int) bool {
		adopter, err := monitor.ReadState(m.Containers.root.Container(id).State())
		if m.ok(err); n == 0 && s.Pid != 0 && adopter.MonitorPid != killed {
			unix.Kill(s.Pid, unix.SIGTERM)
		}
		return n > 0 && s.Status == "running"
	})
	m.ok(m.Containers.Remove(bg, id, true, true))
	m.leavesNothing(id)
}

// An attached client is told the first end, and its signals are the user's.
func TestAttachedToRestarts(t *testing.T) {
	m := newMachine(t)
	out, _, code := m.run(called(by(shell("echo once; exit 4"), container.RestartPolicyOnFailure, 2), "web"))
	if out != "once\n" || code != 4 {
		t.Errorf("%q, %d", out, code)
	}
	m.until("web", "over", func(s *container.State, n int) bool { return s.Status == "exited" && n == 2 })
	if out, _ := m.logs("web", LogOptions{Tail: -1}); strings.Count(out, "once") != 3 {
		t.Errorf("log: %q", out)
	}
	signals := make(chan os.Signal, 1)
	id := m.create(by(shell("trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done"), container.RestartPolicyAlways, 0))
	a, err := m.Containers.StartAttached(bg, id, Streams{Out: &strings.Builder{}, Signals: signals})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	m.waitForLog(id, "ready")
	signals <- unix.SIGINT
	if code, err := a.Run(bg); code != 5 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if s := m.inspect(id); s.State.Status != "exited" || s.RestartCount != 0 {
		t.Errorf("after ^C: %+v", s.State)
	}
}

// A container that shares another's network joins the one that this has now.
func TestRestartInAnothersNamespaces(t *testing.T) {
	need.SecondKernel(t)
	m := newMachine(t)
	donor := m.detached(shell("sleep 1000"))
	o := by(shell("readlink /proc/self/ns/net || ls -l /proc/self/ns/net; sleep 0.5; exit 1"), container.RestartPolicyAlways, 0)
	o.HostConfig.NetworkMode, o.HostConfig.PidMode = container.NetworkMode("container:"+donor), container.PidMode("container:"+donor)
	id := m.detached(o)
	m.until(id, "restarted", func(_ *container.State, n int) bool { return n >= 1 })
	m.ok(m.Containers.Restart(bg, donor, StopOptions{Timeout: ptr(0)}))
	i := m.until(id, "restarted again, or over", func(s *container.State, n int) bool { return s.Status == "exited" || n >= 4 })
	// Between two of its processes there is nothing to join: that ends it, and is told.
	if i.State.Status == "exited" && !strings.Contains(i.State.Error, "join") && !strings.Contains(i.State.Error, "namespace /proc/") {
		t.Errorf("%+v", i.State)
	}
}

// Each container of a boot comes after those that it needs.
func TestWaves(t *testing.T) {
	m := newMachine(t)
	base := m.create(called(shell("sleep 1000"), "base"))
	guest := called(shell("sleep 1000"), "guest")
	guest.HostConfig.NetworkMode = container.NetworkMode("container:" + base)
	guestID := m.create(guest)
	inner := called(shell("sleep 1000"), "inner")
	inner.HostConfig.PidMode = container.PidMode("container:" + guestID)
	m.create(inner)
	m.create(called(shell("sleep 1000"), "alone"))
	all, err := m.Containers.everything()
	m.ok(err)
	var names []string
	for _, wave := range m.Containers.waves(all) {
		var in []string
		for _, l := range wave {
			in = append(in, l.Name)
		}
		names = append(names, strings.Join(in, "+"))
	}
	if want := []string{"base+alone", "guest", "inner"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
