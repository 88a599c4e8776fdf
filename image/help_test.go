package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"glassbox/test/registry"

	"github.com/distribution/reference"
	dockerconfig "github.com/docker/cli/cli/config"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the other process of a test: a pull that can be killed, or that races with another.
func TestMain(m *testing.M) {
	if name := os.Getenv("GLASSBOX_TEST_PULL"); name != "" {
		ref, err := reference.ParseNormalizedNamed(name)
		if err == nil {
			_, err = Open(os.Getenv("GLASSBOX_TEST_DIR")).Pull(context.Background(), ref, PullOptions{Out: os.Stdout})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// No credentials, mirrors or proxies of whoever runs the tests.
	os.Setenv("HOME", "/nonexistent")
	os.Setenv("DOCKER_CONFIG", "/nonexistent")
	os.Setenv("GLASSBOX_CONFIG", "/nonexistent")
	os.Exit(m.Run())
}

// other is a pull in a process of its own.
func other(t *testing.T, dir, name string) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "GLASSBOX_TEST_PULL="+name, "GLASSBOX_TEST_DIR="+dir)
	return c
}

// useConfig has credentials looked up in this directory until the test ends.
func useConfig(t *testing.T, dir string) {
	t.Helper()
	before := dockerconfig.Dir()
	dockerconfig.SetDir(dir)
	t.Cleanup(func() { dockerconfig.SetDir(before) })
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("owners, devices and trusted.* attributes need root")
	}
}

func file(name, body string) registry.File {
	return registry.File{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, Body: body}
}

func stat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %s: %v", path, err)
	}
	return st
}

// runIsolated runs one test again in a mount namespace of its own.
func runIsolated(t *testing.T, name string) {
	t.Helper()
	c := exec.Command("/proc/self/exe", "-test.run=^"+name+"$", "-test.v")
	c.Env = append(os.Environ(), "GLASSBOX_OWN_MOUNTS=yes")
	// Unshareflags makes all mounts private in the new namespace, before the program starts.
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := c.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("no mount namespace can be made here")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if i := strings.Index(string(out), "--- SKIP"); i >= 0 {
		t.Skip(string(out[i:]))
	}
}

func mustRef(t testing.TB, name string) reference.Named {
	t.Helper()
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// newStore is an empty store that is checked at the end: nothing half-made may lie in it.
func newStore(t testing.TB) *Store {
	t.Helper()
	s := Open(filepath.Join(t.TempDir(), "images"))
	s.pause = time.Millisecond
	t.Cleanup(func() { checkTidy(t, s) })
	return s
}

// checkTidy fails when something lies in the temporary places.
func checkTidy(t testing.TB, s *Store) {
	t.Helper()
	for _, dir := range []string{s.dir + "/temp", s.dir + "/leases", s.layers + "/temp"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			t.Errorf("%s/%s was left", dir, e.Name())
		}
	}
}

// checkEmpty fails when the store holds any blob or layer.
func checkEmpty(t testing.TB, s *Store) {
	t.Helper()
	for _, dir := range []string{s.blobs(), s.layers + "/chain"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			t.Errorf("%s/%s was left", dir, e.Name())
		}
	}
	for _, n := range layerNumbers(t, s) {
		t.Errorf("layer %s was left", n)
	}
}

func layerNumbers(t testing.TB, s *Store) []string {
	t.Helper()
	var all []string
	entries, _ := os.ReadDir(s.layers)
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") == "" {
			all = append(all, e.Name())
		}
	}
	return all
}
