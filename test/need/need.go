// Package need lets a test say what it needs of the machine. What is missing is found by trying, and named in the skip; in the
// VM ring (GLASSBOX_RING=vm), which exists to have it all, a missing thing is a failure.
//
// `go run ./test/vm test` runs the tests that call CgroupV2, SecondKernel, AppArmor or Disposable, and in machines of their own those that call Classroom and
// those that call Systemd.
package need

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// VM says whether the test runs in the VM ring.
func VM() bool { return os.Getenv("GLASSBOX_RING") == "vm" }

// Root needs to be root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "needs root, and runs as user %d", os.Geteuid())
	}
}

// Program needs a program in $PATH and returns its path.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "needs the program %s: %v", name, err)
	}
	return path
}

// Hierarchy needs a cgroup2 file system in which groups can be made, with or without controllers; it returns where that is.
func Hierarchy(t testing.TB) string {
	t.Helper()
	mount := cgroup2()
	if mount == "" {
		missing(t, "needs cgroup v2: no cgroup2 file system is mounted")
	}
	dir, err := os.MkdirTemp(mount, "glassbox-test-need-")
	if err != nil {
		missing(t, "needs cgroup v2: %v", err)
	}
	os.Remove(dir)
	return mount
}

// CgroupV2 needs controllers that cgroup v2 can give to new groups; it returns the mount.
func CgroupV2(t testing.TB, controllers ...string) string {
	t.Helper()
	mount := Hierarchy(t)
	have, err := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
	if err != nil {
		missing(t, "needs cgroup v2: %v", err)
	}
	for _, c := range controllers {
		if !slices.Contains(strings.Fields(string(have)), c) {
			missing(t, "needs the cgroup v2 controller %s; %s has [%s] (runs in the VM: go run ./test/vm test)", c, mount, strings.TrimSpace(string(have)))
		}
	}
	return mount
}

// Programs needs glassbox and glassrun and returns the directory that holds both: GLASSBOX_BIN, or where it builds them, removed
// after the test.
func Programs(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("GLASSBOX_BIN"); dir != "" {
		return dir
	}
	dir := t.TempDir()
	c := exec.Command("go", "build", "-o", dir+"/", "glassbox/cmd/glassbox", "glassbox/cmd/glassrun")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, out)
	}
	return dir
}

// Systemd needs a host whose cgroup v2 is managed by systemd. The VM ring has a boot of its own for it.
func Systemd(t testing.TB) {
	t.Helper()
	if _, err := os.Stat("/run/systemd/system"); err != nil || cgroup2() != "/sys/fs/cgroup" {
		missing(t, "needs systemd with cgroup v2 (runs in the VM: go run ./test/vm test)")
	}
}

// Classroom marks a test that plays lessons or experiments. In the VM ring it runs in a machine of its own, beside the others.
func Classroom(t testing.TB) { t.Helper() }

// AppArmor needs a kernel that has it switched on, and apparmor_parser, which gives it profiles.
func AppArmor(t testing.TB) {
	t.Helper()
	if on, err := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err != nil || on[0] != 'Y' {
		missing(t, "needs AppArmor switched on (runs in the VM: go run ./test/vm test)")
	}
	Program(t, "apparmor_parser")
}

// Disposable needs a machine whose settings may be changed for good: the VM.
func Disposable(t testing.TB) {
	t.Helper()
	if !VM() {
		t.Skip("changes settings of the machine (runs in the VM: go run ./test/vm test)")
	}
}

// SecondKernel marks a test that shall be run on the VM's kernel too.
func SecondKernel(t testing.TB) { t.Helper() }

func missing(t testing.TB, format string, a ...any) {
	t.Helper()
	if VM() {
		t.Fatalf(format, a...)
	}
	t.Skipf(format, a...)
}

// cgroup2 finds the mount in proc_pid_mountinfo(5); /sys/fs/cgroup itself is the best place.
func cgroup2() string {
	info, _ := os.ReadFile("/proc/self/mountinfo")
	found := ""
	for line := range strings.Lines(string(info)) {
		left, right, _ := strings.Cut(line, " - ")
		w := strings.Fields(left)
		if len(w) > 4 && strings.HasPrefix(right, "cgroup2 ") && (found == "" || w[4] == "/sys/fs/cgroup") {
			found = w[4]
		}
	}
	return found
}

// DetachedMounts needs a kernel that mounts on a mount which is attached nowhere, as Linux does since 6.15.
func DetachedMounts(t testing.TB) {
	t.Helper()
	if err := mountDetached(); err != nil {
		missing(t, "needs mounts on detached mounts: %v", err)
	}
}

func mountDetached() error {
	clone := func() (int, error) {
		return unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	}
	tree, err := clone()
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	other, err := clone()
	if err != nil {
		return err
	}
	defer unix.Close(other)
	return unix.MoveMount(other, "", tree, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}
