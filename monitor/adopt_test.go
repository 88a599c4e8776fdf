package monitor

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// killMonitor ends the monitor as the OOM killer would.
func (b *box) killMonitor() {
	b.t.Helper()
	pid := b.state().MonitorPid
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		b.t.Fatal(err)
	}
	until(b.t, "the monitor's death", func() bool { _, err := Dial(b.dir); return errors.Is(err, ErrDead) })
}

func TestAdoptWhileItPrints(t *testing.T) {
	t.Parallel()
	b := shell(t, `i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; read x; exit 11`)
	b.config.OpenStdin = true
	b.start()
	time.Sleep(200 * time.Millisecond)
	b.killMonitor()
	time.Sleep(300 * time.Millisecond)
	if s := b.state(); s.Status != Running || !s.Alive() {
		t.Fatalf("the container without a monitor: %+v", s)
	}
	c, err := b.adopt()
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.State(); err != nil || s.Status != Running || s.Pid != b.pid {
		t.Errorf("%+v, %v", s, err)
	}
	var want strings.Builder
	for i := range 200 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	until(t, "all lines", func() bool { return b.logged("stdout") == want.String() })
	f := b.attach(both)
	f.Write([]byte("go\n"))
	code := f.wait()
	s := b.state()
	if s.Status != Exited || s.ExitCode != code {
		t.Errorf("state %+v", s)
	}
	if seen := code == 11 && s.Error == ""; !seen && (code != Unobserved || s.Error != unobserved) {
		t.Errorf("exit code %d, error %q: neither observed nor said to be unobserved", code, s.Error)
	}
	if kernelTellsExit() && code != 11 {
		t.Errorf("exit code %d, want 11: this kernel's pidfds remember it", code)
	}
}

// kernelTellsExit says whether adoptedExit has what it relies on: PIDFD_INFO_EXIT.
func kernelTellsExit() bool {
	var u unix.Utsname
	unix.Uname(&u)
	v := regexp.MustCompile(`^(\d+)\.(\d+)`).FindStringSubmatch(unix.ByteSliceToString(u.Release[:]))
	var major, minor int
	fmt.Sscan(v[1], &major)
	fmt.Sscan(v[2], &minor)
	return major > 6 || major == 6 && minor >= 15
}

func TestAdoptTheDead(t *testing.T) {
	b := shell(t, "sleep 100")
	b.config.Cleanup = []string{"/bin/sh", "-c", "> " + b.dir + "/mark"}
	b.start()
	b.killMonitor()
	unix.Kill(b.pid, unix.SIGKILL)
	until(t, "the container's end", func() bool { return !b.state().Alive() })
	if _, err := b.adopt(); err == nil || err.Error() != errGone.Error() {
		t.Errorf("adopting a dead container: %v", err)
	}
	if s := b.state(); s.Status != Exited || s.ExitCode != Unobserved || s.Error != unobserved || s.FinishedAt.IsZero() {
		t.Errorf("state %+v", s)
	}
	until(t, "the cleanup", func() bool { _, err := os.Stat(b.dir + "/mark"); return err == nil })
	if _, err := b.adopt(); err == nil || !strings.Contains(err.Error(), "nothing to adopt") {
		t.Errorf("adopting it again: %v", err)
	}
}

// A reused pid is not taken for the container.
func TestAdoptAnotherProcess(t *testing.T) {
	b := shell(t, "sleep 100")
	b.start()
	b.killMonitor()
	s := b.state()
	unix.Kill(b.pid, unix.SIGKILL)
	s.Pid, s.PidStart = os.Getpid(), s.PidStart+1
	b.write("state.json", s)
	if _, err := b.adopt(); err == nil || err.Error() != errGone.Error() {
		t.Errorf("%v", err)
	}
}

func TestAdoptUnstarted(t *testing.T) {
	b := shell(t, "sleep 100")
	c := b.create()
	b.killMonitor()
	c.Close()
	if _, err := b.adopt(); err == nil {
		t.Error("a container whose gate nobody can open was adopted")
	}
	until(t, "the process's end", func() bool { return !b.state().Alive() })
}

// A container that prints more than the pipe holds while there is no monitor waits, and loses nothing.
func TestOutputWithoutMonitor(t *testing.T) {
	t.Parallel()
	const size = 256 << 10
	b := shell(t, fmt.Sprintf("read x; head -c %d /dev/zero; sleep 100", size))
	b.config.OpenStdin = true
	b.start()
	f := b.attach(both)
	f.Write([]byte("go\n"))
	b.killMonitor()
	if <-f.done; !errors.Is(f.failure, ErrDead) {
		t.Errorf("the stream of a monitor that was killed: %v, want ErrDead", f.failure)
	}
	time.Sleep(100 * time.Millisecond)
	if _, err := b.adopt(); err != nil {
		t.Fatal(err)
	}
	g := b.attach(both)
	until(t, "all output in the log", func() bool { return len(b.logged("stdout")) == size })
	b.c.Signal("", unix.SIGTERM)
	g.wait()
}
