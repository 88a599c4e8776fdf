package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// These tests use the glassrun that users get, with real containers: busybox in its own namespaces.

// built is the directory of the program that the tests built, which TestMain removes.
var built string

// glassrun builds the program, once for all tests.
var glassrun = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "glassrun")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "glassrun")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "glassbox/cmd/glassrun")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building glassrun: %w\n%s", err, out)
	}
	return path, nil
})

// real is a box whose processes are in a container.
func real(t testing.TB, script string) *box {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a container without a user namespace")
	}
	exe, err := glassrun()
	if err != nil {
		t.Fatal(err)
	}
	b := newBox(t, "/bin/sh", "-c", script)
	b.exe = exe
	b.spec.Version = specs.Version
	b.spec.Root = &specs.Root{Path: busybox(t, b.dir)}
	b.spec.Hostname = "inside"
	b.spec.Process.Env = []string{"PATH=/bin"}
	b.spec.Mounts = []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"newinstance", "ptmxmode=0666", "mode=0620"}},
	}
	b.spec.Linux = &specs.Linux{CgroupsPath: fmt.Sprintf("/glassbox/monitor-test-%d-%s", os.Getpid(), filepath.Base(filepath.Dir(b.dir))+filepath.Base(b.dir))}
	for _, ns := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace, specs.UTSNamespace, specs.IPCNamespace, specs.NetworkNamespace} {
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: ns})
	}
	return b
}

// busybox makes a root file system of Debian's static busybox.
func busybox(t testing.TB, dir string) string {
	t.Helper()
	data, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skipf("needs Debian's busybox-static: %v", err)
	}
	root := filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "proc", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", "cat", "echo", "sleep", "id", "stty", "ps", "yes", "head", "hostname", "true"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func (b *box) exec(p specs.Process, stdin bool) *follower {
	b.t.Helper()
	p.Cwd, p.Env = "/", []string{"PATH=/bin"}
	s, err := b.c.Exec(ExecSpec{Process: p, Stdin: stdin}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return follow(b.t, s)
}

func TestRealRun(t *testing.T) {
	b := real(t, `echo $$ $(hostname); echo again > /proc/self/fd/1; echo err >&2; id -u; exit 23`)
	b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
	b.create()
	f := b.attach(both)
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	if got := f.wait(); got != 23 || f.out.String() != "1 inside\nagain\n1000\n" || f.err.String() != "err\n" {
		t.Errorf("%d %q %q", got, f.out.String(), f.err.String())
	}
	if s := b.state(); s.Status != Exited || s.ExitCode != 23 {
		t.Errorf("state %+v", s)
	}
}

func TestRealStartFails(t *testing.T) {
	b := real(t, "")
	b.spec.Process.Args = []string{"/no/such/program"}
	c := b.create()
	err := c.Start()
	var f *program.Failure
	if !errors.As(err, &f) || !errors.Is(err, unix.ENOENT) || f.Step.Call != unix.SYS_EXECVE {
		t.Errorf("%v does not tell the step", err)
	}
	until(t, "the process's end", func() bool { return unix.Kill(b.pid, 0) == unix.ESRCH })
}

func TestRealCreateFails(t *testing.T) {
	b := real(t, "true")
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/tmp", Type: "nosuchfs", Source: "x"})
	_, err := b.launch().Create()
	var f *program.Failure
	if !errors.As(err, &f) || !errors.Is(err, unix.ENODEV) || !strings.HasPrefix(f.Step.From, "mounts[3]") {
		t.Errorf("%v does not tell the step", err)
	}
}

func TestRealEngineGone(t *testing.T) {
	b := real(t, "sleep 100")
	c := b.create()
	c.Close()
	until(t, "the process's end", func() bool { return unix.Kill(b.pid, 0) == unix.ESRCH })
}

func TestRealTerminal(t *testing.T) {
	b := real(t, "stty size; read x; stty size; echo got $x").terminal()
	b.config.OpenStdin = true
	b.create()
	if err := b.c.Resize("", Size{Rows: 24, Cols: 81}); err != nil {
		t.Fatal(err)
	}
	f := b.attach(both)
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the first size", func() bool { return strings.Contains(b.logged("stdout"), "24 81") })
	f.Resize(Size{Rows: 50, Cols: 132})
	f.Write([]byte("word\r"))
	if got := f.wait(); got != 0 || f.out.String() != "24 81\r\nword\r\n50 132\r\ngot word\r\n" {
		t.Errorf("%d %q", got, f.out.String())
	}
}

func TestRealExec(t *testing.T) {
	b := real(t, "sleep 100")
	b.start()
	f := b.exec(specs.Process{Args: []string{"sh", "-c", "hostname; cat; exit 3"}}, true)
	f.Write([]byte("typed\n"))
	f.CloseWrite()
	if got := f.wait(); got != 3 || f.out.String() != "inside\ntyped\n" {
		t.Errorf("%d %q %q", got, f.out.String(), f.err.String())
	}
	f = b.exec(specs.Process{Args: []string{"sh", "-c", "stty size; exit 4"}, Terminal: true, ConsoleSize: &specs.Box{Height: 11, Width: 22}}, true)
	if got := f.wait(); got != 4 || f.out.String() != "11 22\r\n" {
		t.Errorf("%d %q", got, f.out.String())
	}
	_, err := b.c.Exec(ExecSpec{Process: specs.Process{Args: []string{"nosuch"}, Env: []string{"PATH=/bin"}, Cwd: "/"}}, nil)
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("exec of what is not there: %v", err)
	}
	g := b.exec(specs.Process{Args: []string{"sleep", "100"}}, false)
	b.c.Signal("", unix.SIGKILL)
	if got := g.wait(); got != 137 {
		t.Errorf("an exec that ends with its container: %d, want 137", got)
	}
	if got := b.wait(); got != 137 {
		t.Errorf("exit code %d, want 137", got)
	}
}

// What a container leaves in the background goes with it, and does not hold its end back.
func TestRealBackground(t *testing.T) {
	t.Parallel()
	b := real(t, "(sleep 100; echo never) & yes | head -c 1000000; exit 6")
	began := time.Now()
	b.start()
	if got := b.wait(); got != 6 {
		t.Errorf("exit code %d, want 6", got)
	}
	if took := time.Since(began); took > drainTime {
		t.Errorf("took %v", took)
	}
	if got := len(b.logged("stdout")); got != 1000000 {
		t.Errorf("%d bytes in the log", got)
	}
}

func TestRealAdopt(t *testing.T) {
	t.Parallel()
	b := real(t, `i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; read x; exit 11`)
	b.config.OpenStdin = true
	b.start()
	time.Sleep(100 * time.Millisecond)
	b.killMonitor()
	time.Sleep(100 * time.Millisecond)
	if _, err := b.adopt(); err != nil {
		t.Fatal(err)
	}
	until(t, "all lines", func() bool { return strings.Contains(b.logged("stdout"), "line 99\n") })
	if got := strings.Count(b.logged("stdout"), "\n"); got != 100 {
		t.Errorf("%d lines, want 100", got)
	}
	if got := b.exec(specs.Process{Args: []string{"sh", "-c", "hostname"}}, false); got.wait() != 0 || got.out.String() != "inside\n" {
		t.Errorf("an exec through the adopter: %q", got.out.String())
	}
	f := b.attach(both)
	f.Write([]byte("go\n"))
	code := f.wait()
	if want := 11; kernelTellsExit() && code != want || code != want && code != Unobserved {
		t.Errorf("exit code %d, want %d", code, want)
	}
}

// A monitor costs at most 1.5 MiB that no other process shares, with two of them running.
func TestRealMemory(t *testing.T) {
	var boxes []*box
	for range 2 {
		b := real(t, "yes | head -c 1000000; sleep 100")
		b.start()
		if got := b.exec(specs.Process{Args: []string{"sh", "-c", "yes | head -c 100000"}}, false).wait(); got != 0 {
			t.Fatalf("exec: exit code %d", got)
		}
		boxes = append(boxes, b)
	}
	until(t, "idle monitors that have tidied up", func() bool {
		time.Sleep(100 * time.Millisecond)
		t.Log(privateDirty(t, boxes[0].state().MonitorPid), privateDirty(t, boxes[1].state().MonitorPid))
		return privateDirty(t, boxes[0].state().MonitorPid) <= 1536 && privateDirty(t, boxes[1].state().MonitorPid) <= 1536
	})
	for _, b := range boxes {
		t.Logf("%d KiB", privateDirty(t, b.state().MonitorPid))
	}
}

// BenchmarkRun is a container from Spawn to its recorded end, without the engine's part. The best of all tells more than their
// mean on a machine with other work.
func BenchmarkRun(b *testing.B) {
	box := real(b, "")
	box.spec.Process.Args = []string{"/bin/true"}
	created, started, ended := time.Hour, time.Hour, time.Hour
	for b.Loop() {
		began := time.Now()
		c := box.create()
		created = min(created, time.Since(began))
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		started = min(started, time.Since(began))
		box.wait()
		ended = min(ended, time.Since(began))
		c.Close()
	}
	b.ReportMetric(float64(created.Microseconds()), "best-µs-to-created")
	b.ReportMetric(float64(started.Microseconds()), "best-µs-to-started")
	b.ReportMetric(float64(ended.Microseconds()), "best-µs-to-end")
}

// Many execs at once, while the container prints and ends.
func TestRealCrowd(t *testing.T) {
	b := real(t, "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; read x; exit 3")
	b.config.OpenStdin = true
	b.start()
	codes := make(chan int)
	for i := range 20 {
		go func() {
			script := fmt.Sprintf("yes | head -c 100000; exit %d", i)
			p := specs.Process{Args: []string{"sh", "-c", script}, Cwd: "/", Env: []string{"PATH=/bin"}}
			s, err := b.c.Exec(ExecSpec{Process: p}, nil)
			if err != nil {
				t.Error(err)
				codes <- -1
				return
			}
			defer s.Close()
			var n counter
			code, err := s.Copy(&n, nil)
			if err != nil || n != 100000 {
				t.Errorf("exec %d: %d bytes, %v", i, n, err)
			}
			codes <- code
		}()
	}
	sum := 0
	for range 20 {
		sum += <-codes
	}
	if sum != 190 {
		t.Errorf("exit codes add up to %d, want 190", sum)
	}
	f := b.attach(both)
	f.Write([]byte("end\n"))
	if got := f.wait(); got != 3 {
		t.Errorf("exit code %d, want 3", got)
	}
	if got := strings.Count(b.logged("stdout"), "\n"); got != 2000 {
		t.Errorf("%d lines, want 2000", got)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// A bare glassrun seals itself once and goes on, with a private mount as root and with a copy in a user namespace.
func TestRealSealSelf(t *testing.T) {
	exe, err := glassrun()
	if err != nil {
		t.Fatal(err)
	}
	for name, sys := range map[string]*syscall.SysProcAttr{
		"root":           nil,
		"user namespace": {Cloneflags: unix.CLONE_NEWUSER},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, exe, "monitor", "/nowhere")
			cmd.SysProcAttr = sys
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "started by glassbox, not by hand") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
