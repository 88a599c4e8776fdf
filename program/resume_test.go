package program

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// left is a child that waits for its second host, with what that one needs.
type left struct {
	pid     int
	path    string
	address *unix.SockaddrUnix
	program Program
}

// leave starts a program of one gate and these last steps, lets the child pass the gate and closes all that the first host has.
func leave(t *testing.T, last func(b *Builder)) left {
	t.Helper()
	l := left{path: filepath.Join(t.TempDir(), "program"), address: &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "start.sock")}}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	listener := os.NewFile(uintptr(fd), "listener")
	defer listener.Close()
	if err := errors.Join(unix.Bind(fd, l.address), unix.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	memory, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	var b Builder
	b.Begin()
	b.Gate("created", "wait to be let on")
	b.Await("listener", "start", "wait for start")
	last(&b)
	l.program = b.Program()
	p, err := Start(l.program, Clone{Memory: memory}, map[Host]*os.File{"listener": listener}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Reach("created"), p.Pass()); err != nil {
		t.Fatal(err)
	}
	p.Abandon()
	p.Pidfd.Close()
	p.frozen.release()
	l.pid = p.Pid
	return l
}

// resume is the second host.
func (l left) resume(t *testing.T, recall func() (Program, error)) *Process {
	t.Helper()
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(conn, l.address)
	}
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	p, err := Resume(memory, conn, l.pid, recall)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Reach("start"); err != nil {
		t.Fatal(err)
	}
	return p
}

func (l left) status(t *testing.T) unix.WaitStatus {
	t.Helper()
	var status unix.WaitStatus
	if _, err := unix.Wait4(l.pid, &status, 0, nil); err != nil {
		t.Fatal(err)
	}
	return status
}

func TestResumeExecutes(t *testing.T) {
	l := leave(t, func(b *Builder) {
		b.Call(unix.SYS_EXECVE, "/bin/sh", []string{"sh", "-c", "exit 7"}, []string{}).Why("become the process")
	})
	p := l.resume(t, func() (Program, error) {
		t.Error("a start that succeeds asked for its program")
		return l.program, nil
	})
	if err := errors.Join(p.Pass(), p.Finish()); err != nil {
		t.Fatal(err)
	}
	if code := l.status(t).ExitStatus(); code != 7 {
		t.Errorf("exit status %d, want 7", code)
	}
}

// What the first host's child wrote is told by the second: the failure, every result, what the kernel left in memory.
func TestResumeTellsTheFailure(t *testing.T) {
	ends := func(b *Builder) {
		b.Call(unix.SYS_PIPE2, Out(8), 0).Why("make a pipe")
		b.Call(unix.SYS_CHDIR, "/nonexistent").Why("go nowhere").From("process.cwd")
	}
	l := leave(t, ends)
	p := l.resume(t, func() (Program, error) { return l.program, nil })
	err := errors.Join(p.Pass(), p.Finish())
	var f *Failure
	if !errors.As(err, &f) || f.Index != len(l.program)-1 || f.Errno != unix.ENOENT || f.Step.From != "process.cwd" || f.Call != `chdir("/nonexistent")` {
		t.Errorf("got %v, want the failure of the last step with ENOENT", err)
	}
	ran := p.Ran()
	if len(ran) != len(l.program) || len(ran[len(ran)-2].Out) != 1 || len(ran[len(ran)-2].Out[0]) != 8 {
		t.Errorf("ran %v, want every step, the last but one with the pipe's numbers", ran)
	}
	if p.Numbers()["listener"] < 3 {
		t.Errorf("numbers %v, want the listener's", p.Numbers())
	}
	l.status(t)

	other := leave(t, ends)
	p = other.resume(t, func() (Program, error) { return l.program[:3], nil })
	if err := errors.Join(p.Pass(), p.Finish()); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "this build compiles 3") {
		t.Errorf("got %v, want ENOENT and that the program is another one", err)
	}
	other.status(t)
}

// The second host dies at the gate: so does the child.
func TestResumeAbandoned(t *testing.T) {
	l := leave(t, func(b *Builder) {})
	l.resume(t, nil).Abandon()
	if code := l.status(t).ExitStatus(); code != 127 {
		t.Errorf("exit status %d, want 127", code)
	}
}

func TestResumeRefusesOtherFiles(t *testing.T) {
	whole := func() []byte {
		l := leave(t, func(b *Builder) {})
		b, err := os.ReadFile(l.path)
		if err != nil {
			t.Fatal(err)
		}
		unix.Kill(l.pid, unix.SIGKILL)
		l.status(t)
		return b
	}()
	change := func(at int) []byte {
		b := append([]byte(nil), whole...)
		b[at] ^= 0xff
		return b
	}
	for name, data := range map[string][]byte{
		"empty": nil, "short": whole[:20], "cut": whole[:sizeofTables(1)], "magic": change(0), "layout": change(8), "steps": change(17), "more steps": change(22),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(f, -1, os.Getpid(), nil); err == nil || !strings.Contains(err.Error(), "not a program of this build") {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
}
