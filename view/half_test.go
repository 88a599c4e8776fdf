package view

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// While a start is stepped, view shows the process as it is: its namespaces before its mounts, its mounts before the pivot.
func TestHalfMade(t *testing.T) {
	m := newMachine(t)
	m.sh("glassbox run --rm tiny true 2>/dev/null") // the image is there
	run := exec.Command("glassbox", "run", "-d", "--step", "--name", "half", "--hostname", "made", "-v", os.Getenv("DIR")+":/data", "tiny", "sleep", "1000")
	keys, err := pty.Start(run)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	go io.Copy(io.Discard, keys)
	say := func(line string) { fmt.Fprint(keys, line+"\r") }
	at := func(call string) *View {
		t.Helper()
		say("b " + call)
		m.soon(call, func() bool {
			return strings.Contains(m.sh("glassbox view half 2>&1 || true"), "waits before step") && strings.HasPrefix(m.view("half").Waits.Call, call)
		})
		return m.view("half")
	}
	said := ""
	defer func() { t.Log(said) }()
	m.soon("the first pause", func() bool {
		said = m.sh("glassbox view half 2>&1 || true")
		return strings.Contains(said, "container half has no process yet: its start waits before the host's request mkdirat")
	})

	v := at("sethostname")
	if v.Namespaces[2].Same || v.Hostname.Container == "made" || v.Hostname.Mark != "not yet asked made" || !v.Root.Same {
		t.Errorf("before sethostname: %+v, %+v, %+v", v.Namespaces[2], v.Hostname, v.Root)
	}
	v = at("pivot_root")
	if v.Namespaces[1].Same || !v.Root.Same || v.Hostname.Container != "made" {
		t.Errorf("before pivot_root: %+v, %+v, %+v", v.Namespaces[1], v.Root, v.Hostname)
	}
	roots := 0
	for _, mount := range v.Mounts {
		if mount.Type == "overlay" && mount.Role == roleRoot {
			roots++
		} else if mount.Role != roleHost {
			t.Errorf("before pivot_root: %+v", mount)
		}
	}
	if roots != 1 {
		t.Errorf("before pivot_root there are %d roots", roots)
	}
	v = at("umount2")
	if v.Root.Same || v.Root.Type != "overlay" {
		t.Errorf("before umount2: %+v", v.Root)
	}
	v = at("seccomp")
	if v.at("/data") == nil || v.at("/proc") == nil || v.at("/data").Role != roleAsked || len(v.Capabilities.Effective) == v.Capabilities.Known {
		t.Errorf("before seccomp: %+v, %+v", v.Mounts, v.Capabilities)
	}
	for _, d := range v.Differences {
		if !strings.HasPrefix(d.Mark, "not yet ") {
			t.Errorf("before seccomp: %+v", d)
		}
	}
	say("c")
	if err := run.Wait(); err != nil {
		t.Error(err)
	}
	if v = m.view("half"); v.Waits != nil || v.Status != "running" || len(v.Differences) > 0 || v.Processes[0].Command != "sleep 1000" {
		t.Errorf("at last: %+v", v)
	}
}
