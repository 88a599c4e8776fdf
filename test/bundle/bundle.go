// Package bundle makes OCI bundles for tests: a root file system with busybox and the test's own program in it, about what Docker makes of
// `docker run` as config.json, and glassrun to run them.
package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Bundle is a directory with config.json and a root file system.
type Bundle struct {
	Dir  string
	ID   string // of the container
	Spec *specs.Spec
}

// Path is a path in the bundle.
func (b *Bundle) Path(name string) string { return filepath.Join(b.Dir, name) }

// Root is a path in the container's file tree.
func (b *Bundle) Root(name string) string { return filepath.Join(b.Dir, "rootfs", name) }

var serial atomic.Int32

// New makes a bundle that the test may change.
func New(t *testing.T) *Bundle {
	t.Helper()
	need.Root(t)
	b := &Bundle{Dir: t.TempDir(), ID: fmt.Sprintf("%s-%d-%d", filepath.Base(os.Args[0]), os.Getpid(), serial.Add(1))}
	for dir := b.Dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755) // the root of a user namespace must find its way in
	}
	if out, err := exec.Command("cp", "-al", planted, b.Path("rootfs")).CombinedOutput(); err != nil {
		t.Fatalf("copying the root file system: %v: %s", err, out)
	}
	b.Spec = spec(b.ID)
	return b
}

// Capabilities are those that Docker leaves a container.
var Capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

func spec(id string) *specs.Spec {
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Env: []string{"PATH=/bin", Inside}, Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{Bounding: Capabilities, Effective: Capabilities, Permitted: Capabilities},
		},
		Hostname: "box",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{CgroupsPath: "/glassbox-test/" + id},
	}
	for _, n := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace, specs.UTSNamespace, specs.IPCNamespace, specs.NetworkNamespace, specs.CgroupNamespace} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: n})
	}
	return s
}

// Write leaves config.json.
func (b *Bundle) Write(t *testing.T) {
	t.Helper()
	text, err := json.Marshal(b.Spec)
	if err == nil {
		err = os.WriteFile(b.Path("config.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Global puts glassrun's state below the bundle: nobody else's containers are there.
func (b *Bundle) Global(args ...string) []string {
	return append([]string{"--root", b.Path("state")}, args...)
}

// Mapped gives the container a user namespace.
func (b *Bundle) Mapped() {
	b.Spec.Linux.Namespaces = append(b.Spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	b.Spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	b.Spec.Linux.GIDMappings = b.Spec.Linux.UIDMappings
}

// Grant gives it more capabilities.
func (b *Bundle) Grant(more ...string) {
	all := append(slices.Clone(b.Spec.Process.Capabilities.Bounding), more...)
	b.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
}
