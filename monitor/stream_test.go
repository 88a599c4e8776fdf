package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOutput(t *testing.T) {
	b := shell(t, "echo one; echo two >&2; printf three")
	b.create()
	f := b.attach(both)
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	if got := f.wait(); got != 0 || f.out.String() != "one\nthree" || f.err.String() != "two\n" {
		t.Errorf("%d %q %q", got, f.out.String(), f.err.String())
	}
	if b.logged("stdout") != "one\nthree" || b.logged("stderr") != "two\n" {
		t.Errorf("log: %q %q", b.logged("stdout"), b.logged("stderr"))
	}
}

// All of the output comes before the exit, to everybody, however much is left in the pipe at the end.
func TestOutputIsDrained(t *testing.T) {
	t.Parallel()
	const size = 10 << 20
	b := shell(t, fmt.Sprintf("yes 0123456789abcdef | head -c %d; exit 3", size))
	b.create()
	a, c := b.attach(both), b.attach(AttachSpec{Stdout: true})
	onlyErr := b.attach(AttachSpec{Stderr: true})
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	if got := b.wait(); got != 3 {
		t.Errorf("exit code %d, want 3", got)
	}
	want := strings.Repeat("0123456789abcdef\n", size/17+1)[:size]
	for _, f := range []*follower{a, c} {
		if got := f.wait(); got != 3 || f.out.String() != want {
			t.Errorf("exit %d with %d bytes, want 3 with %d", got, f.out.Len(), size)
		}
	}
	if onlyErr.wait() != 3 || onlyErr.out.Len() != 0 {
		t.Error("a client of standard error alone was sent standard output")
	}
	if got := b.logged("stdout"); got != want {
		t.Errorf("%d bytes in the log, want %d", len(got), size)
	}
}

// A client that does not read holds the container back; what it has missed comes when it reads again.
func TestBackpressure(t *testing.T) {
	const size = 4 << 20
	b := shell(t, fmt.Sprintf("head -c %d /dev/zero; echo end >&2", size))
	b.create()
	s, err := b.c.Attach(AttachSpec{Stdout: true, Stderr: true, Patient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if strings.Contains(b.logged("stderr"), "end") {
		t.Error("the container was not held back")
	}
	f := follow(t, s)
	if got := f.wait(); got != 0 || f.out.Len() != size || f.err.String() != "end\n" {
		t.Errorf("exit %d with %d bytes, want 0 with %d", got, f.out.Len(), size)
	}
}

func TestClientThatReadsNothingIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for 10 s")
	}
	t.Parallel()
	b := shell(t, "head -c 4000000 /dev/zero; exit 6")
	b.create()
	s, err := b.c.Attach(AttachSpec{Stdout: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	if got := b.wait(); got != 6 {
		t.Errorf("exit code %d, want 6", got)
	}
}

// The end is told at once though a client has not read yet, and that client still gets everything.
func TestEndDoesNotWaitForReaders(t *testing.T) {
	b := shell(t, "head -c 510000 /dev/zero; exit 8")
	b.create()
	s, err := b.c.Attach(AttachSpec{Stdout: true, Patient: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	if got := b.wait(); got != 8 {
		t.Fatalf("exit code %d, want 8", got)
	}
	time.Sleep(50 * time.Millisecond)
	f := follow(t, s)
	if got := f.wait(); got != 8 || f.out.Len() != 510000 {
		t.Errorf("exit %d with %d bytes", got, f.out.Len())
	}
}

// With the host's PID namespace a process can outlive PID 1 and hold its output open. The exit is told after two seconds.
func TestGrandchildHoldsOutput(t *testing.T) {
	t.Parallel()
	b := shell(t, "echo hello; (setsid sleep 6 &); sleep 0.1; exit 2")
	began := time.Now()
	b.start()
	f := b.attach(both)
	if got := f.wait(); got != 2 {
		t.Errorf("exit code %d, want 2", got)
	}
	if took := time.Since(began); took < drainTime || took > 2*drainTime+time.Second { // the grandchild ends after six
		t.Errorf("told after %v, want about %v", took, drainTime)
	}
	if got := b.logged("stdout"); got != "hello\n" {
		t.Errorf("log %q", got)
	}
}

func TestInput(t *testing.T) {
	for _, c := range []struct {
		name       string
		open, once bool
		eof        bool // the client says that its input has ended
		leave      bool // the client goes away
		want       string
	}{
		{"none", false, false, false, false, ""},
		{"once, ended", true, true, true, false, "hello"},
		{"once, client gone", true, true, false, true, "hello"},
		{"open, ended by one client, continued by another", true, false, true, false, "hello again"},
		{"open, left by one client, continued by another", true, false, false, true, "hello again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := shell(t, `x=$(head -c 11); printf %s "$x"`)
			b.config.OpenStdin, b.config.StdinOnce = c.open, c.once
			b.create()
			f := b.attach(both)
			if err := b.c.Start(); err != nil {
				t.Fatal(err)
			}
			f.Write([]byte("hello"))
			if c.eof {
				f.CloseWrite()
			}
			if c.leave {
				f.Close()
			}
			if c.open && !c.once {
				time.Sleep(50 * time.Millisecond)
				g := b.attach(both)
				g.Write([]byte(" again"))
			}
			b.wait()
			if got := b.logged("stdout"); got != c.want {
				t.Errorf("the container read %q, want %q", got, c.want)
			}
		})
	}
}

// More input than the pipe holds, before and while the process reads it.
func TestMuchInput(t *testing.T) {
	const size = 5 << 20
	b := shell(t, "sleep 0.3; exec cksum")
	b.config.OpenStdin, b.config.StdinOnce = true, true
	b.create()
	f := b.attach(both)
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Repeat([]byte("x"), size)); err != nil {
		t.Fatal(err)
	}
	f.CloseWrite()
	if got := f.wait(); got != 0 || !strings.HasSuffix(f.out.String(), fmt.Sprintf(" %d\n", size)) {
		t.Errorf("%d %q", got, f.out.String())
	}
}

// A client that is killed has its last words delivered, although the process was not reading then.
func TestInputOfDeadClient(t *testing.T) {
	const size = 200 << 10
	b := shell(t, "sleep 0.5; exec wc -c")
	b.config.OpenStdin, b.config.StdinOnce = true, true
	b.create()
	f := b.attach(AttachSpec{Stdin: true})
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	b.wait()
	if got := strings.TrimSpace(b.logged("stdout")); got != fmt.Sprint(size) {
		t.Errorf("the container read %s bytes, want %d", got, size)
	}
}

func TestReopenedStdout(t *testing.T) {
	b := shell(t, "echo one > /proc/self/fd/1; echo two > /proc/self/fd/2")
	b.start()
	b.wait()
	if b.logged("stdout") != "one\n" || b.logged("stderr") != "two\n" {
		t.Errorf("log: %q %q", b.logged("stdout"), b.logged("stderr"))
	}
}

func TestTerminal(t *testing.T) {
	b := shell(t, "stty size; read x; stty size; echo got $x; exit 3").terminal()
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
	if got := f.wait(); got != 3 {
		t.Errorf("exit code %d, want 3", got)
	}
	want := "24 81\r\nword\r\n50 132\r\ngot word\r\n"
	if f.out.String() != want || b.logged("stdout") != want {
		t.Errorf("terminal %q, log %q, want %q", f.out.String(), b.logged("stdout"), want)
	}
}

func TestTerminalSignals(t *testing.T) {
	b := shell(t, "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.05; done").terminal()
	b.config.OpenStdin = true
	b.start()
	f := b.attach(both)
	until(t, "the trap", func() bool { return strings.Contains(b.logged("stdout"), "ready") })
	f.Write([]byte{3})
	if got := f.wait(); got != 7 || !strings.Contains(f.out.String(), "caught") {
		t.Errorf("%d %q", got, f.out.String())
	}
}

func TestResizeWithoutTerminal(t *testing.T) {
	b := shell(t, "sleep 100")
	b.start()
	if err := b.c.Resize("", Size{24, 80}); err == nil || err.Error() != errNoTerminal.Error() {
		t.Errorf("%v", err)
	}
}

// A megabyte pasted into a terminal comes through and back, while the program's echo fills the other direction.
func TestPaste(t *testing.T) {
	const size = 1 << 20
	b := shell(t, fmt.Sprintf("stty raw -echo; echo ready; head -c %d | tee /dev/stderr | cksum", size)).terminal()
	b.config.OpenStdin = true
	b.start()
	f := b.attach(both)
	until(t, "raw mode", func() bool { return strings.Contains(b.logged("stdout"), "ready") })
	text := bytes.Repeat([]byte("0123456789abcde\r"), size/16)
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
	if got := f.wait(); got != 0 {
		t.Errorf("exit code %d", got)
	}
	got := f.out.Bytes()
	if i := bytes.Index(got, text); i < 0 {
		t.Errorf("%d bytes came back, the text is not in them", len(got))
	} else if !strings.Contains(string(got[i+size:]), fmt.Sprintf(" %d", size)) {
		t.Errorf("after the text: %q", got[i+size:])
	}
}

func TestDetachAndAttachAgain(t *testing.T) {
	b := shell(t, "read x; echo got $x; read y; echo got $y")
	b.config.OpenStdin = true
	b.start()
	f := b.attach(both)
	f.Write([]byte("a\n"))
	until(t, "the first answer", func() bool { return b.logged("stdout") == "got a\n" })
	f.Close()
	g := b.attach(both)
	g.Write([]byte("b\n"))
	if g.wait(); g.out.String() != "got b\n" {
		t.Errorf("after attaching again: %q", g.out.String())
	}
}

// A caller's own broken pipe (`glassbox run IMAGE | head`) is not the monitor's death.
func TestBrokenWriter(t *testing.T) {
	b := shell(t, "while :; do echo line; done")
	b.create()
	s, err := b.c.Attach(AttachSpec{Stdout: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	if _, err := s.Copy(w, nil); !errors.Is(err, unix.EPIPE) || errors.Is(err, ErrDead) {
		t.Errorf("%v, want EPIPE", err)
	}
	s.Close()
	b.c.Signal("", unix.SIGKILL)
	b.wait()
}
