package monitor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"glassbox/sealed"

	"golang.org/x/sys/unix"
)

// renewed waits until the monitor has executed itself again and answers.
func (b *box) renewed() {
	b.t.Helper()
	path := fmt.Sprintf("/proc/%d/cmdline", b.state().MonitorPid)
	until(b.t, "the renewal", func() bool {
		data, _ := os.ReadFile(path)
		return bytes.Contains(data, []byte("--resume"))
	})
	c, err := Dial(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.State(); err != nil {
		b.t.Fatal(err)
	}
}

// Clients, their requests and promises, half a line and the exit code survive a renewal.
func TestRenewal(t *testing.T) {
	b := shell(t, "printf half; read x; echo ' line' $x; exit 12")
	b.config.OpenStdin, b.config.StdinOnce = true, true
	b.config.Cleanup = []string{"/bin/sh", "-c", "> " + b.dir + "/mark"}
	c := b.create()
	if err := c.TakeCleanup(); err != nil {
		t.Fatal(err)
	}
	f, g := b.attach(both), b.attach(AttachSpec{Stderr: true})
	waited := make(chan int)
	go func() {
		code, err := c.Wait(context.Background(), "")
		if err != nil {
			t.Error(err)
		}
		waited <- code
	}()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	b.renewed()
	f.Write([]byte("word\n"))
	for _, code := range []int{f.wait(), g.wait(), <-waited} {
		if code != 12 {
			t.Errorf("exit code %d, want 12", code)
		}
	}
	if f.out.String() != "half line word\n" || g.out.Len() != 0 {
		t.Errorf("%q, and standard error alone: %q", f.out.String(), g.out.String())
	}
	if got := strings.Join(b.entries(), "|"); got != "half line word\n" {
		t.Errorf("log %q", got)
	}
	if s := b.state(); s.Status != Exited || s.ExitCode != 12 || s.Error != "" {
		t.Errorf("state %+v", s)
	}
	time.Sleep(50 * time.Millisecond)
	if _, err := os.Stat(b.dir + "/mark"); err == nil {
		t.Error("the client's promise was forgotten")
	}
	if err := c.Cleaned(Rest{}); err != nil {
		t.Error(err)
	}
}

// A container that never pauses is no reason to stay big.
func TestRenewalOfBusyMonitor(t *testing.T) {
	b := shell(t, "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); sleep 0.01; done")
	b.start()
	b.renewed()
	b.wait()
	if got := len(b.entries()); got != 300 {
		t.Errorf("%d lines, want 300", got)
	}
}

func TestRenewedTerminal(t *testing.T) {
	b := shell(t, "read x; stty size; exec cat").terminal()
	b.config.OpenStdin = true
	b.start()
	f := b.attach(both)
	b.renewed()
	if err := b.c.Resize("", Size{Rows: 12, Cols: 34}); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("go\n"))
	until(t, "the new size", func() bool { return strings.Contains(b.logged("stdout"), "12 34") })
	f.Write([]byte("typed\n\x04"))
	if got := f.wait(); got != 0 || f.out.String() != "go\r\n12 34\r\ntyped\r\ntyped\r\n" {
		t.Errorf("%d %q", got, f.out.String())
	}
}

func TestRenewedMonitorDoesTheRest(t *testing.T) {
	b := shell(t, "sleep 100")
	b.config.Cleanup = []string{"/bin/sh", "-c", "> " + b.dir + "/mark"}
	b.start()
	b.renewed()
	monitor := b.state().MonitorPid
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGTERM} {
		unix.Kill(monitor, sig)
	}
	if fds := openFiles(t, monitor); fds > 16 {
		t.Errorf("%d descriptors are open", fds)
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/exe", monitor))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !sealed.Is(int(f.Fd())) {
		t.Error("it does not run from a sealed file any more")
	}
	if err := b.c.Signal("", unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := b.wait(); got != 143 {
		t.Errorf("exit code %d, want 143", got)
	}
	until(t, "the cleanup", func() bool { _, err := os.Stat(b.dir + "/mark"); return err == nil })
}

// A renewed monitor's children inherit nothing of what was made inheritable for it.
func TestNothingLeaksIntoProcesses(t *testing.T) {
	b := shell(t, "ls -l /proc/self/fd; sleep 100")
	b.start()
	b.renewed()
	until(t, "the list", func() bool { return strings.Contains(b.logged("stdout"), " 0 ->") })
	spec := ExecSpec{}
	spec.Process.Args = []string{"ls", "-l", "/proc/self/fd"}
	s, err := b.c.Exec(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, s)
	f.wait()
	for _, list := range []string{b.logged("stdout"), f.out.String()} {
		if got := strings.Count(list, "->"); got != 4 { // 0, 1, 2 and the directory that ls reads
			t.Errorf("%d descriptors:\n%s", got, list)
		}
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A reader of the state file sees one state or the next, never half of one.
func TestStateFileIsWhole(t *testing.T) {
	b := shell(t, "sleep 0.3")
	stop, done := make(chan struct{}), make(chan map[string]bool)
	go func() {
		seen := map[string]bool{}
		defer func() { done <- seen }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			s, err := ReadState(b.config.StateFile)
			if err != nil && !os.IsNotExist(err) {
				t.Error(err)
				return
			}
			seen[s.Status] = true
			time.Sleep(50 * time.Microsecond)
		}
	}()
	b.create()
	time.Sleep(5 * time.Millisecond)
	if err := b.c.Start(); err != nil {
		t.Fatal(err)
	}
	b.wait()
	time.Sleep(5 * time.Millisecond)
	close(stop)
	if seen := <-done; !seen[Created] || !seen[Running] || !seen[Exited] {
		t.Errorf("states seen: %v", seen)
	}
}
