package program

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A start of /bin/true through two gates, in new namespaces.
func TestStartExecutes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes namespaces")
	}
	var b Builder
	b.Begin()
	b.Call(unix.SYS_SETSID).Why("own session")
	fd := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/", unix.O_PATH|unix.O_CLOEXEC, 0).Why("hold the root").Keep()
	b.Gate("created", "wait for start")
	b.Call(unix.SYS_FCHDIR, fd).Why("go there")
	b.Call(unix.SYS_EXECVE, "/bin/sh", []string{"sh", "-c", "test $$ = 1 && exit 7"}, []string{"A=b"}).Why("become the process")
	p, err := Start(b.Program(), Clone{Flags: unix.CLONE_NEWPID | unix.CLONE_NEWUTS}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []func() error{func() error { return p.Reach("created") }, p.Pass, p.Finish} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &status, 0, nil); err != nil || status.ExitStatus() != 7 {
		t.Fatalf("wait: %v, exit status %d, want 7", err, status.ExitStatus())
	}
	if n := len(p.Ran()); n != len(b.Program()) {
		t.Errorf("%d steps ran, want %d", n, len(b.Program()))
	}
}

// A failing step comes back with its index and errno, a closed gate ends the child.
func TestStartFails(t *testing.T) {
	var b Builder
	b.Begin()
	b.Call(unix.SYS_CHDIR, "/").Why("go to the root")
	b.Call(unix.SYS_CHDIR, "/nonexistent").Why("go nowhere").Tolerate(unix.ENOENT)
	b.Call(unix.SYS_CHDIR, "/nonexistent").Why("go nowhere").From("process.cwd")
	p, err := Start(b.Program(), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Finish()
	var f *Failure
	if !errors.As(err, &f) || f.Index != 4 || f.Errno != unix.ENOENT || f.Step.From != "process.cwd" {
		t.Fatalf("got %v, want the failure of step 5 with ENOENT", err)
	}
	reap(p.Pid)

	b = Builder{}
	b.Begin()
	b.Gate("start", "wait for ever")
	p, err = Start(b.Program(), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Reach("start"); err != nil {
		t.Fatal(err)
	}
	p.Abandon()
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &status, 0, nil); err != nil || status.ExitStatus() != 127 {
		t.Fatalf("wait: %v, exit status %d, want 127", err, status.ExitStatus())
	}
}

// A second clone hands over: the process that goes on is our child and the one that execve makes.
func TestStartForks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a PID namespace")
	}
	var b Builder
	b.Begin()
	b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWPID).Why("children go to a new PID namespace")
	b.Fork("enter it")
	b.Call(unix.SYS_EXECVE, "/bin/sh", []string{"sh", "-c", "test $$ = 1 && exit 9"}, []string{}).Why("become the process")
	p, err := Start(b.Program(), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Finish(); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &status, 0, nil); err != nil || status.ExitStatus() != 9 {
		t.Fatalf("wait: %v, exit status %d, want 9", err, status.ExitStatus())
	}
}

// A name that is found in an earlier directory of PATH than the last.
func TestStartFindsInPath(t *testing.T) {
	var b Builder
	b.Begin()
	for _, path := range []string{"/nonexistent/sh", "/bin/sh", "/usr/bin/sh"} {
		b.Call(unix.SYS_EXECVE, path, []string{"sh", "-c", "exit 3"}, []string{}).Why("become %s", path).Tolerate(unix.ENOENT)
	}
	p, err := Start(b.Program(), Clone{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Finish(); err != nil {
		t.Error(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.Pid, &status, 0, nil); err != nil || status.ExitStatus() != 3 {
		t.Fatalf("wait: %v, exit status %d, want 3", err, status.ExitStatus())
	}
	if n, want := len(p.Ran()), len(b.Program())-1; n != want {
		t.Errorf("%d steps ran, want %d", n, want)
	}
}

// A string with a zero byte in it would be another one for the kernel: what was allowed is not what would be opened or executed.
func TestZeroBytesAreRefused(t *testing.T) {
	for _, args := range [][]any{{"/bin/true\x00/../false", []string{"true"}}, {"/bin/true", []string{"true", "a\x00b"}}} {
		b := &Builder{}
		b.From("process.args")
		b.Call(unix.SYS_EXECVE, append(args, nil)...)
		if _, err := Start(b.Program(), Clone{}, nil, false); err == nil || !strings.HasPrefix(err.Error(), "process.args: ") || !strings.Contains(err.Error(), "zero byte") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
