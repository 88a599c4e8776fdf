package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// machine is an engine on directories of its own, with an image `bb` that holds busybox. Its containers are removed
// after the test, also after a failed one.
type machine struct {
	*Engine
	t testing.TB
}

var built = sync.OnceValues(func() (string, error) {
	if os.Getenv("GLASSBOX_BIN") != "" {
		return "", nil
	}
	if path := os.Getenv("GLASSBOX_TEST_GLASSRUN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "glassrun")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "glassrun")
	cmd := exec.Command("go", "build", "-o", path, "glassbox/cmd/glassrun")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.New("building glassrun: " + string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	// The cleanup command that a monitor runs is this test binary.
	if len(os.Args) == 4 && os.Args[1] == "container" && os.Args[2] == "cleanup" {
		e, err := Open()
		if err == nil {
			err = e.Containers.Cleanup(os.Args[3])
		}
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := ownNetwork(); err != nil {
		os.Stderr.WriteString("a network namespace for the tests: " + err.Error() + "\n")
		os.Exit(1)
	}
	code := m.Run()
	if path, err := built(); err == nil && path != "" && os.Getenv(moved) == mover() {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// moved tells the test program that it is in its own network namespace already, and which process was the first there: those that
// tests start with the same program come into it too.
const moved = "GLASSBOX_TEST_MOVED"

// mover is what moved says in the process that has built glassrun.
func mover() string {
	if os.Geteuid() != 0 {
		return ""
	}
	return strconv.Itoa(os.Getpid())
}

// ownNetwork moves the test program into a network namespace of its own, with lo and a default route: containers change the network of the
// machine that they run on. A namespace is a thread's, and execve(2) leaves but one thread.
func ownNetwork() error {
	if os.Geteuid() != 0 || os.Getenv(moved) != "" {
		return nil
	}
	if path, err := built(); err != nil || os.Setenv("GLASSBOX_TEST_GLASSRUN", path) != nil { // modules may have to be fetched
		return err
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if out, err := exec.Command("sh", "-c", outfit).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return unix.Exec("/proc/self/exe", os.Args, append(os.Environ(), moved+"="+strconv.Itoa(os.Getpid())))
}

const outfit = `set -e
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_forward
ip link add up0 type veth peer name up1
ip addr add 192.0.2.1/24 dev up0
ip link set up0 up
ip link set up1 up
ip route add default via 192.0.2.254`

func newMachine(t testing.TB) *machine {
	t.Helper()
	need.Root(t)
	program, err := built()
	if os.Getenv("GLASSBOX_BIN") != "" {
		program, err = need.Programs(t)+"/glassrun", nil
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// A container's root in a user namespace must get through to its files.
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GLASSBOX_ROOT", dir+"/data")
	t.Setenv("GLASSBOX_RUN", dir+"/run")
	t.Setenv("GLASSBOX_GLASSRUN", program)
	e, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{Engine: e, t: t}
	e.Containers.Warn = func(message string) { t.Logf("warning: %s", message) }
	t.Cleanup(m.removeAll)
	m.importBusybox()
	return m
}

func (m *machine) removeAll() {
	ids, err := m.Containers.root.IDs()
	if err != nil {
		m.t.Error(err)
	}
	for _, id := range ids {
		if err := m.Containers.Remove(context.Background(), id, true, true); err != nil && !Is(err, NotFound) {
			m.t.Errorf("removing %s: %v", id, err)
		}
	}
}

const passwd = "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n"

func (m *machine) importBusybox() {
	m.t.Helper()
	program, err := os.ReadFile(need.Program(m.t, "busybox"))
	if err != nil {
		m.t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, data []byte) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(&h); err != nil {
			m.t.Fatal(err)
		}
		w.Write(data)
	}
	for _, dir := range []string{"bin", "etc", "tmp", "root"} {
		add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755}, program)
	for _, name := range strings.Fields("sh ls cat ip nc nslookup ping sleep true false echo id hostname mount touch mkdir kill pwd env stat rm stty trap seq head ps date") {
		add(tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + name, Linkname: "busybox"}, nil)
	}
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, []byte(passwd))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/group", Mode: 0o644}, []byte("root:x:0:\nbob:x:1000:\nwheel:x:10:bob\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/crlf", Mode: 0o755}, []byte("#!/bin/sh\r\necho hi\r\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "bin/noshebang", Mode: 0o755}, []byte("hello\n"))
	add(tar.Header{Typeflag: tar.TypeReg, Name: "tmp/noexec.sh", Mode: 0o644}, []byte("#!/bin/sh\n"))
	if err := w.Close(); err != nil {
		m.t.Fatal(err)
	}
	config := ocispec.Image{Config: ocispec.ImageConfig{Env: []string{"FROM=image"}, Cmd: []string{"sh"}}}
	if _, err := m.Images.ImportTar(&b, "bb:latest", config); err != nil {
		m.t.Fatal(err)
	}
}

// shell is what most tests run: a command of busybox's shell without a network.
func shell(script string) Options {
	return Options{
		Config:     &container.Config{Image: "bb", Cmd: []string{"sh", "-c", script}},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	}
}

func (m *machine) create(o Options) string {
	m.t.Helper()
	c, err := m.Containers.Create(context.Background(), o)
	if err != nil {
		m.t.Fatalf("create: %v", err)
	}
	return c.ID
}

// run runs a container in the foreground, and keeps it.
func (m *machine) run(o Options) (stdout, stderr string, code int) {
	m.t.Helper()
	id := m.create(o)
	var out, errs bytes.Buffer
	a, err := m.Containers.StartAttached(context.Background(), id, Streams{Out: &out, Err: &errs})
	if err != nil {
		m.t.Fatalf("start: %v", err)
	}
	defer a.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if code, err = a.Run(ctx); err != nil {
		m.t.Fatalf("run: %v\nstderr: %s", err, errs.String())
	}
	if err := m.Containers.Cleanup(id); err != nil && !Is(err, NotFound) {
		m.t.Errorf("cleanup: %v", err)
	}
	return out.String(), errs.String(), code
}

// detached starts a container in the background.
func (m *machine) detached(o Options) string {
	m.t.Helper()
	id := m.create(o)
	if err := m.Containers.Start(context.Background(), id); err != nil {
		m.t.Fatalf("start: %v", err)
	}
	return id
}

func (m *machine) inspect(id string) container.InspectResponse {
	m.t.Helper()
	i, err := m.Containers.Inspect(id, false)
	if err != nil {
		m.t.Fatalf("inspect: %v", err)
	}
	return i
}
