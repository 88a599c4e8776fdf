package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"glassbox/monitor"
	"glassbox/store"
	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
)

// orphan kills a container's monitor, and does not wait for its death.
func (m *machine) orphan(id string) monitor.State {
	m.t.Helper()
	var s monitor.State
	m.ok(store.Read(m.Containers.root.Container(id).State(), &s))
	m.ok(syscall.Kill(s.MonitorPid, syscall.SIGKILL))
	return s
}

func TestExecAtOnceAfterTheMonitorsDeath(t *testing.T) {
	need.SecondKernel(t)
	m := newMachine(t)
	id := m.detached(shell("exec sleep 1000"))
	ctx, cancel := context.WithTimeout(bg, 60*time.Second)
	defer cancel()
	exec := func(script string) (string, error) {
		var out bytes.Buffer
		o := ExecOptions{ExecOptions: container.ExecOptions{Cmd: []string{"sh", "-c", script}}}
		a, _, err := m.Containers.Exec(ctx, id, o, Streams{Out: &out})
		if err != nil {
			return "", err
		}
		defer a.Close()
		if code, err := a.Run(ctx); code != 0 || err != nil {
			return "", fmt.Errorf("exit code %d: %w", code, err)
		}
		return strings.TrimSpace(out.String()), nil
	}
	unsure := 0
	for round := range 20 {
		m.orphan(id)
		text, err := exec("echo once >> /log; cat /log; echo > /log")
		if err != nil && strings.Contains(err.Error(), "which may run or not") {
			// The signal came when the monitor had just read the request: nobody can know, and it is said so rather than run twice.
			unsure++
			_, err = exec("echo > /log")
			text = "once"
		}
		if err != nil || text != "once" {
			t.Fatalf("round %d: %q, %v", round, text, err)
		}
	}
	if unsure > 10 {
		t.Errorf("%d of 20 could not be told", unsure)
	}
}

func TestAttachAtOnceAfterTheMonitorsDeath(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("exec sleep 1000"))
	for round := range 10 {
		m.orphan(id)
		a, err := m.Containers.Attach(bg, id, Streams{Out: &bytes.Buffer{}})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		m.ok(a.Close())
	}
}

func TestRemoveAtOnceAfterTheMonitorsDeath(t *testing.T) {
	m := newMachine(t)
	for _, also := range []bool{false, true} { // whether the container dies with it
		for round := range 4 {
			o := shell("exec sleep 1000")
			o.HostConfig.AutoRemove = round%2 == 1
			id := m.detached(o)
			s := m.orphan(id)
			if also {
				m.ok(syscall.Kill(s.Pid, syscall.SIGKILL))
			}
			if err := m.Containers.Remove(bg, id, true, true); err != nil && !(o.HostConfig.AutoRemove && Is(err, NotFound)) {
				t.Fatalf("round %d, %v: %v", round, also, err)
			}
			for range 200 { // with --rm somebody else may be at it
				if _, err := os.Lstat(m.Containers.root.Container(id).Dir); errors.Is(err, os.ErrNotExist) {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			m.leavesNothing(id)
		}
	}
}

// A start whose monitor was killed at the gate leaves a group that nobody else will remove.
func TestMonitorKilledAtTheGate(t *testing.T) {
	m := newMachine(t)
	id := m.create(shell("exec sleep 1000"))
	r, err := m.Containers.load(id)
	m.ok(err)
	client, _, err := m.Containers.launch(r, nil)
	m.ok(err)
	m.orphan(id)
	m.ok(client.Close())
	m.ok(m.Containers.Start(bg, id))
	m.ok(m.Containers.Kill(bg, id, KillOptions{}))
	client, _, err = m.Containers.launch(r, nil)
	m.ok(err)
	m.orphan(id)
	m.ok(client.Close())
	m.ok(m.Containers.Remove(bg, id, true, true))
	m.leavesNothing(id)
}

// What is asked of a container whose directory somebody has deleted is refused at once, with one warning.
func TestExecWithoutDirectory(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("exec sleep 1000"))
	m.ok(os.RemoveAll(m.Containers.root.Container(id).Run))
	warnings := 0
	m.Containers.Warn = func(string) { warnings++ }
	o := ExecOptions{ExecOptions: container.ExecOptions{Cmd: []string{"true"}}}
	if _, _, err := m.Containers.Exec(bg, id, o, Streams{}); err == nil || warnings > 3 {
		t.Errorf("%v, after %d warnings", err, warnings)
	}
}
