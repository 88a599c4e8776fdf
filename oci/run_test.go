package oci_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"glassbox/test/bundle"

	"github.com/creack/pty"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestRun(t *testing.T) {
	b := script(t, "cat; echo $0; exit 5")
	b.Write(t)
	c := b.command("run", "--bundle", b.Dir, b.ID)
	c.Stdin = strings.NewReader("in\n")
	if a := bundle.Run(t, c); a.Out != "in\nsh" || a.Code != 5 {
		t.Errorf("%+v", a)
	}
	b.nothingLeft()

	b = script(t, "kill -9 $$")
	b.Spec.Linux.Namespaces = without(b.Spec.Linux.Namespaces, specs.PIDNamespace) // a PID 1 cannot kill itself
	b.Write(t)
	if a := b.run("run", "--keep", "-b", b.Dir, b.ID); a.Code != 137 {
		t.Errorf("%+v", a)
	}
	if s := b.state(); s.Status != "stopped" {
		t.Errorf("kept: %+v", s)
	}
	b.ok("delete", b.ID)
}

// A container that runs in the foreground is everybody's: other commands see, enter and kill it.
func TestRunIsSeen(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	b.Write(t)
	ended := make(chan bundle.Answer, 1)
	go func() { ended <- b.run("run", "--bundle", b.Dir, b.ID) }()
	eventually(t, func() error { return differs(strings.Trim(b.run("exec", b.ID, "echo", "inside").Out, "\n"), "inside") })
	if s := b.state(); s.Status != "running" || s.Pid == 0 {
		t.Errorf("%+v", s)
	}
	b.refused(1, "container with given ID already exists", "run", "--bundle", b.Dir, b.ID)
	b.ok("kill", b.ID, "KILL")
	if a := <-ended; a.Code != 137 {
		t.Errorf("%+v", a)
	}
	b.nothingLeft()
}

// Whoever deletes it before run does is not in run's way.
func TestRunDeletedByAnother(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	b.Write(t)
	ended := make(chan bundle.Answer, 1)
	go func() { ended <- b.run("run", "--bundle", b.Dir, b.ID) }()
	eventually(t, func() error { return differs(b.run("exec", b.ID, "echo", "inside").Out, "inside") })
	b.ok("delete", "--force", b.ID)
	if a := <-ended; a.Code != 137 || a.Errs != "" {
		t.Errorf("%+v", a)
	}
}

func TestRunDetached(t *testing.T) {
	b := script(t, "echo out; exec sleep 1000")
	b.Write(t)
	b.quiet("run", "--detach", "--bundle", b.Dir, "--pid-file", b.Path("pid"), b.ID)
	if s := b.state(); s.Status != "running" {
		t.Errorf("%+v", s)
	}
	eventually(t, func() error { return differs(b.output(), "out\n") })
	if _, err := os.Stat(b.Path("pid")); err != nil {
		t.Error(err)
	}
}

// Signals that reach glassrun are the container's, from its first moment on.
func TestRunForwardsSignals(t *testing.T) {
	b := script(t, "trap 'echo term; exit 4' TERM; echo ready; while :; do sleep 0.02; done")
	b.Write(t)
	out, err := os.Create(b.Path("output"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := b.command("run", "--bundle", b.Dir, b.ID)
	c.Stdout = out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return differs(b.output(), "ready\n") })
	if err := c.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.Wait() //nolint:errcheck // its exit code is looked at
	if code := c.ProcessState.ExitCode(); code != 4 || b.output() != "ready\nterm\n" {
		t.Errorf("exit code %d, output %q", code, b.output())
	}
}

// The orphans of a container without PID namespace are reaped while it runs.
func TestRunReapsOrphans(t *testing.T) {
	b := script(t, "(sleep 0.05 & ); sleep 0.3; for p in $(cat /proc/$PPID/task/*/children); do grep -c 'State:.Z' /proc/$p/status; done; sleep 0.1")
	b.Spec.Linux.Namespaces = without(b.Spec.Linux.Namespaces, specs.PIDNamespace)
	b.Write(t)
	if a := b.run("run", "--bundle", b.Dir, b.ID); a.Code != 0 || strings.Contains(a.Out, "1") {
		t.Errorf("%+v: a zombie is left", a)
	}
}

// terminal runs a command at a terminal of 33 by 44.
type terminal struct {
	*exec.Cmd
	master *os.File
	out    chan string
	text   string
}

func atTerminal(t *testing.T, c *exec.Cmd) *terminal {
	t.Helper()
	master, err := pty.StartWithSize(c, &pty.Winsize{Rows: 33, Cols: 44})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{Cmd: c, master: master, out: make(chan string, 100)}
	go func() {
		defer close(x.out)
		for buf := make([]byte, 1000); ; {
			n, err := master.Read(buf)
			if n > 0 {
				x.out <- string(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { c.Process.Kill(); master.Close() })
	return x
}

// until reads until the text is there.
func (x *terminal) until(t *testing.T, want string) {
	t.Helper()
	late := time.After(time.Minute)
	for !strings.Contains(x.text, want) {
		select {
		case more, ok := <-x.out:
			if !ok {
				t.Fatalf("the terminal was closed after %q, before %q", x.text, want)
			}
			x.text += more
		case <-late:
			t.Fatalf("the terminal shows %q, not %q", x.text, want)
		}
	}
	_, x.text, _ = strings.Cut(x.text, want)
}

// A terminal: its size, the change of that, every key its program's, Ctrl-C included, and ours as it was at the end.
func TestTerminal(t *testing.T) {
	const inside = `trap 'echo interrupted' INT; trap 'stty size' WINCH; tty; stty size; echo ready; until read x; do :; done; echo "read $x"; exit 6`
	b := script(t, inside)
	b.Spec.Process.Terminal = true
	b.Write(t)
	b.talk(b.command("run", "--bundle", b.Dir, b.ID))
	x := started(t)
	x.talk(x.command("exec", "--tty", x.ID, "sh", "-c", inside))
}

func (b *box) talk(c *exec.Cmd) {
	b.t.Helper()
	x := atTerminal(b.t, c)
	before, err := unix.IoctlGetTermios(int(x.master.Fd()), unix.TCGETS)
	if err != nil {
		b.t.Fatal(err)
	}
	x.until(b.t, "/dev/pts/0")
	x.until(b.t, "33 44")
	x.until(b.t, "ready")
	if err := pty.Setsize(x.master, &pty.Winsize{Rows: 20, Cols: 30}); err != nil {
		b.t.Fatal(err)
	}
	x.until(b.t, "20 30")
	x.keys(b.t, "\x03")
	x.until(b.t, "interrupted")
	x.keys(b.t, "hello\r")
	x.until(b.t, "read hello")
	x.Wait() //nolint:errcheck // its exit code is looked at
	if code := x.ProcessState.ExitCode(); code != 6 {
		b.t.Errorf("exit code %d", code)
	}
	after, err := unix.IoctlGetTermios(int(x.master.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		b.t.Errorf("our terminal is %+v, %v; was %+v", after, err, before)
	}
}

func (x *terminal) keys(t *testing.T, text string) {
	t.Helper()
	if _, err := x.master.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// The master of a detached process's terminal goes to the engine's socket.
func TestConsoleSocket(t *testing.T) {
	b := script(t, "tty; stty size")
	b.Spec.Process.Terminal, b.Spec.Process.ConsoleSize = true, &specs.Box{Height: 12, Width: 34}
	received := receive(t, b.Path("console"))
	b.create("--console-socket", b.Path("console"))
	console := os.NewFile(uintptr(<-received), "console")
	defer console.Close()
	b.ok("start", b.ID)
	var out bytes.Buffer
	out.ReadFrom(console) //nolint:errcheck // EIO is a terminal's end of file
	if out.String() != "/dev/pts/0\r\n12 34\r\n" {
		t.Errorf("the terminal shows %q", out.String())
	}

	x := started(t)
	received = receive(t, x.Path("console"))
	x.quiet("exec", "--tty", "--detach", "--console-socket", x.Path("console"), x.ID, "tty")
	console = os.NewFile(uintptr(<-received), "console")
	defer console.Close()
	out.Reset()
	out.ReadFrom(console) //nolint:errcheck // as above
	if out.String() != "/dev/pts/0\r\n" {
		t.Errorf("the terminal of an exec shows %q", out.String())
	}
}
