package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/sealed"
	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestExitCodes(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0":        0,
		"exit 7":        7,
		"kill -TERM $$": 128 + 15,
		"kill -KILL $$": 128 + 9,
	} {
		t.Run(script, func(t *testing.T) {
			b := shell(t, script)
			b.start()
			if got := b.wait(); got != want {
				t.Errorf("exit code %d, want %d", got, want)
			}
			until(t, "the monitor's end", func() bool { held, _ := store.Held(b.dir + "/lock"); return !held })
			s := b.state()
			if s.Status != Exited || s.ExitCode != want || s.Pid != 0 || s.StartedAt.IsZero() || s.FinishedAt.Before(s.StartedAt) || s.OOMKilled {
				t.Errorf("state %+v", s)
			}
			if _, err := Dial(b.dir); !errors.Is(err, ErrDead) {
				t.Errorf("Dial after the end: %v, want ErrDead", err)
			}
			for _, name := range append(fifos, "sock") {
				if _, err := os.Lstat(b.dir + "/" + name); !os.IsNotExist(err) {
					t.Errorf("%s is left behind: %v", name, err)
				}
			}
		})
	}
}

func TestStateWhileItRuns(t *testing.T) {
	b := shell(t, "sleep 100")
	c := b.create()
	if s := b.state(); s.Status != Created || s.Pid != b.pid || !s.Alive() {
		t.Errorf("before the start: %+v", s)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if s := b.state(); s.Status != Running || s.Pid != b.pid || !s.Alive() || s.MonitorPid == 0 {
		t.Errorf("after the start: %+v", s)
	}
	s, err := c.State()
	if err != nil || s.Status != Running {
		t.Errorf("asked: %+v, %v", s, err)
	}
	if err := c.Start(); err == nil || !strings.Contains(err.Error(), "already started") {
		t.Errorf("a second start: %v", err)
	}
	if err := c.Signal("", unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := b.wait(); got != 143 {
		t.Errorf("exit code %d, want 143", got)
	}
}

func TestCreateFails(t *testing.T) {
	b := shell(t, "true")
	b.spec.Hostname = "refused"
	_, err := b.launch().Create()
	var f *program.Failure
	if !errors.As(err, &f) || f.Index != 7 || f.Step.From != "mounts[3]" || !errors.Is(err, unix.EPERM) {
		t.Errorf("%#v does not tell the step", err)
	}
	if _, err := os.Stat(b.config.StateFile); !os.IsNotExist(err) {
		t.Errorf("a state file is left: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	b := newBox(t, "/no/such/program")
	b.config.Explain = true
	c := b.create()
	s, err := c.Attach(both)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = c.Start()
	var f *program.Failure
	if !errors.As(err, &f) || f.Step.From != "process.args" || !errors.Is(err, unix.ENOENT) {
		t.Errorf("%#v does not tell the step", err)
	}
	if _, err := s.Copy(nil, nil); !errors.Is(err, ErrDead) {
		t.Errorf("the stream of a start that failed: %v, want ErrDead", err)
	}
	if s := b.state(); s.Status != Created || s.Error == "" || s.Pid != 0 {
		t.Errorf("state %+v", s)
	}
	if _, err := os.Stat(b.dir + "/account.json"); err != nil {
		t.Error(err)
	}
}

func TestMonitorThatCannotBegin(t *testing.T) {
	b := shell(t, "true")
	c, err := spawnFor("/proc/self/exe", b.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Create(); err == nil || !strings.Contains(err.Error(), "monitor.json") {
		t.Errorf("without monitor.json: %v", err)
	}
}

func TestEngineGoneBeforeStart(t *testing.T) {
	b := shell(t, "sleep 100")
	b.config.Cleanup = []string{"/bin/sh", "-c", "echo cleaned > " + b.dir + "/mark"}
	old := []byte(`{"Status":"exited","ExitCode":3}` + "\n")
	if err := os.WriteFile(b.config.StateFile, old, 0o600); err != nil {
		t.Fatal(err)
	}
	c := b.create()
	c.Close()
	until(t, "the process's end", func() bool { return unix.Kill(b.pid, 0) == unix.ESRCH })
	until(t, "the cleanup", func() bool { _, err := os.Stat(b.dir + "/mark"); return err == nil })
	if got, _ := os.ReadFile(b.config.StateFile); string(got) != string(old) {
		t.Errorf("state %s, want what it was before", got)
	}
	if _, err := Dial(b.dir); !errors.Is(err, ErrDead) {
		t.Errorf("Dial: %v, want ErrDead", err)
	}
}

func TestCleanup(t *testing.T) {
	t.Parallel()
	mark := func(b *box) bool { _, err := os.Stat(b.dir + "/mark"); return err == nil }
	with := func(t *testing.T) *box {
		b := shell(t, "exit 4")
		b.config.Cleanup = []string{"/bin/sh", "-c", "flock -n " + b.dir + "/lock grep -q exited " + b.config.StateFile + " && > " + b.dir + "/mark"}
		return b
	}
	t.Run("by the monitor, when the end is recorded and the lock is free", func(t *testing.T) {
		b := with(t)
		b.start()
		until(t, "the mark", func() bool { return mark(b) })
	})
	t.Run("by a client", func(t *testing.T) {
		b := with(t)
		c := b.create()
		if err := c.TakeCleanup(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		b.wait()
		if err := c.Cleaned(Rest{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if mark(b) {
			t.Error("the monitor cleaned up, too")
		}
	})
	t.Run("by a client, but for the directories", func(t *testing.T) {
		b := with(t)
		c := b.create()
		if err := c.TakeCleanup(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		b.wait()
		data := filepath.Dir(b.config.StateFile)
		if err := os.MkdirAll(data+"/upper/deep/er", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := c.Sweep(Rest{}); err != nil {
			t.Fatal(err)
		}
		until(t, "nothing left", func() bool {
			_, err := os.Lstat(data)
			_, err2 := os.Lstat(b.dir)
			return errors.Is(err, os.ErrNotExist) && errors.Is(err2, os.ErrNotExist)
		})
	})
	t.Run("by the monitor, after a client broke its promise", func(t *testing.T) {
		b := with(t)
		c := b.create()
		if err := c.TakeCleanup(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		b.wait()
		time.Sleep(50 * time.Millisecond)
		if mark(b) {
			t.Fatal("the monitor cleaned up although a client would")
		}
		c.Close()
		until(t, "the mark", func() bool { return mark(b) })
	})
	t.Run("by the monitor, after a client went away early", func(t *testing.T) {
		b := with(t)
		b.spec.Process.Args[2] = "sleep 0.2; exit 4"
		c := b.create()
		if err := c.TakeCleanup(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		until(t, "the mark", func() bool { return mark(b) })
	})
}

// With the host's PID namespace orphans come to the monitor, and it must reap them.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	b := shell(t, `for i in 1 2 3 4 5; do (setsid sh -c 'sleep 0.1' & ) ; done; sleep 0.5; sleep 100`)
	b.start()
	monitor := b.state().MonitorPid
	children := func() string {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", monitor, monitor))
		return string(data)
	}
	until(t, "orphans", func() bool { return len(strings.Fields(children())) > 1 })
	until(t, "their end", func() bool { return len(strings.Fields(children())) == 1 })
	if err := b.c.Signal("", unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := b.wait(); got != 137 {
		t.Errorf("exit code %d, want 137", got)
	}
}

func TestMonitorOutlivesSignals(t *testing.T) {
	b := shell(t, "read x; exit 5")
	b.config.OpenStdin = true
	b.start()
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM} {
		if err := unix.Kill(b.state().MonitorPid, sig); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	f := b.attach(both)
	f.Write([]byte("go\n"))
	if got := f.wait(); got != 5 {
		t.Errorf("exit code %d, want 5", got)
	}
}

func TestTwoMonitorsNeverMeet(t *testing.T) {
	t.Parallel()
	b := shell(t, "sleep 100")
	b.start()
	c, err := spawnFor("/proc/self/exe", b.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Create(); err == nil || !strings.Contains(err.Error(), "lock") {
		t.Errorf("a second monitor: %v", err)
	}
	if s, err := b.c.State(); err != nil || s.Status != Running {
		t.Errorf("the first one after that: %+v, %v", s, err)
	}
}

func TestExec(t *testing.T) {
	b := shell(t, "sleep 100")
	b.start()
	run := func(t *testing.T, spec ExecSpec, argv ...string) *follower {
		t.Helper()
		spec.Process.Args = argv
		s, err := b.c.Exec(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		return follow(t, s)
	}
	t.Run("output and exit code", func(t *testing.T) {
		f := run(t, ExecSpec{}, "sh", "-c", "echo out; echo err >&2; exit 9")
		if got := f.wait(); got != 9 || f.out.String() != "out\n" || f.err.String() != "err\n" {
			t.Errorf("%d %q %q", got, f.out.String(), f.err.String())
		}
		if len(f.ID) != 64 || f.Pid == 0 {
			t.Errorf("id %q, pid %d", f.ID, f.Pid)
		}
	})
	t.Run("input", func(t *testing.T) {
		f := run(t, ExecSpec{Stdin: true}, "cat")
		f.Write([]byte("hello"))
		f.CloseWrite()
		if got := f.wait(); got != 0 || f.out.String() != "hello" {
			t.Errorf("%d %q", got, f.out.String())
		}
	})
	t.Run("no input", func(t *testing.T) {
		if f := run(t, ExecSpec{}, "cat"); f.wait() != 0 {
			t.Error("cat did not read end-of-file")
		}
	})
	t.Run("terminal", func(t *testing.T) {
		f := run(t, ExecSpec{Stdin: true, Process: specs.Process{Terminal: true}}, "sh", "-c", "read x; stty size; echo $x")
		f.Resize(Size{Rows: 33, Cols: 44})
		f.Write([]byte("hi\n"))
		if got := f.wait(); got != 0 || f.out.String() != "hi\r\n33 44\r\nhi\r\n" {
			t.Errorf("%d %q", got, f.out.String())
		}
	})
	t.Run("signal and wait by id", func(t *testing.T) {
		f := run(t, ExecSpec{}, "sleep", "100")
		if err := b.c.Signal(f.ID, unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		if got := f.wait(); got != 130 {
			t.Errorf("exit code %d, want 130", got)
		}
		if err := b.c.Signal(f.ID, unix.SIGINT); err == nil {
			t.Error("a signal to an exec that is over was accepted")
		}
	})
	t.Run("not found", func(t *testing.T) {
		_, err := b.c.Exec(ExecSpec{Process: specs.Process{Args: []string{"nosuch"}}}, nil)
		var f *program.Failure
		if !errors.As(err, &f) || f.Errno != unix.ENOENT {
			t.Errorf("%v", err)
		}
	})
	t.Run("detached goes on", func(t *testing.T) {
		mark := b.dir + "/detached"
		spec := ExecSpec{Detach: true, Process: specs.Process{Args: []string{"sh", "-c", "sleep 0.2; echo lost; echo done > " + mark}}}
		s, err := b.c.Exec(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		until(t, "the mark", func() bool { _, err := os.Stat(mark); return err == nil })
	})
	t.Run("client gone, process goes on", func(t *testing.T) {
		mark := b.dir + "/left"
		f := run(t, ExecSpec{}, "sh", "-c", "sleep 0.2; yes | head -c 300000; echo done > "+mark)
		f.Close()
		until(t, "the mark", func() bool { _, err := os.Stat(mark); return err == nil })
	})
	if got := b.logged("stdout") + b.logged("stderr"); got != "" {
		t.Errorf("an exec's output is in the log: %q", got)
	}
}

// An exec that ends because the container does is told so.
func TestExecEndsWithContainer(t *testing.T) {
	b := shell(t, "sleep 100")
	b.start()
	s, err := b.c.Exec(ExecSpec{Process: specs.Process{Args: []string{"sleep", "100"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, s)
	b.c.Signal("", unix.SIGKILL)
	b.wait()
	unix.Kill(f.Pid, unix.SIGKILL) // as the kernel does in a PID namespace
	if got := f.wait(); got != 137 {
		t.Errorf("exit code %d, want 137", got)
	}
}

func TestSealed(t *testing.T) {
	b := shell(t, "sleep 100")
	b.exe = copyOfSelf(t) // nobody else runs it, so that ETXTBSY does not hide EROFS
	b.start()
	exe := fmt.Sprintf("/proc/%d/exe", b.state().MonitorPid)
	f, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !sealed.Is(int(f.Fd())) {
		t.Error("the monitor does not run from a sealed file")
	}
	b.c.Signal("", unix.SIGKILL)
	b.wait()
	until(t, "the monitor's end", func() bool { _, err := os.Stat(exe); return err != nil })
	open := func() error {
		_, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_WRONLY, 0)
		return err
	}
	until(t, "the program's release", func() bool { return !errors.Is(open(), unix.ETXTBSY) })
	if err := open(); !errors.Is(err, unix.EROFS) {
		t.Errorf("opening the program for writing, when it has ended: %v, want EROFS", err)
	}
}

func copyOfSelf(t *testing.T) string {
	data, err := os.ReadFile("/proc/self/exe")
	path := t.TempDir() + "/glassrun"
	if err == nil {
		err = os.WriteFile(path, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The program's descriptor must not be in the way of the socket's, whatever is free in the engine.
func TestLaunchWithLowDescriptorsFree(t *testing.T) {
	b := shell(t, "exit 3")
	saved, err := unix.FcntlInt(3, unix.F_DUPFD_CLOEXEC, 100)
	if err == nil {
		unix.Close(3)
		defer func() {
			unix.Dup3(saved, 3, unix.O_CLOEXEC)
			unix.Close(saved)
		}()
	}
	exe, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(exe), "exe")
	defer f.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := spawn(f, b.dir, pair[1], []string{"glassrun", "monitor", b.dir}); err != nil {
		t.Errorf("with the program as descriptor %d: %v", exe, err)
	}
}

// What the engine inherited without FD_CLOEXEC, such as the pipe of a shell's $(...), does not stay open in the monitor.
func TestInheritedDescriptorsAreClosed(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := shell(t, "sleep 100")
	low, err := unix.Dup(int(w.Fd())) // without FD_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	b.start()
	unix.Close(low)
	w.Close()
	done := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 1))
		done <- err
	}()
	select {
	case err := <-done:
		if err != io.EOF {
			t.Errorf("%v, want EOF", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the monitor or the container holds the pipe open")
	}
}

// A container that the next command would not find again does not run on.
func TestStartThatCannotBeRecorded(t *testing.T) {
	b := shell(t, "sleep 100")
	records := t.TempDir() + "/records"
	if err := os.Mkdir(records, 0o700); err != nil {
		t.Fatal(err)
	}
	b.config.StateFile = records + "/state.json"
	c := b.create()
	if err := os.RemoveAll(records); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("start: %v, want ENOENT", err)
	}
	until(t, "the process's end", func() bool { return unix.Kill(b.pid, 0) == unix.ESRCH })
}
