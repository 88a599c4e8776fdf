package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
)

func TestCheckCgroup(t *testing.T) {
	for _, c := range []struct {
		file, value string
		with        container.Resources
		refused     string // empty: it is not
	}{
		{"memory.high", "64M", container.Resources{Memory: 128 << 20}, ""},
		{"memory.swap.max", "0", container.Resources{Memory: 128 << 20}, ""},
		{"cgroup.max.depth", "2", container.Resources{}, ""},
		{"cgroup.pressure", "0", container.Resources{}, ""},
		{"memory.max", "64M", container.Resources{Memory: 128 << 20}, "--cgroup memory.max and --memory set the same file"},
		{"cpu.max", "1 2", container.Resources{NanoCPUs: 1e9, CPUPeriod: 1000}, "--cgroup cpu.max and --cpus --cpu-period"},
		{"pids.max", "3", container.Resources{PidsLimit: new(int64)}, "--pids-limit"},
		{"io.bfq.weight", "3", container.Resources{BlkioWeight: 10}, "--blkio-weight"},
		{"memory.high", " ", container.Resources{}, "the value is missing"},
		{"../x/memory.high", "1", container.Resources{}, `"../x/memory.high" is not the name`},
		{"memory", "1", container.Resources{}, `"memory" is not the name`},
		{".high", "1", container.Resources{}, `".high" is not the name`},
		{"cgroup.procs", "1", container.Resources{}, "does something at once"},
		{"cgroup.kill", "1", container.Resources{}, "does something at once"},
		{"memory.reclaim", "1M", container.Resources{}, "does something at once"},
		{"memory.pressure", "some 1 2", container.Resources{}, "does something at once"},
	} {
		err := checkCgroup(map[string]string{c.file: c.value}, c.with)
		if c.refused == "" && err != nil || c.refused != "" && (!Is(err, InvalidParameter) || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s=%s: %v; want %q", c.file, c.value, err, c.refused)
		}
	}
}

func TestCgroupFiles(t *testing.T) {
	need.CgroupV2(t, "memory", "pids", "cpu")
	m := newMachine(t)
	o := shell("exec sleep 1000")
	o.HostConfig.Memory, o.Explain = 128<<20, true
	o.Cgroup = map[string]string{"memory.high": "64M", "cpu.weight": "50", "pids.max": "20", "memory.oom.group": "1", "memory.swap.max": "0"}
	id := m.detached(o)
	g, err := m.Containers.groupOf(&record{ID: id, HostConfig: o.HostConfig})
	if err != nil {
		t.Fatal(err)
	}
	hold := func(want map[string]string) {
		t.Helper()
		for name, value := range want {
			if data, err := os.ReadFile(filepath.Join(g.Path, name)); err != nil || strings.TrimSpace(string(data)) != value {
				t.Errorf("%s: %q, %v; want %s", name, data, err, value)
			}
		}
	}
	want := map[string]string{"memory.high": "67108864", "memory.max": "134217728", "cpu.weight": "50", "pids.max": "20", "memory.oom.group": "1", "memory.swap.max": "0"}
	hold(want)
	account, err := m.Containers.Account(id)
	m.ok(err)
	written := false
	for _, phase := range account {
		for _, d := range phase.Host {
			written = written || strings.Contains(d.Call, `memory.high", "64M"`) && strings.HasSuffix(d.From, "unified.memory.high")
		}
	}
	if !written {
		t.Errorf("the account does not tell of memory.high: %+v", account)
	}
	_, err = m.Containers.Update(id, container.UpdateConfig{Resources: container.Resources{Memory: 256 << 20, MemorySwap: 512 << 20}})
	if !Is(err, InvalidParameter) || !strings.Contains(err.Error(), "--cgroup memory.swap.max and --memory-swap set the same file") {
		t.Errorf("update of what --cgroup has set: %v", err)
	}
	_, err = m.Containers.Update(id, container.UpdateConfig{Resources: container.Resources{Memory: 192 << 20}})
	m.ok(err)
	want["memory.max"] = "201326592"
	hold(want)
	m.ok(m.Containers.Stop(bg, id, StopOptions{Timeout: ptr(1)}))
	m.ok(m.Containers.Start(bg, id))
	hold(want)
}

func TestCgroupFileThatIsNone(t *testing.T) {
	need.CgroupV2(t, "memory")
	m := newMachine(t)
	first := shell("exec sleep 1000")
	first.Cgroup = map[string]string{"memory.high": "64M"}
	m.detached(first) // by its group the kernel's files are known
	for _, file := range []string{"memory.hihg", "memory.current", "network.max"} {
		o := shell("true")
		o.Cgroup = map[string]string{file: "1"}
		_, err := m.Containers.Create(bg, o)
		var e *Error
		if !errors.As(err, &e) || e.Hint == nil || e.Hint.Why == "" {
			t.Errorf("%s: %v, %+v", file, err, e)
		}
	}
	o := shell("true")
	o.Cgroup = map[string]string{"memory.high": "lots"}
	err := m.Containers.Start(bg, m.create(o))
	if err == nil || !strings.Contains(err.Error(), "memory.high") || !strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("a value that is none: %v", err)
	}
}
