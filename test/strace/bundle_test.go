package strace

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bundle is a directory with config.json and a root file system that holds busybox.
type bundle struct {
	dir    string
	spec   *specs.Spec
	layers *rootfs.Layers
}

// capabilities are those that Docker leaves a container.
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// newBundle is what Docker makes of `run busybox true`, with a plain directory as root.
func newBundle(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{dir: t.TempDir()}
	for dir := b.dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755) // the root of a user namespace must find its way in
	}
	b.populate(t, b.path("rootfs"))
	terms := []string{"nosuid", "noexec", "nodev"}
	mount := func(destination, kind string, options ...string) specs.Mount {
		return specs.Mount{Destination: destination, Type: kind, Source: kind, Options: options}
	}
	b.spec = &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args: []string{"true"}, Env: []string{"PATH=/usr/bin:/bin", "A=\"b c\"\n"}, Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{Bounding: capabilities, Effective: capabilities, Permitted: capabilities},
		},
		Hostname: "box",
		Mounts: []specs.Mount{
			mount("/proc", "proc", terms...),
			mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
			mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
			mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
			mount("/sys/fs/cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev"),
			mount("/dev/mqueue", "mqueue", terms...),
			mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=67108864"),
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.UTSNamespace},
				{Type: specs.IPCNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.CgroupNamespace}},
			MaskedPaths:   []string{"/proc/kcore", "/proc/keys", "/sys/firmware"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/sys"},
		},
	}
	return b
}

func (b *bundle) path(name string) string { return filepath.Join(b.dir, name) }

// populate makes a root file system: busybox, a user, the mount points.
func (b *bundle) populate(t *testing.T, root string) {
	t.Helper()
	for _, dir := range []string{"bin", "usr/bin", "proc", "dev", "sys", "etc", "tmp", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skipf("needs busybox-static: %v", err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), busybox, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", "true", "sleep", "id", "cat"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// overlay makes the root an overlay of the plain directory.
func (b *bundle) overlay(t *testing.T) {
	t.Helper()
	b.layers = &rootfs.Layers{Lower: []string{b.path("rootfs"), b.path("base")}, Upper: b.path("upper"), Work: b.path("work"), Mount: b.path("merged")}
	for _, dir := range []string{"base", "upper", "work", "merged"} {
		if err := os.Mkdir(b.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// mapped gives the container a user namespace.
func (b *bundle) mapped() {
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	b.spec.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	b.spec.Linux.GIDMappings = b.spec.Linux.UIDMappings
}

// owned gives the plain directory to the user namespace's root.
func (b *bundle) owned(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(b.path("rootfs"), func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 100000, 100000)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// write leaves config.json, and layers.json if there are layers.
func (b *bundle) write(t *testing.T) {
	t.Helper()
	files := map[string]any{"config.json": b.spec}
	if b.layers != nil {
		files["layers.json"] = b.layers
	}
	for name, v := range files {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(b.path(name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
