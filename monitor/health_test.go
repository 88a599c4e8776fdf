package monitor

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// checked is a container whose health is checked by a shell script.
func checked(t testing.TB, script string) *box {
	b := shell(t, "exec sleep 1000")
	b.config.Events = filepath.Join(b.dir, "events")
	b.config.Actor = map[string]string{"image": "bb", "name": "box"}
	b.config.Health = &Health{
		Process:  specs.Process{Args: []string{"/bin/sh", "-c", script}, Cwd: "/"},
		Interval: 20 * time.Millisecond, Timeout: 30 * time.Second, StartInterval: 20 * time.Millisecond, Retries: 3, File: filepath.Join(b.dir, "health.json"),
	}
	t.Cleanup(b.over)
	return b
}

// over ends the container and waits for its monitor, which may still write of a check.
func (b *box) over() {
	if s, err := ReadState(b.config.StateFile); err == nil && s.MonitorPid > 0 {
		if s.Alive() {
			unix.Kill(-s.Pid, unix.SIGKILL)
		}
		b.c.Close()
		until(b.t, "the monitor's end", func() bool { return unix.Kill(s.MonitorPid, 0) != nil })
	}
}

// checks waits until the checks have brought something about.
func (b *box) checks(what string, f func(State, HealthState) bool) (h HealthState) {
	b.t.Helper()
	until(b.t, what, func() bool {
		s, err := ReadState(b.config.StateFile)
		h = HealthState{}
		store.Read(b.config.Health.File, &h)
		return err == nil && f(s, h)
	})
	return h
}

func (b *box) untilHealth(word string) HealthState {
	b.t.Helper()
	return b.checks(word, func(s State, h HealthState) bool { return s.Health == word && len(h.Log) > 0 })
}

func TestHealthTurns(t *testing.T) {
	b := checked(t, "")
	ok := filepath.Join(b.dir, "ok")
	b.config.Health.Process.Args[2] = "echo said; test -e " + ok
	b.start()
	if s := b.state(); s.Health != Starting {
		t.Errorf("just started: %q, want starting", s.Health)
	}
	h := b.untilHealth(Unhealthy)
	if h.FailingStreak < 3 || h.Log[0].ExitCode != 1 || h.Log[0].Output != "said\n" || !h.Log[0].End.After(h.Log[0].Start) {
		t.Errorf("after three failures: %+v", h)
	}
	if err := os.WriteFile(ok, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.checks("no failures", func(s State, h HealthState) bool {
		return s.Health == Healthy && h.FailingStreak == 0 && len(h.Log) == 5
	})
	b.c.Signal("", unix.SIGKILL)
	if s := b.ended(); s.Health != Unhealthy {
		t.Errorf("ended: %q, want unhealthy", s.Health)
	}
	events, _ := os.ReadFile(b.config.Events)
	var told []string
	for line := range strings.Lines(string(events)) {
		if i := strings.Index(line, "health_status"); i >= 0 {
			told = append(told, line[i:i+strings.IndexByte(line[i:], '"')])
		}
	}
	if got := strings.Join(told, ", "); got != "health_status: unhealthy, health_status: healthy" {
		t.Errorf("told %q", got)
	}
	for _, action := range []string{"exec_create: /bin/sh -c echo said; test -e ", "exec_start: /bin/sh", `"Action":"exec_die","Actor":{"ID":"test","Attributes":{"execID":"`, `"exitCode":"1"`} {
		if !bytes.Contains(events, []byte(action)) {
			t.Errorf("no event has %q", action)
		}
	}
}

func (b *box) ended() State {
	b.t.Helper()
	until(b.t, "the end", func() bool { return b.state().Status == Exited })
	return b.state()
}

func TestHealthStartPeriod(t *testing.T) {
	b := checked(t, "exit 1")
	b.config.Health.StartPeriod, b.config.Health.Interval, b.config.Health.Retries = time.Hour, time.Hour, 1
	b.start()
	h := b.checks("five results", func(_ State, h HealthState) bool { return len(h.Log) == 5 })
	if s := b.state(); s.Health != Starting || h.FailingStreak != 0 {
		t.Errorf("in the start period: %q, %d failures", s.Health, h.FailingStreak)
	}
}

func TestHealthHangs(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"echo so; sleep 999.25; true", "Health check exceeded timeout (100ms): so\n"},
		{"exec sleep 999.25", "Health check exceeded timeout (100ms)"},
	} {
		b := checked(t, c.script)
		b.config.Health.Timeout, b.config.Health.Retries = 100*time.Millisecond, 1
		b.start()
		h := b.untilHealth(Unhealthy)
		if h.Log[0].ExitCode != -1 || h.Log[0].Output != c.want {
			t.Errorf("%s: %+v", c.script, h.Log[0])
		}
	}
}

func TestHealthOutput(t *testing.T) {
	for _, c := range []struct {
		script string
		length int
		end    string
	}{
		{"yes | head -c 3000000", 4099, "y\n..."},
		{"head -c 4096 /dev/zero | tr '\\0' x", 4096, "xx"},
		{"echo out; echo err >&2; echo again", 14, "out\nerr\nagain\n"},
		{"sleep 0.1 & echo forked", 7, "forked\n"},
	} {
		b := checked(t, c.script)
		b.start()
		r := b.untilHealth(Healthy).Log[0]
		if len(r.Output) != c.length || !strings.HasSuffix(r.Output, c.end) {
			t.Errorf("%s: %d bytes, ending in %q", c.script, len(r.Output), r.Output[max(0, len(r.Output)-20):])
		}
	}
}

func TestHealthOfNothing(t *testing.T) {
	b := checked(t, "")
	b.config.Health.Process.Args, b.config.Health.Retries = []string{"/nosuch", "x"}, 1
	b.start()
	want := `OCI runtime exec failed: exec failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory: unknown`
	if r := b.untilHealth(Unhealthy).Log[0]; r.ExitCode != -1 || r.Output != want {
		t.Errorf("%+v", r)
	}
}

// TestHealthEndsWithTheContainer: a check that runs when the container ends is killed, and counts for nothing.
func TestHealthEndsWithTheContainer(t *testing.T) {
	b := checked(t, "touch $0; exec sleep 999.75")
	mark := filepath.Join(b.dir, "began")
	b.config.Health.Process.Args = append(b.config.Health.Process.Args, mark)
	b.start()
	b.checks("a check", func(State, HealthState) bool { _, err := os.Stat(mark); return err == nil })
	b.c.Signal("", unix.SIGKILL)
	if s := b.ended(); s.ExitCode != 137 || s.Health != Unhealthy {
		t.Errorf("%+v", s)
	}
	b.over()
	var h HealthState
	if err := store.Read(b.config.Health.File, &h); err == nil && len(h.Log) > 0 {
		t.Errorf("a result: %+v", h)
	}
}

// TestHealthGoesOn: the checks survive the monitor's renewal and its death.
func TestHealthGoesOn(t *testing.T) {
	b := checked(t, "echo x >>$0")
	count := filepath.Join(b.dir, "count")
	b.config.Health.Process.Args = append(b.config.Health.Process.Args, count)
	b.start()
	b.untilHealth(Healthy)
	more := func(when string) {
		t.Helper()
		before, _ := os.ReadFile(count)
		until(t, "checks "+when, func() bool {
			now, _ := os.ReadFile(count)
			return len(now) > len(before)+4
		})
	}
	b.renewed()
	more("after the renewal")
	b.killMonitor()
	if _, err := b.adopt(); err != nil {
		t.Fatal(err)
	}
	more("after the adoption")
	if s := b.state(); s.Health != Healthy {
		t.Errorf("%q", s.Health)
	}
}

// TestRealHealthMemory: many checks, each with as much output as is kept, do not make a monitor grow.
func TestRealHealthMemory(t *testing.T) {
	b := real(t, "exec sleep 1000")
	b.config.Health = &Health{
		Process:  specs.Process{Args: []string{"/bin/sh", "-c", "yes | head -c 100000"}, Cwd: "/", Env: []string{"PATH=/bin"}},
		Interval: 100 * time.Millisecond, Timeout: 30 * time.Second, Retries: 3, File: filepath.Join(b.dir, "health.json"),
	}
	b.start()
	h := b.untilHealth(Healthy)
	pid, began := b.state().MonitorPid, time.Now()
	most := 0
	for time.Since(began) < 3*time.Second {
		time.Sleep(50 * time.Millisecond)
		most = max(most, privateDirty(t, pid))
	}
	b.checks("more results", func(_ State, now HealthState) bool { return now.Log[0].Start.After(h.Log[0].Start) })
	if most > 4<<10 {
		t.Errorf("%d KiB", most)
	}
	t.Logf("at most %d KiB", most)
}
