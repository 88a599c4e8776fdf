package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// restarting is a container that appends a line to the file runs each time, and ends as the script says.
func restarting(t *testing.T, policy string, most int, script string) *box {
	b := shell(t, "echo run >> $DIR/runs; "+script)
	b.spec.Process.Env = []string{"DIR=" + b.dir}
	b.config.Restart = Restart{Policy: policy, Max: most}
	b.config.Stopped = b.dir + "/stopped"
	b.config.Events = b.dir + "/events"
	b.config.Actor = map[string]string{"name": "first"}
	return b
}

func (b *box) runs() int {
	data, _ := os.ReadFile(b.dir + "/runs")
	return strings.Count(string(data), "\n")
}

// events are the actions in the journal.
func (b *box) events() (actions []string) {
	data, _ := os.ReadFile(b.config.Events)
	for line := range strings.Lines(string(data)) {
		_, after, _ := strings.Cut(line, `"Action":"`)
		action, _, _ := strings.Cut(after, `"`)
		actions = append(actions, action)
	}
	return actions
}

func (b *box) gone() State {
	b.t.Helper()
	until(b.t, "the monitor's end", func() bool { _, err := Dial(b.dir); return errors.Is(err, ErrDead) })
	return b.state()
}

func TestOnFailureGivesUp(t *testing.T) {
	t.Parallel()
	b := restarting(t, OnFailure, 3, "exit 7")
	b.config.Cleanup = []string{"/bin/sh", "-c", "echo cleaned >> " + b.dir + "/mark"}
	began := time.Now()
	b.start()
	s := b.gone()
	if s.Status != Exited || s.ExitCode != 7 || s.Restarts != 3 || b.runs() != 4 {
		t.Errorf("%d runs, %+v", b.runs(), s)
	}
	if took := time.Since(began); took < 700*time.Millisecond { // 100 + 200 + 400
		t.Errorf("three restarts within %v", took)
	}
	if got := strings.Join(b.events(), " "); got != "start die start die start die start die" {
		t.Errorf("events: %s", got)
	}
	mark := func() string { text, _ := os.ReadFile(b.dir + "/mark"); return string(text) }
	until(t, "the cleanup", func() bool { return mark() != "" })
	if mark() != "cleaned\n" {
		t.Errorf("the cleanup ran so often: %q", mark())
	}
}

func TestSuccessEndsOnFailure(t *testing.T) {
	b := restarting(t, OnFailure, 0, `[ $(wc -l < $DIR/runs) = 3 ]`)
	b.start()
	if s := b.gone(); s.ExitCode != 0 || s.Restarts != 2 || b.runs() != 3 || s.Error != "" {
		t.Errorf("%d runs, %+v", b.runs(), s)
	}
}

// Who is attached is told the end of each run, and the next run is one to attach to as well.
func TestClientsOfRestarts(t *testing.T) {
	b := restarting(t, Always, 0, `echo out $(wc -l < $DIR/runs); read x < $DIR/gate; exit 5`)
	gate := b.dir + "/gate"
	if err := unix.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() { os.WriteFile(gate, []byte("go\n"), 0) }
	c := b.create()
	if err := c.TakeCleanup(); err != nil {
		t.Fatal(err)
	}
	f := b.attach(both)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	open()
	if code := f.wait(); code != 5 || f.out.String() != "out 1\n" {
		t.Errorf("%d %q", code, f.out.String())
	}
	if s := b.state(); s.Restarts != 1 || s.Status == Exited {
		t.Errorf("when the first end is told: %+v", s)
	}
	if err := c.Cleaned(Rest{}); err != nil { // who was attached goes
		t.Fatal(err)
	}
	until(t, "the second run", func() bool { return b.state().Status == Running })
	second := b.attach(both)
	open()
	if code := second.wait(); code != 5 {
		t.Errorf("exit code %d", code)
	}
	until(t, "the third run", func() bool { return b.runs() == 3 })
	g := b.attach(both)
	b.config.Cleanup = nil
	if err := os.WriteFile(b.config.Stopped, []byte("for good"), 0o600); err != nil {
		t.Fatal(err)
	}
	open()
	if code := g.wait(); code != 5 {
		t.Errorf("exit code %d", code)
	}
	if s := b.gone(); s.Status != Exited || s.Restarts != 2 {
		t.Errorf("%+v", s)
	}
	if got := b.logged("stdout"); got != "out 1\nout 2\nout 3\n" {
		t.Errorf("log %q", got)
	}
}

// pausing starts a container that fails until it waits a second and more.
func pausing(t *testing.T) *box {
	b := restarting(t, Always, 0, "exit 3")
	b.start()
	until(t, "a long pause", func() bool { s := b.state(); return s.Status == Restarting && s.Restarts == 5 })
	return b
}

func TestWaitingForARestart(t *testing.T) {
	t.Parallel()
	b := pausing(t)
	b.renewed()
	if s := b.state(); s.Pid != 0 || s.ExitCode != 3 || s.FinishedAt.IsZero() {
		t.Errorf("%+v", s)
	}
	const words = "Container test is restarting, wait until the container is running"
	if _, err := b.c.Attach(both); err == nil || err.Error() != words {
		t.Errorf("attach: %v", err)
	}
	spec := ExecSpec{}
	spec.Process.Args = []string{"true"}
	if _, err := b.c.Exec(spec, nil); err == nil || err.Error() != words {
		t.Errorf("exec: %v", err)
	}
	waited := make(chan int)
	go func() {
		code, err := b.c.Wait(context.Background(), "")
		if err != nil {
			t.Error(err)
		}
		waited <- code
	}()
	select {
	case <-waited:
		t.Error("told of an end that was before the question")
	case <-time.After(50 * time.Millisecond):
	}
	if kib := privateDirty(t, b.state().MonitorPid); kib > 1536 {
		t.Errorf("%d KiB private dirty", kib)
	}
	began := time.Now()
	if err := b.c.Cancel(); err != nil {
		t.Fatal(err)
	}
	if code := <-waited; code != 3 {
		t.Errorf("exit code %d", code)
	}
	if s := b.gone(); s.Status != Exited || s.ExitCode != 3 || time.Since(began) > 2*time.Second {
		t.Errorf("after %v: %+v", time.Since(began), s)
	}
}

// The pause is as short as the first again after a container has run for ten seconds, and never longer than a minute.
func TestPauses(t *testing.T) {
	m := &monitor{config: Config{Restart: Restart{Policy: Always}}}
	var got []time.Duration
	for range 12 {
		if !m.restarts() {
			t.Fatal("always is not always")
		}
		got = append(got, m.pause)
	}
	want := []int{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000}
	for i, w := range want {
		if got[i] != time.Duration(w)*time.Millisecond {
			t.Errorf("pause %d: %v, want %d ms", i, got[i], w)
		}
	}
	m.state.StartedAt = time.Now().Add(-10 * time.Second)
	m.state.FinishedAt = time.Now()
	if m.restarts(); m.pause != 100*time.Millisecond {
		t.Errorf("after 10 s of running: %v", m.pause)
	}
}

func TestPolicies(t *testing.T) {
	file := t.TempDir() + "/stopped"
	for _, test := range []struct {
		policy                   string
		max, code, restarts      int
		stopped, cancelled, want bool
	}{
		{policy: ""}, {policy: "no", code: 1},
		{policy: Always, want: true}, {policy: Always, stopped: true, want: true}, {policy: Always, stopped: true, cancelled: true},
		{policy: UnlessStopped, want: true}, {policy: UnlessStopped, stopped: true}, {policy: UnlessStopped, code: 1, want: true},
		{policy: OnFailure}, {policy: OnFailure, code: 1, want: true}, {policy: OnFailure, code: 1, stopped: true, want: true},
		{policy: OnFailure, code: 1, max: 2, restarts: 1, want: true}, {policy: OnFailure, code: 1, max: 2, restarts: 2},
	} {
		os.Remove(file)
		if test.stopped {
			word := ""
			if test.cancelled {
				word = "for good"
			}
			if err := os.WriteFile(file, []byte(word), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m := &monitor{config: Config{Restart: Restart{Policy: test.policy, Max: test.max}, Stopped: file}}
		m.state.ExitCode, m.state.Restarts = test.code, test.restarts
		if got := m.restarts(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// The policy and the name are read when they are needed.
func TestPolicyIsReplaced(t *testing.T) {
	b := restarting(t, "no", 0, "sleep 0.3; exit 3")
	b.start()
	b.config.Restart = Restart{Policy: OnFailure, Max: 1}
	b.config.Actor = map[string]string{"name": "second"}
	b.write("monitor.json", b.config)
	if s := b.gone(); s.Restarts != 1 || b.runs() != 2 {
		t.Errorf("%d runs, %+v", b.runs(), s)
	}
	if data, _ := os.ReadFile(b.config.Events); strings.Count(string(data), "first") != 1 || strings.Count(string(data), "second") != 3 {
		t.Errorf("events: %s", data)
	}
}

// A start that fails is the last one, and its error is kept with the exit code of the end before.
func TestRestartThatFails(t *testing.T) {
	b := restarting(t, Always, 0, "exit 4")
	program := b.dir + "/program"
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho run >> $DIR/runs\nrm $0\nexit 4\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.spec.Process.Args = []string{program}
	b.start()
	if s := b.gone(); s.Status != Exited || s.ExitCode != 4 || !strings.Contains(s.Error, "no such file") || b.runs() != 1 || s.Pid != 0 {
		t.Errorf("%d runs, %+v", b.runs(), s)
	}
}

func TestMonitorKilledWhileWaiting(t *testing.T) {
	t.Parallel()
	b := pausing(t)
	b.config.Cleanup = []string{"/bin/sh", "-c", "> " + b.dir + "/mark"}
	b.write("monitor.json", b.config)
	b.killMonitor()
	if _, err := b.adopt(); err == nil || err.Error() != errGone.Error() {
		t.Errorf("adopting it: %v", err)
	}
	if s := b.state(); s.Status != Exited || s.ExitCode != 3 || s.Error != NotStartedAgain {
		t.Errorf("%+v", s)
	}
	until(t, "the cleanup", func() bool { _, err := os.Stat(b.dir + "/mark"); return err == nil })
}

// An adopted container is restarted, too.
func TestAdoptedIsRestarted(t *testing.T) {
	t.Parallel()
	b := restarting(t, OnFailure, 1, "sleep 1; exit 6")
	b.start()
	b.killMonitor()
	if _, err := b.adopt(); err != nil {
		t.Fatal(err)
	}
	if s := b.gone(); s.Status != Exited || s.ExitCode != 6 && s.ExitCode != Unobserved || s.Restarts != 1 || b.runs() != 2 {
		t.Errorf("%d runs, %+v", b.runs(), s)
	}
}

func TestTerminalOfRestarts(t *testing.T) {
	b := restarting(t, OnFailure, 1, "tty -s && echo on a terminal; exit 2").terminal()
	b.start()
	b.gone()
	if got := b.logged("stdout"); got != "on a terminal\r\non a terminal\r\n" {
		t.Errorf("log %q", got)
	}
}

// Restarts leave no descriptors behind.
func TestDescriptorsOfRestarts(t *testing.T) {
	t.Parallel()
	b := restarting(t, Always, 0, fmt.Sprintf("[ $(wc -l < $DIR/runs) -gt %d ] && exec sleep 100; exit 1", 4))
	b.config.OpenStdin = true
	b.start()
	until(t, "the last run", func() bool { s := b.state(); return s.Status == Running && s.Restarts == 4 })
	b.renewed()
	if fds := openFiles(t, b.state().MonitorPid); fds > 16 {
		t.Errorf("%d descriptors are open", fds)
	}
	if kib := privateDirty(t, b.state().MonitorPid); kib > 1536 {
		t.Errorf("%d KiB private dirty", kib)
	}
	os.WriteFile(b.config.Stopped, []byte("for good"), 0o600)
	if err := b.c.Signal("", unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if s := b.gone(); s.ExitCode != 143 {
		t.Errorf("%+v", s)
	}
}
