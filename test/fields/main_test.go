// Package fields tests config.json field by field: each row of its tables changes one field, runs `glassrun` on the bundle and compares
// what a probe saw inside, or which field the refusal names. A row says what it needs of the machine; what is missing is found by trying,
// and named in the skip. The tables run on this machine and on the VM's kernel (go run ./test/vm test ./test/fields).
package fields

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/fields/probe"
)

// TestMain is also the probe: this program lies in each bundle's root file system under that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "probe" {
		os.Exit(probe.Run(os.Args[1:]))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fields-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err == nil {
		err = plant(filepath.Join(dir, "rootfs"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	planted = filepath.Join(dir, "rootfs")
	return m.Run()
}

// build builds glassrun once for all tests, unless need.Programs finds one.
func build(dir string) error {
	if os.Getenv("GLASSBOX_BIN") != "" {
		return nil
	}
	c := exec.Command("go", "build", "-o", dir+"/", "glassbox/cmd/glassrun")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building glassrun: %w\n%s", err, out)
	}
	return os.Setenv("GLASSBOX_BIN", dir)
}

// planted is the root file system of which every bundle's is a copy by hard links.
var planted string

// applets are what rows use of busybox's: each is one more link in every bundle.
const applets = "awk basename cat chmod chown cp cut date dd df dirname dmesg du echo env expr false find getopt grep head hostname id ip kill ln ls mkdir mknod " +
	"mount mv nproc od printf ps pwd readlink realpath rm rmdir sed seq sh sleep sort stat stty sync tail tee test touch tr true tty umount uname uniq wc which xargs"

// plant makes it: busybox, the probe, mount points, two users.
func plant(root string) error {
	for _, dir := range []string{"bin", "proc", "dev", "sys", "etc", "tmp", "root", "mnt"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o1777); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for from, to := range map[string]string{"/bin/busybox": "bin/busybox", self: "bin/probe"} {
		if out, err := exec.Command("cp", from, filepath.Join(root, to)).CombinedOutput(); err != nil {
			return fmt.Errorf("copying %s (busybox-static is needed): %w: %s", from, err, out)
		}
	}
	for _, applet := range strings.Fields(applets) {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			return err
		}
	}
	if out, err := exec.Command("chroot", root, "/bin/probe", "prctl").CombinedOutput(); err != nil {
		return fmt.Errorf("the probe must be static, so these tests can use no package that needs cgo (net, os/user): %w: %s", err, out)
	}
	return os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"), 0o644)
}
