package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"glassbox/logfile"

	"github.com/docker/docker/api/types/container"
)

// logging is a container with that log.
func logging(script, driver string, options ...string) Options {
	o := shell(script)
	o.HostConfig.LogConfig = container.LogConfig{Type: driver, Config: map[string]string{}}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		o.HostConfig.LogConfig.Config[name] = value
	}
	return o
}

// waits for the end of a container.
func (m *machine) end(id string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(bg, 30*time.Second)
	defer cancel()
	if _, err := m.Containers.Wait(ctx, id); err != nil {
		m.t.Fatal(err)
	}
}

func TestLogsOfEachDriver(t *testing.T) {
	m := newMachine(t)
	for _, driver := range []string{"", logfile.JSON, logfile.Local} {
		id := m.detached(logging("echo out; echo err >&2; printf rest", driver))
		m.end(id)
		if out, errs := m.logs(id, LogOptions{Tail: -1}); out != "out\nrest" || errs != "err\n" {
			t.Errorf("%s: %q %q", driver, out, errs)
		}
		if out, errs := m.logs(id, LogOptions{Tail: -1, Since: time.Now()}); out+errs != "" {
			t.Errorf("%s: since now %q %q", driver, out, errs)
		}
		if out, errs := m.logs(id, LogOptions{Tail: -1, Until: time.Now().Add(-time.Hour)}); out+errs != "" {
			t.Errorf("%s: until an hour ago %q %q", driver, out, errs)
		}
		want := m.inspect(id).ID
		if path := m.inspect(id).LogPath; strings.Contains(path, want) != (driver != logfile.Local) {
			t.Errorf("%s: LogPath %q", driver, path)
		}
	}
	id := m.detached(logging("echo out", "none"))
	m.end(id)
	err := m.Containers.Logs(bg, id, LogOptions{Tail: -1}, nil, nil)
	m.refuses(err, "configured logging driver does not support reading")
}

func TestLogAttributes(t *testing.T) {
	m := newMachine(t)
	o := logging("echo out", logfile.JSON, "labels=a", "env-regex=^X", "tag={{.Name}}")
	o.Config.Labels, o.Config.Env, o.Name = map[string]string{"a": "1", "b": "2"}, []string{"X1=y z", "Y=1"}, "tagged"
	id := m.detached(o)
	m.end(id)
	if out, _ := m.logs(id, LogOptions{Tail: -1, Details: true}); out != "X1=y+z,a=1,tag=tagged out\n" {
		t.Errorf("%q", out)
	}
}

// A follower sees every line of a container whose log is moved on and compressed under its eyes, and ends with it.
func TestFollowThroughRotations(t *testing.T) {
	m := newMachine(t)
	for _, driver := range []string{logfile.JSON, logfile.Local} {
		id := m.detached(logging("i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo $i; done; sleep 0.5; echo last", driver, "max-size=4k", "max-file=100", "compress=true"))
		out, _ := m.logs(id, LogOptions{Tail: -1, Follow: true})
		got := strings.Fields(out)
		if len(got) != 501 || got[500] != "last" {
			t.Fatalf("%s: %d lines, %.100q", driver, len(got), got)
		}
		for i, line := range got[:500] {
			if line != strconv.Itoa(i+1) {
				t.Fatalf("%s: line %d is %q", driver, i+1, line)
			}
		}
	}
}

// A follower goes on when the container is started again by `restart`, and ends when it is stopped.
func TestFollowThroughRestart(t *testing.T) {
	m := newMachine(t)
	id := m.detached(logging("trap 'echo bye; exit' TERM; echo up; while :; do sleep 0.05; done", logfile.JSON))
	m.waitForLog(id, "up")
	var out bytes.Buffer
	followed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(bg, 30*time.Second)
		defer cancel()
		followed <- m.Containers.Logs(ctx, id, LogOptions{Tail: -1, Follow: true}, &out, nil)
	}()
	time.Sleep(200 * time.Millisecond) // or else it begins later, and sees the same
	m.ok(m.Containers.Restart(bg, id, StopOptions{}))
	m.waitForLog(id, "up\nbye\nup")
	m.ok(m.Containers.Stop(bg, id, StopOptions{}))
	m.ok(<-followed)
	if out.String() != "up\nbye\nup\nbye\n" {
		t.Errorf("%q", out.String())
	}
}

// A log that cannot be opened is told as Docker tells it, and a full disk of it is no reason to end.
func TestLogThatCannotBeWritten(t *testing.T) {
	m := newMachine(t)
	id := m.create(logging("true", logfile.JSON))
	path := filepath.Join(m.Containers.root.Container(id).Dir, id+"-json.log")
	m.ok(os.Mkdir(path, 0o700))
	err := m.Containers.Start(bg, id)
	m.refuses(err, "failed to create task for container: failed to initialize logging driver: open "+path+": is a directory: permission denied")
	var e *Error
	if !errors.As(err, &e) || e.Exit != 126 {
		t.Errorf("exit %+v, want 126", e)
	}
}

func TestGarbageInALogIsTold(t *testing.T) {
	m := newMachine(t)
	id := m.detached(logging("echo one", logfile.JSON))
	m.end(id)
	m.ok(os.WriteFile(m.inspect(id).LogPath, []byte("garbage\n"), 0o600))
	var told string
	m.Containers.Warn = func(message string) { told += message }
	if out, _ := m.logs(id, LogOptions{Tail: -1}); out != "" || !strings.HasSuffix(told, "holds 8 bytes that are no entries: they were left out") {
		t.Errorf("%q, told %q", out, told)
	}
}
