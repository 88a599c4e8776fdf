package strace

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// commands are glassbox's command lines with a store of their own.
type commands struct {
	harness
	b *bundle
}

func newCommands(t *testing.T) commands {
	need.Root(t)
	c := commands{harness{strace: need.Program(t, "strace"), bin: need.Programs(t)}, newBundle(t)}
	t.Cleanup(func() { c.glassbox("rm", "-f", "strace-test").Run() }) //nolint:errcheck // it is there only after a failure
	return c
}

func (c commands) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "GLASSBOX_ROOT="+c.b.path("data"), "GLASSBOX_RUN="+c.b.path("run"), "GLASSBOX_GLASSRUN="+c.bin+"/glassrun")
	return cmd
}

func (c commands) glassbox(args ...string) *exec.Cmd { return c.command(c.bin+"/glassbox", args...) }

// traced runs glassbox under strace, which must end with code, and returns what it tells and what strace saw.
func (c commands) traced(t *testing.T, code int, flags []string, args ...string) (told, []program.Traced) {
	t.Helper()
	trace := c.b.path("trace")
	cmd := c.command(c.strace, slices.Concat(flags, []string{"-f", "-v", "-s", "65536", "-o", trace, c.bin + "/glassbox"}, args)...)
	out, err := output(cmd, false)
	if cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%v: %s", err, out)
	}
	return c.told(t, out), traceOf(t, trace)
}

// told reads the account, which comes behind what is shown of stops.
func (c commands) told(t *testing.T, out string) told {
	t.Helper()
	if i := strings.Index(out, "\n[\n"); i >= 0 {
		out = out[i:]
	}
	i := strings.LastIndex(out, "\n]\n")
	if i < 0 {
		t.Fatalf("no account in %s", out)
	}
	if err := os.WriteFile(c.b.path("account.json"), []byte(out[:i+3]), 0o600); err != nil {
		t.Fatal(err)
	}
	return accountOf(t, c.b.path("account.json"))
}

// runs starts a container and returns its monitor.
func (c commands) runs(t *testing.T, program ...string) (monitor int) {
	t.Helper()
	args := slices.Concat([]string{"run", "-d", "--network", "none", "--name", "strace-test", "--rootfs", c.b.path("rootfs")}, program)
	if out, err := c.glassbox(args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, _ := filepath.Glob(c.b.path("data") + "/containers/*/state.json")
	if len(files) != 1 {
		t.Fatalf("%d containers have a state", len(files))
	}
	state, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"MonitorPid":(\d+)`).FindSubmatch(state)
	if found == nil {
		t.Fatalf("no monitor in %s", state)
	}
	monitor, _ = strconv.Atoi(string(found[1]))
	return monitor
}

// unasked leaves out the questions of a child that is stepped, which its account does not tell: a write of "?" and a read of the answer.
func unasked(t *testing.T, child []program.Traced) []program.Traced {
	t.Helper()
	ask, answer := regexp.MustCompile(`^write\(\d+, "\?", 1\)$`), regexp.MustCompile(`^read\(\d+, "\\1", 1\)$`)
	var kept []program.Traced
	questions := 0
	for i := 0; i < len(child); i++ {
		if ask.MatchString(child[i].Call) && i+1 < len(child) && answer.MatchString(child[i+1].Call) {
			questions++
			i++
			continue
		}
		kept = append(kept, child[i])
	}
	if questions < 10 {
		t.Fatalf("strace saw %d questions", questions)
	}
	return kept
}

// believeStepped is believe for a child that asks.
func believeStepped(t *testing.T, told told, calls []program.Traced) {
	t.Helper()
	child := unasked(t, program.Child(calls, born(t, calls)))
	if err := program.Compare(told.child, child); err != nil {
		t.Errorf("the child's half: %v", err)
		return
	}
	made := slices.DeleteFunc(slices.Clone(told.child), func(d program.Done) bool { return d.Result == program.Skipped })
	sabotage(t, made, func(d []program.Done) error { return program.Compare(d, child) })
}

// A start that is stepped is the start that is told, but for its questions; what was skipped is told as skipped, and not seen.
func TestSteppedRunIsWhatStraceSees(t *testing.T) {
	c := newCommands(t)
	script := c.b.path("script")
	if err := os.WriteFile(script, []byte("n\nb sethostname\ns\nb execve\ni\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "--rm", "--network", "none", "--explain", "--format", "json", "--script", script, "--rootfs", c.b.path("rootfs"), "sh", "-c", "exit 6"}
	told, calls := c.traced(t, 6, nil, args...)
	believeStepped(t, told, calls)
	skipped := slices.IndexFunc(told.child, func(d program.Done) bool { return strings.HasPrefix(d.Call, "sethostname(") })
	if skipped < 0 || told.child[skipped].Result != program.Skipped {
		t.Error("sethostname is not told as skipped")
	}
	told, calls = c.traced(t, 6, []string{"-y"}, args...)
	believeHost(t, told, calls)
}

// An exec is its monitor's, at which strace looks; what is told of it comes through the command line.
func TestExecCommandIsWhatStraceSees(t *testing.T) {
	c := newCommands(t)
	monitor := c.runs(t, "sleep", "1000")
	script := c.b.path("script")
	if err := os.WriteFile(script, []byte("n\nn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{"explained": nil, "stepped": {"--script", script}} {
		t.Run(name, func(t *testing.T) {
			see := func(more ...string) (told, []program.Traced) {
				var out []byte
				calls := c.watch(t, monitor, more, func() {
					exec := c.glassbox(slices.Concat([]string{"exec", "--explain", "--format", "json"}, flags, []string{"strace-test", "sh", "-c", "exit 7"})...)
					if out, _ = exec.CombinedOutput(); exec.ProcessState.ExitCode() != 7 {
						t.Fatalf("%s", out)
					}
				})
				return c.told(t, string(out)), calls
			}
			told, calls := see()
			if flags == nil {
				believe(t, told, calls)
			} else {
				believeStepped(t, told, calls)
			}
			told, calls = see("-y")
			asked := program.Asked(whose(calls, monitor), cgroups(t), told.host...)
			if err := program.CompareHost(told.host, asked); err != nil {
				t.Error(err)
			}
			sabotage(t, told.host, func(d []program.Done) error { return program.CompareHost(d, asked) })
		})
	}
}

// watch has strace look at a process, and at what that makes, while f runs.
func (c commands) watch(t *testing.T, pid int, flags []string, f func()) []program.Traced {
	t.Helper()
	trace := c.b.path("trace")
	s := exec.Command(c.strace, slices.Concat(flags, []string{"-f", "-v", "-s", "65536", "-o", trace, "-p", strconv.Itoa(pid)})...)
	said := &lockedBuffer{}
	s.Stderr = said
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Wait() }()
	defer func() {
		s.Process.Signal(unix.SIGINT) //nolint:errcheck // it may have gone with what it looked at
		<-done
	}()
	for deadline := time.Now().Add(patience); !strings.Contains(said.String(), "attached"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("strace does not attach: %s", said)
		}
	}
	f()
	s.Process.Signal(unix.SIGINT) //nolint:errcheck // the same
	<-done
	done <- nil
	text, err := os.ReadFile(trace)
	if err == nil { // calls that were going on when strace let go
		text = regexp.MustCompile(`(?m)^.*<detached \.\.\.>\n`).ReplaceAll(text, nil)
		err = os.WriteFile(trace, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return traceOf(t, trace)
}

// whose are the calls that a process's own threads made.
func whose(calls []program.Traced, pid int) []program.Traced {
	child := map[int]bool{}
	for _, i := range births(calls) {
		for _, c := range program.Child(calls, made(calls[i])) {
			child[c.Pid] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(calls), func(c program.Traced) bool { return child[c.Pid] })
}

// A stop, by the signal alone and with SIGKILL after the grace period.
func TestStopIsWhatStraceSees(t *testing.T) {
	c := newCommands(t)
	for name, s := range map[string]struct {
		program []string
		calls   int
		script  string
	}{
		"a handler":                              {[]string{"sh", "-c", `trap "exit 3" TERM; while :; do sleep 0.1; done`}, 3, ""},
		"none, and then SIGKILL":                 {[]string{"sleep", "1000"}, 5, ""},
		"stepped, with the grace period skipped": {[]string{"sleep", "1000"}, 4, "b ppoll\ns\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.runs(t, s.program...)
			args := []string{"stop", "-t", "1", "--explain", "--format", "json"}
			if s.script != "" {
				file := c.b.path("script")
				if err := os.WriteFile(file, []byte(s.script), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--script", file)
			}
			told, calls := c.traced(t, 0, []string{"-y"}, append(args, "strace-test")...)
			if out, err := c.glassbox("rm", "strace-test").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			asked := slices.DeleteFunc(slices.Clone(calls), func(c program.Traced) bool { return !ofStop(c) })
			if len(asked) != s.calls {
				t.Errorf("strace saw %d calls of a stop, want %d: %v", len(asked), s.calls, asked)
			}
			if err := program.CompareHost(told.host, asked); err != nil {
				t.Error(err)
			}
			made := slices.DeleteFunc(told.host, func(d program.Done) bool { return d.Result == program.Skipped })
			sabotage(t, made, func(d []program.Done) error { return program.CompareHost(d, asked) })
		})
	}
}

// A kill, and a signal that ends nothing.
func TestKillIsWhatStraceSees(t *testing.T) {
	c := newCommands(t)
	c.runs(t, "sleep", "1000")
	for _, s := range []struct {
		signal string
		calls  int
	}{{"USR1", 2}, {"KILL", 3}} {
		told, calls := c.traced(t, 0, []string{"-y"}, "kill", "-s", s.signal, "--explain", "--format", "json", "strace-test")
		asked := slices.DeleteFunc(slices.Clone(calls), func(c program.Traced) bool { return !ofStop(c) })
		if len(asked) != s.calls {
			t.Errorf("strace saw %d calls of kill -s %s, want %d: %v", len(asked), s.signal, s.calls, asked)
		}
		if err := program.CompareHost(told.host, asked); err != nil {
			t.Error(err)
		}
		sabotage(t, told.host, func(d []program.Done) error { return program.CompareHost(d, asked) })
	}
}

// A start, and a restart, of a container that was made without --explain. Its program goes on the first time only, so that strace comes to an end.
func TestStartIsWhatStraceSees(t *testing.T) {
	c := newCommands(t)
	again := c.b.path("rootfs") + "/again"
	script := "test -e /again && exit; echo >/again; sleep 1000"
	if out, err := c.glassbox("create", "--network", "none", "--name", "strace-test", "--rootfs", c.b.path("rootfs"), "sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	first := func() {
		os.Remove(again) //nolint:errcheck // or it is not there
		if out, err := c.glassbox("start", "strace-test").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			if _, err := os.Stat(again); err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the container's program does not run")
			}
		}
	}
	first()
	answers := c.b.path("script")
	if err := os.WriteFile(answers, []byte("b sethostname\nn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	told, calls := c.traced(t, 0, nil, "restart", "-t", "0", "--script", answers, "--explain", "--format", "json", "strace-test")
	believeStepped(t, told, calls)
	told, calls = c.traced(t, 0, nil, "start", "--explain", "--format", "json", "strace-test")
	believe(t, told, calls)
	told, calls = c.traced(t, 0, []string{"-y"}, "start", "--explain", "--format", "json", "strace-test")
	believeHost(t, told, calls)
	first()
	told, calls = c.traced(t, 0, []string{"-y"}, "restart", "-t", "0", "--explain", "--format", "json", "strace-test")
	believeEnd(t, &told, calls)
	believeHost(t, told, calls)
}

// believeEnd holds the first half of a restart against the trace, and takes it out of the account: another process makes the second one.
func believeEnd(t *testing.T, told *told, calls []program.Traced) {
	t.Helper()
	begins := slices.IndexFunc(told.host, func(d program.Done) bool { return strings.HasPrefix(d.Call, "mkdirat(") })
	if begins < 3 {
		t.Fatalf("a restart begins with %d requests of a stop", begins)
	}
	end := told.host[:begins]
	asked := slices.DeleteFunc(slices.Clone(calls), func(c program.Traced) bool { return !ofStop(c) })
	if err := program.CompareHost(end, asked); err != nil {
		t.Error(err)
	}
	sabotage(t, end, func(d []program.Done) error { return program.CompareHost(d, asked) })
	told.host = told.host[begins:]
}

// ofStop are the calls by which a process is ended and waited for. Go's runtime asks of its own accord whether there are pidfds at all, of itself
// and with signal 0; the stepper waits for several descriptors.
func ofStop(c program.Traced) bool {
	switch name, args, _ := strings.Cut(c.Call, "("); name {
	case "pidfd_open":
		return !strings.HasPrefix(args, strconv.Itoa(c.Pid)+"<") && !strings.HasPrefix(args, strconv.Itoa(c.Pid)+",")
	case "pidfd_send_signal":
		return !strings.Contains(args, ", 0, ")
	case "ppoll":
		return strings.Contains(args, "}], 1, ")
	}
	return false
}

// lockedBuffer is what another process says, while it says it.
type lockedBuffer struct {
	bytes.Buffer
	mu sync.Mutex
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}
