package bundle

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// planted is the root file system of which every bundle's is a copy by hard links.
var planted string

// Inside is set in the environment of what runs in the containers.
const Inside = "GLASSBOX_INSIDE=1"

// Main is TestMain for a package whose program is also what runs in its containers, where it is /bin/<name>; no name: it is not. Applets are what the tests
// use of busybox's, each one more link in every bundle; empty: all.
func Main(m *testing.M, name string, inside func(args []string) int, applets string) {
	if name != "" && (filepath.Base(os.Args[0]) == name || slices.Contains(os.Environ(), Inside)) {
		os.Exit(inside(os.Args[1:]))
	}
	os.Exit(run(m, name, applets))
}

func run(m *testing.M, name, applets string) int {
	dir, err := os.MkdirTemp("", "bundles-")
	if err == nil {
		defer os.RemoveAll(dir)
		planted = filepath.Join(dir, "rootfs")
		err = build(dir)
	}
	if err == nil {
		err = plant(planted, name, applets)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
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

// plant makes it: busybox, this program, mount points, two users.
func plant(root, name, applets string) error {
	for _, dir := range []string{"bin", "proc", "dev", "sys", "etc", "tmp", "root", "mnt"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o1777); err != nil {
		return err
	}
	if err := install("/bin/busybox", filepath.Join(root, "bin/busybox")); err != nil {
		return fmt.Errorf("busybox-static is needed: %w", err)
	}
	if err := link(filepath.Join(root, "bin"), applets); err != nil {
		return err
	}
	if name != "" {
		self, err := os.Executable()
		if err == nil {
			err = install(self, filepath.Join(root, "bin", name))
		}
		if err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"), 0o644)
}

// link makes busybox's links.
func link(dir, applets string) error {
	if applets == "" {
		out, err := exec.Command("/bin/busybox", "--list").Output()
		if err != nil {
			return fmt.Errorf("busybox --list: %w", err)
		}
		applets = string(out)
	}
	for _, applet := range strings.Fields(applets) {
		if err := os.Symlink("busybox", filepath.Join(dir, applet)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// install copies a program, unless it would find no libraries in the containers.
func install(from, to string) error {
	f, err := elf.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s must be static: tests that run in containers can use no package that needs cgo (net, os/user)", from)
		}
	}
	if out, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copying %s: %w: %s", from, err, out)
	}
	return nil
}
