package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/cgroups"
	"glassbox/test/need"
)

func TestTrafficOf(t *testing.T) {
	const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0
  eth0:12345678      20    0    0    0     0          0         0       42       3    0    0    0     0       0          0
 eth10:       7       1    0    0    0     0          0         0        8       1    0    0    0     0       0          0
`
	for name, want := range map[string]Traffic{"eth0": {12345678, 42}, "eth10": {7, 8}, "eth1": {}, "lo": {1000, 1000}} {
		if got := trafficOf(text, name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestShare(t *testing.T) {
	m := &meter{}
	if p := m.share(7, time.Second); p != nil {
		t.Errorf("the first measurement says %v", *p)
	}
	m.at = time.Now().Add(-2 * time.Second)
	if p := m.share(7, 2*time.Second); p == nil || *p < 45 || *p > 50 {
		t.Errorf("one second of two is %v", p)
	}
	m.at = m.at.Add(-time.Second)
	if p := m.share(7, 2*time.Second); p == nil || *p != 0 {
		t.Errorf("nothing is %v", p)
	}
	if p := m.share(8, 3*time.Second); p != nil {
		t.Errorf("another process's time counted: %v", *p)
	}
}

func TestMemoryOf(t *testing.T) {
	all := machineMemory()
	for _, c := range []struct {
		in   cgroups.MemoryUsage
		want Memory
	}{
		{cgroups.MemoryUsage{Current: 100, InactiveFile: 30, Max: 1000}, Memory{70, 1000}},
		{cgroups.MemoryUsage{Current: 100, InactiveFile: 100, Max: cgroups.Unlimited}, Memory{100, all}}, // as docker/cli
		{cgroups.MemoryUsage{Current: 100, Max: all + 1}, Memory{100, all}},
	} {
		if got := memoryOf(&c.in); *got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.in, *got, c.want)
		}
	}
}

// stats are the results of a call, by the containers' names.
func (m *machine) stats(o StatsOptions) map[string]Usage {
	m.t.Helper()
	o.Once = true
	found := map[string]Usage{}
	m.ok(m.Containers.Stats(bg, o, func(all []Usage) error {
		for _, u := range all {
			found[strings.TrimPrefix(u.Name, "/")] = u
		}
		return nil
	}))
	return found
}

func names(found map[string]Usage) string {
	var all []string
	for name := range found {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestStats(t *testing.T) {
	m := newMachine(t)
	idle := m.detached(called(shell("sleep 1000 & exec sleep 1000"), "idle"))
	m.detached(called(shell("while :; do :; done"), "busy"))
	m.create(called(shell("true"), "made"))
	if got := names(m.stats(StatsOptions{})); got != "busy idle" {
		t.Errorf("without names: %s", got)
	}
	if got := names(m.stats(StatsOptions{All: true})); got != "busy idle made" {
		t.Errorf("all: %s", got)
	}
	found := m.stats(StatsOptions{Names: []string{"made", idle[:12], "busy"}})
	for name, least := range map[string]float64{"idle": 0, "made": 0, "busy": 1} { // percent, on a machine however busy
		u := found[name]
		if u.CPU == nil || *u.CPU < least || *u.CPU > 150 {
			t.Errorf("%s: CPU %v", name, u.CPU)
		}
	}
	if u := found["made"]; u.Memory == nil || *u.Memory != (Memory{}) || u.Pids == nil || *u.Pids != 0 || u.Block == nil || u.Network == nil {
		t.Errorf("one that does not run: %+v", u)
	}
	if u := found["idle"]; u.Pids == nil || *u.Pids != 2 || u.Container != idle[:12] || u.ID != idle {
		t.Errorf("idle: %+v", u)
	}
	err := m.Containers.Stats(bg, StatsOptions{Names: []string{"no1", "idle", "no2"}}, nil)
	if err == nil || err.Error() != "No such container: no1\nNo such container: no2" {
		t.Error(err)
	}
}

// TestStatsFollow: containers come and go while others are watched.
func TestStatsFollow(t *testing.T) {
	m := newMachine(t)
	m.detached(called(shell("sleep 1000"), "first"))
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeout(bg, time.Minute)
	defer cancel()
	var late string
	err := m.Containers.Stats(ctx, StatsOptions{}, func(all []Usage) error {
		found := map[string]Usage{}
		for _, u := range all {
			found[strings.TrimPrefix(u.Name, "/")] = u
		}
		switch got := names(found); {
		case late == "" && got == "first":
			late = m.detached(called(shell("sleep 1000"), "late"))
		case late != "" && got == "first late":
			m.ok(m.Containers.Kill(bg, late, KillOptions{}))
			late = "gone"
		case late == "gone" && got == "first":
			return enough
		}
		return nil
	})
	if err != enough {
		t.Error(err)
	}
}

// TestStatsCount compares with the kernel's own numbers, where it has the controllers.
func TestStatsCount(t *testing.T) {
	need.CgroupV2(t, "memory", "pids", "io")
	m := newMachine(t)
	const script = `dd if=/dev/zero of=/tmp/x bs=1M count=8 conv=fsync; x=$(head -c 4000000 /dev/zero | tr '\0' x); echo ready; while :; do :; done`
	o := called(shell(script), "busy")
	o.HostConfig.Memory = 64 << 20
	id := m.detached(o)
	m.waitForLog(id, "ready")
	m.detached(called(shell("sleep 1000"), "free"))
	found := m.stats(StatsOptions{})
	g, err := m.Containers.groupOf(&record{ID: id, HostConfig: o.HostConfig})
	if err != nil {
		t.Fatal(err)
	}
	now, err := g.Stat()
	if err != nil {
		t.Fatal(err)
	}
	u := found["busy"]
	if u.Memory == nil || u.Memory.Limit != 64<<20 || u.Memory.Used < 4e6 || u.Memory.Used > now.Memory.Current*2 {
		t.Errorf("memory %+v, the kernel says %+v", u.Memory, now.Memory)
	}
	if u.Pids == nil || *u.Pids != 1 || now.Pids.Current != 1 {
		t.Errorf("pids %v, the kernel says %+v", u.Pids, now.Pids)
	}
	if n, ok := g.Threads(); !ok || n != now.Pids.Current {
		t.Errorf("counted threads: %d, %v", n, ok)
	}
	if u.CPU == nil || *u.CPU < 5 || *u.CPU > 150 {
		t.Errorf("CPU %v of a loop", u.CPU)
	}
	if u.Block == nil {
		t.Error("no block devices, though there is a controller")
	}
	if f := found["free"]; f.Memory == nil || f.Memory.Limit != machineMemory() {
		t.Errorf("without a limit: %+v", f.Memory)
	}
}
