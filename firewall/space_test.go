package firewall

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"glassbox/test/need"
)

// space is a network namespace of a test's own: a host, a container or another machine.
type space struct{ file *os.File }

func newSpace(t testing.TB) *space {
	t.Helper()
	need.Root(t)
	s := &space{}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		var err error
		s.file, err = os.Open("/proc/thread-self/ns/net")
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	t.Cleanup(func() { s.file.Close() })
	s.run(t, "ip link set lo up")
	return s
}

// enter runs f on a thread inside. Processes and sockets that f starts or opens stay there.
func (s *space) enter(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// try runs a command line of the shell inside.
func (s *space) try(input, line string) (string, error) {
	var out strings.Builder
	err := s.enter(func() error {
		c := exec.Command("sh", "-ec", line)
		c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &out, &out
		return c.Run()
	})
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", line, err, out.String())
	}
	return out.String(), err
}

// run does so, and the command must succeed.
func (s *space) run(t testing.TB, line string) string {
	t.Helper()
	out, err := s.try("", line)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// feed gives nft(8) a script.
func (s *space) feed(t testing.TB, script string) {
	t.Helper()
	if _, err := s.try(script, "nft -f -"); err != nil {
		t.Fatalf("%v\n%s", err, script)
	}
}

func (s *space) ruleset(t testing.TB) string { return s.run(t, "nft list ruleset") }

// do carries out a request inside.
func (s *space) do(t testing.TB, do func() error) {
	t.Helper()
	if err := s.enter(do); err != nil {
		t.Fatal(err)
	}
}

// linked runs a command that names another namespace as its descriptor 3, on the calling thread's side.
func linked(line string, there *space) error {
	c := exec.Command("sh", "-ec", line)
	c.ExtraFiles = []*os.File{there.file}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}
