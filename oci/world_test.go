package oci_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/test/bundle"

	"golang.org/x/sys/unix"
)

// TestMain builds glassrun: what is tested is the command line that engines type.
func TestMain(m *testing.M) { bundle.Main(m, "", nil, "") }

// box is a container of a test's, and glassrun with a state directory of its own.
type box struct {
	*bundle.Bundle
	t *testing.T
}

// newBox is a container that would run these words of busybox.
func newBox(t *testing.T, words ...string) *box {
	t.Helper()
	b := &box{bundle.New(t), t}
	b.Spec.Process.Args = words
	t.Cleanup(func() {
		b.run("delete", "--force", b.ID)
		b.nothingLeft()
	})
	return b
}

// script is a container that runs a shell's script.
func script(t *testing.T, text string) *box {
	t.Helper()
	return newBox(t, "sh", "-c", text)
}

// command is glassrun, not yet run.
func (b *box) command(args ...string) *exec.Cmd {
	b.t.Helper()
	return bundle.Command(b.t, b.Global(args...)...)
}

// run runs a command to its end. What a container prints goes to where the test has its own output: a container may outlive the command.
func (b *box) run(args ...string) bundle.Answer {
	b.t.Helper()
	return bundle.Run(b.t, b.command(args...))
}

// ok runs a command that must succeed.
func (b *box) ok(args ...string) string {
	b.t.Helper()
	a := b.run(args...)
	if a.Code != 0 {
		b.t.Fatalf("glassrun %s: exit code %d: %s%s", strings.Join(args, " "), a.Code, a.Out, a.Errs)
	}
	return a.Out
}

// refused runs a command that must fail, with this in its message.
func (b *box) refused(code int, message string, args ...string) {
	b.t.Helper()
	a := b.run(args...)
	if a.Code != code || !strings.Contains(a.Errs, message) {
		b.t.Errorf("glassrun %s: exit code %d, %q; want %d, %q", strings.Join(args, " "), a.Code, a.Errs, code, message)
	}
}

// create creates the container. Its output goes to a file: a pipe would be open as long as the container is.
func (b *box) create(args ...string) {
	b.t.Helper()
	b.Write(b.t)
	b.quiet(append([]string{"create", "--bundle", b.Dir}, append(args, b.ID)...)...)
}

// quiet runs a command that leaves a process behind, whose output is in the file "output".
func (b *box) quiet(args ...string) {
	b.t.Helper()
	out, err := os.OpenFile(b.Path("output"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	defer out.Close()
	c := b.command(args...)
	c.Stdout, c.Stderr = out, out
	if a := bundle.Run(b.t, c); a.Code != 0 {
		b.t.Fatalf("glassrun %s: exit code %d: %s", strings.Join(args, " "), a.Code, b.output())
	}
}

func (b *box) output() string {
	text, _ := os.ReadFile(b.Path("output"))
	return string(text)
}

// state is what `state` prints.
type state struct {
	OCIVersion, ID, Status, Bundle, Rootfs, Owner string
	Pid                                           int
	Created                                       time.Time
	Annotations                                   map[string]string
}

func (b *box) state() (s state) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.ok("state", b.ID)), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// await waits until the container's status is this.
func (b *box) await(status string) {
	b.t.Helper()
	eventually(b.t, func() error {
		if s := b.state().Status; s != status {
			return fmt.Errorf("status %q, want %q", s, status)
		}
		return nil
	})
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// nothingLeft looks for what a container that is gone has left.
func (b *box) nothingLeft() {
	b.t.Helper()
	if left, _ := filepath.Glob(b.Path("state/*")); len(left) > 0 {
		b.t.Errorf("left behind: %v", left)
	}
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(mount, b.Spec.Linux.CgroupsPath)); err == nil {
			b.t.Errorf("left behind: the group %s in %s", b.Spec.Linux.CgroupsPath, mount)
		}
	}
	if mounts, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(mounts), b.Dir) {
		b.t.Errorf("left behind: a mount in %s", b.Dir)
	}
}

// dead waits until a process is gone or a zombie.
func dead(t *testing.T, pid int) {
	t.Helper()
	eventually(t, func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(text), ") Z ") || unix.Kill(pid, 0) == unix.ESRCH {
			return nil
		}
		return fmt.Errorf("process %d is still there", pid)
	})
}
