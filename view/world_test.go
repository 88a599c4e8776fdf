package view

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"glassbox/test/need"
	"glassbox/test/world"
)

// TestMain runs the tests in a world of their own, with the programs built.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	os.Exit(world.Run(world.BuildGlassbox, m.Run))
}

// machine is glassbox with directories of its own. What it started goes at the end.
type machine struct{ testing.TB }

func newMachine(t testing.TB) *machine {
	t.Helper()
	need.Root(t)
	need.Hierarchy(t)
	world.Own(t)
	t.Setenv("DIR", t.TempDir())
	m := &machine{t}
	t.Cleanup(func() { m.sh("glassbox ps -aq | xargs -r glassbox rm -f") })
	return m
}

// sh runs a command of the host's shell and returns what it says.
func (m *machine) sh(command string) string {
	m.Helper()
	out, err := exec.Command("sh", "-c", command).Output()
	if err != nil {
		failed := err.Error()
		if exit, ok := err.(*exec.ExitError); ok {
			failed += "\n" + string(exit.Stderr)
		}
		m.Errorf("%s: %s", command, failed)
	}
	return strings.TrimRight(string(out), "\n")
}

// run starts a container of the built-in image and returns its first process.
func (m *machine) run(name, flags, command string) (pid string) {
	m.Helper()
	m.sh("glassbox run -d --name " + name + " " + flags + " tiny " + command + " 2>/dev/null")
	return m.sh("glassbox inspect -f '{{.State.Pid}}' " + name)
}

// view is what glassbox shows, read back.
func (m *machine) view(name string) *View {
	m.Helper()
	var v View
	if err := json.Unmarshal([]byte(m.sh("glassbox view --format json "+name)), &v); err != nil {
		m.Fatal(err)
	}
	return &v
}

// soon waits until a condition holds.
func (m *machine) soon(what string, holds func() bool) {
	m.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			m.Fatalf("not within 20 seconds: %s", what)
		}
	}
}

// equal compares what view shows with what another program says.
func (m *machine) equal(what, shown, independent string) {
	m.Helper()
	if shown != independent {
		m.Errorf("%s: view shows\n%s\nbut it is\n%s", what, shown, independent)
	}
}
