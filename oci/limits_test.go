package oci_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/bundle"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func resources(memory int64) *specs.LinuxResources {
	return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &memory}}
}

// update changes what it names and leaves the rest; limits that depend on each other are computed from both.
func TestUpdate(t *testing.T) {
	mount := need.CgroupV2(t, "cpu", "memory", "pids")
	b := newBox(t, "sleep", "1000")
	b.Spec.Linux.Resources = resources(64 << 20)
	b.create()
	file := func(name string) string {
		text, err := os.ReadFile(filepath.Join(mount, b.Spec.Linux.CgroupsPath, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	check := func(name, want string) {
		t.Helper()
		if got := file(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	b.ok("update", "--pids-limit", "42", "--cpu-quota", "20000", b.ID)
	check("pids.max", "42")
	check("cpu.max", "20000 100000")
	check("memory.max", "67108864")
	b.ok("update", "--cpu-period", "50000", b.ID)
	check("cpu.max", "20000 50000")
	b.ok("update", "--memory", "32m", "--memory-reservation", "16m", b.ID)
	check("memory.max", "33554432")
	check("memory.low", "16777216")
	check("pids.max", "42")

	c := b.command("update", "--resources", "-", "--pids-limit", "7", b.ID)
	c.Stdin = strings.NewReader(`{"memory": {"limit": 41943040}}`)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	check("memory.max", "41943040")
	check("pids.max", "42") // with --resources other flags do not count

	// What the kernel refuses changes nothing: the period is set first, and put back.
	b.refused(1, "cpu", "update", "--pids-limit", "43", "--cpu-period", "1", b.ID)
	check("cpu.max", "20000 50000")
	check("pids.max", "42")
}

// Rules for devices count from one moment to the next.
func TestUpdateDevices(t *testing.T) {
	b := script(t, "while true; do if (: </dev/loop-control); then echo may; else echo may not; fi >/tmp/new; mv /tmp/new /tmp/now; done 2>/dev/null")
	b.Spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/loop-control", Type: "c", Major: 10, Minor: 237}}
	major, minor := int64(10), int64(237)
	rule := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "rw"}
	b.Spec.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}, rule}}
	b.quiet("run", "--detach", "--bundle", b.written(), b.ID)
	says := func(want string) {
		t.Helper()
		eventually(t, func() error {
			if text, _ := os.ReadFile(b.Root("tmp/now")); string(text) != want+"\n" {
				return fmt.Errorf("the container says %q, not %q", text, want)
			}
			return nil
		})
	}
	update := func(rules ...specs.LinuxDeviceCgroup) {
		t.Helper()
		text, err := json.Marshal(specs.LinuxResources{Devices: rules})
		if err != nil {
			t.Fatal(err)
		}
		c := b.command("update", "--resources", "-", b.ID)
		c.Stdin = bytes.NewReader(text)
		if a := bundle.Run(t, c); a.Code != 0 {
			t.Fatalf("%+v", a)
		}
	}
	says("may")
	update(specs.LinuxDeviceCgroup{Access: "rwm"})
	says("may not")
	update(specs.LinuxDeviceCgroup{Access: "rwm"}, rule)
	says("may")
}

func TestUpdateRefuses(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	b.create()
	b.refused(1, "invalid size: 'much'", "update", "--memory", "much", b.ID)
	b.refused(1, "linux.intelRdt is not managed by glassrun", "update", "--l3-cache-schema", "L3:0=f", b.ID)
	b.refused(1, "linux.resources.cpu.realtimePeriod", "update", "--cpu-rt-period", "1000", b.ID)
	b.refused(1, "resources: ", "update", "--resources", b.Path("nowhere"), b.ID)
	b.refused(1, "container does not exist", "update", "--pids-limit", "1", "nobody")
	b.ok("kill", b.ID, "KILL")
	b.await("stopped")
	b.refused(1, "container not running", "update", "--pids-limit", "1", b.ID)
}

// Nothing of a paused container runs; a created one can be paused too.
func TestPauseAndResume(t *testing.T) {
	b := script(t, "while true; do date +%N >/tmp/now; done")
	b.create()
	b.ok("pause", b.ID)
	b.await("paused")
	b.ok("resume", b.ID)
	b.await("created")
	b.refused(1, "container not paused", "resume", b.ID)
	b.ok("start", b.ID)
	now := func() string {
		text, _ := os.ReadFile(b.Root("tmp/now"))
		return string(text)
	}
	b.ok("pause", b.ID)
	b.refused(1, "container not running", "pause", b.ID)
	before := now()
	b.ok("list")
	if after := now(); after != before {
		t.Errorf("%q became %q in a paused container", before, after)
	}
	b.ok("resume", b.ID)
	eventually(t, func() error {
		if now() == before {
			return os.ErrDeadlineExceeded
		}
		return nil
	})
	b.ok("kill", b.ID, "KILL")
	b.await("stopped")
	b.refused(1, "container not running", "pause", b.ID)
	b.refused(1, "container not paused", "resume", b.ID)
}

// A container that is in no cgroup is seen, by its PID namespace, and can be entered; what would need a group is refused.
func TestWithoutGroup(t *testing.T) {
	mount := need.Hierarchy(t)
	b := script(t, "sleep 1000 & exec sleep 1001")
	b.Write(t)
	c := b.command("--rootless", "true", "run", "--detach", "--bundle", b.Dir, b.ID)
	c.Args = append([]string{"unshare", "--mount", "sh", "-c", `mount -o remount,ro,bind "$0" && exec "$@"`, mount, c.Path}, c.Args[1:]...)
	c.Path = need.Program(t, "unshare")
	out, err := os.Create(b.Path("output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.Stdout, c.Stderr = out, out
	if a := bundle.Run(t, c); a.Code != 0 {
		t.Fatalf("run: %s", b.output())
	}
	eventually(t, func() error {
		var pids []int
		if err := json.Unmarshal([]byte(b.ok("ps", "--format", "json", b.ID)), &pids); err != nil || len(pids) != 2 {
			return fmt.Errorf("two processes are expected: %v %v", pids, err)
		}
		return nil
	})
	b.ok("exec", b.ID, "true")
	for _, args := range [][]string{{"pause", b.ID}, {"update", "--pids-limit", "3", b.ID}, {"events", b.ID}, {"events", "--stats", b.ID}} {
		b.refused(1, "the container is in no cgroup", args...)
	}
}
