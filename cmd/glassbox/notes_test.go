package main

import (
	"regexp"
	"strings"
	"syscall"
	"testing"

	"glassbox/engine"
	"glassbox/test/need"
	"glassbox/test/world"
)

// realTerminal is where people call the real engine, with a store of its own that holds the image bb.
type realTerminal struct{ t *testing.T }

func newRealTerminal(t *testing.T) realTerminal {
	need.Root(t)
	need.Hierarchy(t)
	busybox := need.Program(t, "busybox")
	data, run := t.TempDir(), t.TempDir()
	t.Setenv("GLASSBOX_ROOT", data)
	t.Setenv("GLASSBOX_RUN", run)
	t.Setenv("GLASSBOX_GLASSRUN", world.Dir()+"/glassbox/glassrun")
	if err := importBusybox(data, busybox); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, data, run) })
	return realTerminal{t}
}

// types calls a command, waits for its end and returns what the terminal shows.
func (r realTerminal) types(line string) string {
	r.t.Helper()
	p := startWith(r.t, "FAKE=", strings.Fields(line)...)
	_ = p.Wait()
	eventually(r.t, "all that it printed", func() bool { return p.ended.Load() })
	return p.text()
}

// shows calls a command, and wants to see this.
func (r realTerminal) shows(line, pattern string) {
	r.t.Helper()
	if got := r.types(line); !regexp.MustCompile(pattern).MatchString(got) {
		r.t.Errorf("%s\nshows\n%s\nwant %s", line, got, pattern)
	}
}

func (r realTerminal) hides(line, text string) {
	r.t.Helper()
	if got := r.types(line); strings.Contains(got, text) {
		r.t.Errorf("%s\nshows\n%s", line, got)
	}
}

// TestLongStopsAreTold: nobody shall wonder why a stop takes ten seconds.
func TestLongStopsAreTold(t *testing.T) {
	r := newRealTerminal(t)
	r.types("glassbox run -d --network none --name deaf bb sleep 1000")
	const why = `PID 1 \(sleep\) has no handler for SIGTERM, so the kernel drops it: this will take 1 s, until SIGKILL\. Cures: exec form, --init, --stop-signal\n`
	r.shows("glassbox stop -t 1 deaf", why)
	r.types("glassbox start deaf")
	r.shows("glassbox restart -t 1 deaf", why)
	for _, line := range []string{"glassbox --porcelain stop -t 1 deaf", "docker stop -t 1 deaf", "glassbox stop -t 0 deaf", "glassbox stop -s KILL deaf", "glassbox kill deaf", "glassbox rm -f deaf"} {
		r.hides(line, "handler")
		r.types("glassbox start deaf")
	}
	r.types("glassbox run -d --network none --name deaf bb sleep 1000")
	r.shows("glassbox stop -t 2 deaf", `SIGKILL in 2 s .*SIGKILL in 1 s .*\r\x1b\[Kdeaf`)
	r.types("glassbox start deaf")
	r.shows("glassbox kill -s TERM deaf", `PID 1 \(sleep\) has no handler for SIGTERM, so the kernel drops it: it goes on\. Cures: .*\s+deaf`)
	r.hides("docker kill -s TERM deaf", "handler")
	r.hides("glassbox kill -s STOP deaf", "handler") // which the kernel forces upon a PID 1 of a namespace below
	r.hides("glassbox kill -s CONT deaf", "handler")
	r.types("glassbox run -d --network none --init --name polite bb sleep 1000")
	r.hides("glassbox stop -t 9 polite", "handler")
}

// TestEndsAreExplained: one code stands for several causes.
func TestEndsAreExplained(t *testing.T) {
	r := newRealTerminal(t)
	started := func() *onTerminal {
		p := startWith(t, "FAKE=", "glassbox", "run", "--network", "none", "--name", "victim", "bb", "sh", "-c", "echo ready; exec sleep 1000")
		eventually(t, "ready", func() bool { return strings.Contains(p.text(), "ready") })
		return p
	}
	for _, c := range []struct {
		end  func()
		want string
	}{
		{func() { r.types("glassbox kill victim") }, `ended by SIGKILL \(137 = 128 \+ 9\), which glassbox kill sent: nothing was asked of it before`},
		{func() { r.types("glassbox stop -t 1 victim") }, `ended by SIGKILL \(137 = 128 \+ 9\): glassbox stop had sent SIGTERM \d+s before, which did not end it`},
		{func() { killFirst(t, "victim") }, `ended by SIGKILL \(137 = 128 \+ 9\), which glassbox did not send`},
	} {
		p := started()
		c.end()
		_ = p.Wait()
		eventually(t, c.want+"\ngot:\n"+p.text(), func() bool { return regexp.MustCompile("glassbox: " + c.want + "\n").MatchString(p.text()) })
		if code := p.ProcessState.ExitCode(); code != 137 {
			t.Errorf("%s: exit code %d", c.want, code)
		}
		r.types("glassbox rm victim")
	}
	run := "glassbox run --rm --network none bb sh -c "
	r.shows(run+"nosuch", `its program started, and ended with 127\n.*a shell says that a command does not exist`)
	r.shows(run+"/tmp/noexec.sh", `its program started, and ended with 126\n.*may not be executed`)
	r.shows("glassbox run --rm --network none --init bb kill -SEGV 0", `it ended by itself, with 139 = 128 \+ 11\n(?s:.*)SIGSEGV`)
	r.hides("glassbox --porcelain run --rm --network none bb sh -c nosuch", "its program")
	r.hides("docker run --rm --network none bb sh -c nosuch", "its program")
}

// killFirst is somebody on the host.
func killFirst(t *testing.T, name string) {
	t.Helper()
	e, err := engine.Open()
	if err != nil {
		t.Fatal(err)
	}
	i, err := e.Containers.Inspect(name, false)
	if err == nil {
		err = syscall.Kill(i.State.Pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestZombiesAreTold: top shows who should have reaped them.
func TestZombiesAreTold(t *testing.T) {
	r := newRealTerminal(t)
	r.types("glassbox run -d --network none --name dead bb sh -c sleep${IFS}0.1&sleep${IFS}0.1&exec${IFS}sleep${IFS}1000")
	e, err := engine.Open()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "two zombies", func() bool {
		z, err := e.Containers.Zombies("dead")
		return err == nil && len(z) == 1 && z[0].Count == 2 && z[0].Parent == 1
	})
	r.shows("glassbox top dead", `glassbox: 2 zombies \(Z, <defunct>\): PID 1 \(sleep\) has not called wait\(2\)\n  why: (?s:.*)\n  check: ps -o pid,ppid,stat,comm --ppid \d+\n  fix:   run it with --init: that reaps\n`)
	r.hides("docker top dead", "has not called")
	r.types("glassbox run -d --network none --init --name kept bb sh -c (true&);exec${IFS}sleep${IFS}1000")
	r.hides("glassbox top kept", "zombie")
}
