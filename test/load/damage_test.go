package load

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/traces"
	"glassbox/test/world"

	"golang.org/x/sys/unix"
)

// place is a directory of the victim's: DATA/containers/<id> or RUN/containers/<id>.
func place(variable, id string) string { return filepath.Join(os.Getenv(variable), "containers", id) }

func half(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data[:len(data)/2], 0o600)
}

func garbage(path string) error { return os.WriteFile(path, []byte("\x00\xff{{{ not JSON"), 0o600) }

func empty(path string) error { return os.Truncate(path, 0) }

func directory(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	return os.Mkdir(path, 0o700)
}

// Damaged documents are named and set aside, and the rest still works.
func TestDamagedDocuments(t *testing.T) {
	settled := account(t)
	if err := traces.Want(0, "run", "-d", "--name", "bystander", "tiny", "sleep", "1000"); err != nil {
		t.Fatal(err)
	}
	harms := map[string]func(string) error{"half": half, "garbage": garbage, "empty": empty, "directory": directory}
	for _, document := range []string{"state.json", "container.json"} {
		for _, stopped := range []bool{false, true} {
			for name, harm := range harms {
				t.Run(fmt.Sprintf("%s %s, stopped %v", name, document, stopped), func(t *testing.T) { damaged(t, document, harm, stopped) })
			}
		}
	}
	tidyUp(t)
	settled()
	healthy(t)
}

func damaged(t *testing.T, document string, harm func(string) error, stopped bool) {
	out, code := traces.Glassbox("run", "-d", "--name", "victim", "--network", "side", "tiny", "sleep", "1000")
	if code != 0 {
		t.Fatal(out)
	}
	id := strings.TrimSpace(out)
	if stopped {
		if err := traces.Want(0, "stop", "-t", "0", "victim"); err != nil {
			t.Fatal(err)
		}
	}
	path := place("GLASSBOX_ROOT", id) + "/" + document
	if err := harm(path); err != nil {
		t.Fatal(err)
	}
	out, code = traces.Glassbox("ps", "-a")
	if code != 0 || !strings.Contains(out, "bystander") || !strings.Contains(out, path) || !strings.Contains(out, "set aside") {
		t.Errorf("ps -a: exit %d:\n%s", code, out)
	}
	want := "Up"
	if stopped {
		want = "Exited (255)"
	}
	if document == "state.json" && !strings.Contains(out, want) {
		t.Errorf("ps -a does not show the victim as %q:\n%s", want, out)
	}
	if err := traces.Want(0, "exec", "bystander", "true"); err != nil {
		t.Error(err)
	}
	if out, code := traces.Glassbox("system", "check"); code != 1 || !strings.Contains(out, path+".corrupt") {
		t.Errorf("system check: exit %d:\n%s", code, out)
	}
	if out, code := traces.Glassbox("rm", "-f", id); code != 0 {
		t.Errorf("rm -f: exit %d: %s", code, out)
	}
	if out, code := traces.Glassbox("run", "--rm", "--name", "victim", "tiny", "true"); code != 0 {
		t.Errorf("the name is not free: %s", out)
	}
}

// Without its run directory nobody can talk to a container any more. It can be ended, and the check cleans what that leaves.
func TestRunDirectoryDeleted(t *testing.T) {
	for _, cure := range [][]string{{"rm", "-f", "victim"}, {"stop", "-t", "0", "victim"}, {"kill", "victim"}, {"restart", "-t", "0", "victim"}} {
		t.Run(cure[0], func(t *testing.T) {
			settled := account(t)
			out, code := traces.Glassbox("run", "-d", "--name", "victim", "--network", "side", "-p", "80", "tiny", "sleep", "1000")
			if code != 0 {
				t.Fatal(out)
			}
			dir := place("GLASSBOX_RUN", strings.TrimSpace(out))
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if out, code := traces.Glassbox("ps", "-a"); code != 0 || !strings.Contains(out, "Up ") || !strings.Contains(out, dir) {
				t.Errorf("ps -a: exit %d: %s", code, out)
			}
			if out, code := traces.Glassbox("system", "check"); code != 1 || !strings.Contains(out, dir) {
				t.Errorf("system check: exit %d: %s", code, out)
			}
			if out, code := traces.Glassbox(cure...); code != 0 {
				t.Errorf("%v: exit %d: %s", cure, code, out)
			}
			clean(t, cure[0])
			truthful(t)
			if cure[0] != "rm" {
				if err := errors.Join(traces.Want(0, "start", "victim"), traces.Want(0, "exec", "victim", "true")); err != nil {
					t.Error(err)
				}
			}
			tidyUp(t)
			settled()
		})
	}
}

// small makes a data directory of its own on a disk of that size.
func small(t *testing.T, size string) (root string) {
	t.Helper()
	t.Cleanup(func() { traces.Glassbox("system", "check") }) // of this one's networks, the firewall's table remembers some
	root = filepath.Join(world.Dir(), "small")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GLASSBOX_ROOT", root)
	t.Setenv("GLASSBOX_RUN", "/run/small")
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		os.RemoveAll("/run/small")
	})
	for _, args := range [][]string{{"run", "--rm", "--network", "none", "tiny", "true"}, {"create", "--name", "made", "--network", "none", "tiny", "true"},
		{"run", "-d", "--name", "runs", "--network", "none", "tiny", "sleep", "1000"}} {
		if err := traces.Want(0, args...); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// The command sees the directory read-only; a monitor from before can still write.
func TestReadOnlyDataDirectory(t *testing.T) {
	root := small(t, "64m")
	frozen := root + "-frozen"
	if err := errors.Join(os.Mkdir(frozen, 0o755), unix.Mount(root, frozen, "", unix.MS_BIND, ""),
		unix.Mount("", frozen, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GLASSBOX_ROOT", frozen)
	unable(t, "read-only file system")
	t.Setenv("GLASSBOX_ROOT", root)
	if err := errors.Join(unix.Unmount(frozen, 0), os.Remove(frozen)); err != nil {
		t.Fatal(err)
	}
	able(t)
}

func TestFullDisk(t *testing.T) {
	root := small(t, "64m")
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+root+"/filler", "bs=4k").CombinedOutput(); err == nil {
		t.Fatalf("the disk is not full: %s", out)
	}
	unable(t, "no space left on device")
	if err := os.Remove(root + "/filler"); err != nil {
		t.Fatal(err)
	}
	able(t)
}

// unable: nothing can be written. What cannot be done says why, what needs no writing works, and nothing half-made remains.
func unable(t *testing.T, reason string) {
	t.Helper()
	before, err := os.ReadDir(os.Getenv("GLASSBOX_ROOT") + "/containers")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"create", "--name", "more", "--network", "none", "tiny", "true"}, {"run", "--network", "none", "tiny", "true"}, {"start", "made"}} {
		if out, code := traces.Glassbox(args...); code == 0 || !strings.Contains(out, reason) {
			t.Errorf("%v: exit %d: %s", args, code, out)
		}
	}
	after, _ := os.ReadDir(os.Getenv("GLASSBOX_ROOT") + "/containers")
	if len(after) != len(before) {
		t.Errorf("%d containers became %d", len(before), len(after))
	}
	if out, code := traces.Glassbox("ps", "-a"); code != 0 || !strings.Contains(out, "runs") || !strings.Contains(out, "Up ") || !strings.Contains(out, "made") {
		t.Errorf("ps -a: exit %d: %s", code, out)
	}
	if err := traces.Want(0, "exec", "runs", "true"); err != nil {
		t.Error(err)
	}
	if out, code := traces.Glassbox("stop", "-t", "0", "runs"); code != 0 && !strings.Contains(out, reason) {
		t.Errorf("stop: exit %d: %s", code, out)
	}
	if out, _ := traces.Glassbox("ps", "-a"); strings.Contains(out, "Up ") {
		t.Errorf("ps -a still says that it runs: %s", out)
	}
}

// able: it can be written again, and all goes on as if nothing had been.
func able(t *testing.T) {
	t.Helper()
	clean(t, "after it can be written again")
	truthful(t)
	for _, args := range [][]string{{"start", "runs"}, {"start", "made"}, {"run", "--rm", "--name", "more", "--network", "none", "tiny", "true"}} {
		if err := traces.Want(0, args...); err != nil {
			t.Error(err)
		}
	}
	tidyUp(t)
	clean(t, "in the end")
}
