package oci_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A create that is killed, at whatever moment, leaves a container that can be started or one that can be deleted, and then nothing.
func TestKilledCreate(t *testing.T) {
	for i := range 24 {
		b := newBox(t, "true")
		b.Write(t)
		c := b.command("create", "--bundle", b.Dir, b.ID)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 500 * time.Microsecond)
		c.Process.Kill() //nolint:errcheck // it may have ended
		c.Wait()         //nolint:errcheck // killed
		if b.run("start", b.ID).Code == 0 {
			b.await("stopped")
		}
		b.ok("delete", "--force", b.ID)
		eventually(t, func() error { return differs(strings.Join(waiting(b.Dir), " "), "") })
		b.nothingLeft()
	}
}

// waiting are the processes of ours that have to do with a directory.
func waiting(dir string) (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		text, _ := os.ReadFile(path)
		if pid := filepath.Base(filepath.Dir(path)); strings.Contains(string(text), dir) && pid != strconv.Itoa(os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Whoever waits for a container keeps little more than a Go program must, and no more than half of what runc keeps.
func TestRunIsSmall(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	b.Write(t)
	ours := keeps(t, b, b.command("run", "--bundle", b.Dir, b.ID))
	if runc() == "" {
		t.Skip("needs runc, to compare with")
	}
	b.Spec.Version = "1.0.2"
	b.Write(t)
	if theirs := keeps(t, b, exec.Command(runc(), b.Global("run", "--bundle", b.Dir, b.ID)...)); ours > theirs/2 {
		t.Errorf("run keeps %d KiB, runc %d", ours, theirs)
	} else {
		t.Logf("run keeps %d KiB, runc %d", ours, theirs)
	}
}

func runc() string {
	path, _ := exec.LookPath("runc")
	return path
}

// keeps is the resident memory of the command, in KiB, after it has waited a second for a container. Then it is ended.
func keeps(t *testing.T, b *box, c *exec.Cmd) (kib int) {
	t.Helper()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Process.Signal(os.Interrupt)                                     //nolint:errcheck // PID 1 does not mind
		exec.Command(c.Path, b.Global("delete", "--force", b.ID)...).Run() //nolint:errcheck // seen by nothingLeft
		c.Wait()                                                           //nolint:errcheck // killed
	}()
	eventually(t, func() error {
		state, _ := exec.Command(c.Path, b.Global("state", b.ID)...).Output()
		if !strings.Contains(string(state), `"status": "running"`) {
			return fmt.Errorf("not running: %s", state)
		}
		return nil
	})
	time.Sleep(time.Second) // what a runtime keeps for longer than that is what it keeps
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(rollup), "\nRss:")
	kib, err = strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
