package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// cause runs a container to its end and returns why it ended.
func (m *machine) cause(o Options) (id string, c *Cause) {
	m.t.Helper()
	id = m.create(o)
	m.ok(m.Containers.Start(bg, id))
	if _, err := m.Containers.Wait(bg, id); err != nil {
		m.t.Fatal(err)
	}
	c, err := m.Containers.Cause(id)
	if err != nil {
		m.t.Fatal(err)
	}
	return id, c
}

const hungry = "x=0123456789abcdef; while :; do x=$x$x; done"

// TestOutOfMemory tells the OOM killer's SIGKILL from others, and what it did to PID 1 from what it did to another process.
func TestOutOfMemory(t *testing.T) {
	need.CgroupV2(t, "memory")
	m := newMachine(t)
	for _, c := range []struct {
		script, text string
		code         int
		init         bool
	}{
		{hungry, "the kernel's OOM killer ended it: its memory had reached its limit of 16MiB", 137, false},
		{"sh -c '" + hungry + "'; exit $?", "it ended with 137 after the kernel's OOM killer had ended a process in it: its memory had reached its limit of 16MiB", 137, false},
		{"sh -c '" + hungry + "'; exit 3", "it ended with 3 after the kernel's OOM killer had ended a process in it: its memory had reached its limit of 16MiB", 3, false},
		{hungry, "it ended with 137 after the kernel's OOM killer had ended a process in it: its memory had reached its limit of 16MiB", 137, true},
	} {
		o := shell(c.script)
		o.HostConfig.Memory, o.HostConfig.MemorySwap, o.HostConfig.Init = 16<<20, 16<<20, &c.init
		id, cause := m.cause(o)
		if s := m.inspect(id).State; !s.OOMKilled || s.ExitCode != c.code || s.Error != "" {
			t.Errorf("%s: %+v", c.script, s)
		}
		if cause == nil || cause.Text != c.text || !strings.HasPrefix(cause.Hint.Fix, "glassbox update -m 33554432 ") {
			t.Errorf("%s: %+v, want %s", c.script, cause, c.text)
		}
		if !m.told(id, "oom") {
			t.Errorf("%s: no event tells of it", c.script)
		}
	}
}

// told looks for an event of a container.
func (m *machine) told(id, action string) bool {
	m.t.Helper()
	events, err := journal(m.Containers.root).Read(func(string) {})
	if err != nil {
		m.t.Fatal(err)
	}
	defer events.Close()
	for {
		e, more, err := events.Next()
		if err != nil || !more {
			return false
		}
		if e.ID == id && e.Action == action {
			return true
		}
	}
}

func TestCauses(t *testing.T) {
	m := newMachine(t)
	for script, want := range map[string]string{
		"exit 0": "", "exit 3": "", "exit 125": "",
		"exit 127": "its program started, and ended with 127", "exit 126": "its program started, and ended with 126",
		"exit 137": "it ended by itself, with 137 = 128 + 9", "exit 200": "", "exit 255": "",
		"sh -c 'kill -SEGV $$'; exit $?": "it ended by itself, with 139 = 128 + 11",
	} {
		got := ""
		if _, c := m.cause(shell(script)); c != nil {
			got = c.Text
		}
		if got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
	signalled := func(do func(id string) error) string {
		id := m.detached(shell("exec sleep 1000"))
		m.ok(do(id))
		if _, err := m.Containers.Wait(bg, id); err != nil {
			t.Fatal(err)
		}
		c, err := m.Containers.Cause(id)
		if err != nil || c == nil {
			t.Fatal(c, err)
		}
		return c.Text
	}
	one := 1
	for want, do := range map[string]func(id string) error{
		"which glassbox did not send": func(id string) error { return unix.Kill(m.inspect(id).State.Pid, unix.SIGKILL) },
		"which glassbox sent: kill":   func(id string) error { return m.Containers.Kill(id, "KILL") },
		"glassbox had sent SIGTERM 1": func(id string) error { return m.Containers.Stop(bg, id, StopOptions{Timeout: &one}) },
	} {
		if got := signalled(do); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// The next life is another one.
	id := m.detached(shell("test -e /tmp/again && exit 5; touch /tmp/again; exec sleep 1000"))
	eventually(t, "its first life is noted", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/%d/root/tmp/again", m.inspect(id).State.Pid))
		return err == nil
	})
	m.ok(m.Containers.Kill(id, "KILL"))
	m.ok(m.Containers.Start(bg, id))
	if code, err := m.Containers.Wait(bg, id); code != 5 || err != nil {
		t.Error(code, err)
	}
	if c, err := m.Containers.Cause(id); c != nil || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := m.Containers.Cause(m.create(shell("true"))); c != nil || err != nil {
		t.Errorf("never started: %+v, %v", c, err)
	}
}
