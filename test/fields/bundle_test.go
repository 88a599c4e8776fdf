package fields

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// bundle is a directory with config.json and a root file system that holds busybox and the probe.
type bundle struct {
	dir  string
	id   string // of the container
	spec *specs.Spec

	waiting string // what the container does while an exec is tried
}

func (b *bundle) path(name string) string { return filepath.Join(b.dir, name) }

// root is a path in the container's file tree.
func (b *bundle) root(name string) string { return filepath.Join(b.dir, "rootfs", name) }

var serial atomic.Int32

func newBundle(t *testing.T) *bundle {
	t.Helper()
	need.Root(t)
	b := &bundle{waiting: "probe wait", dir: t.TempDir(), id: fmt.Sprintf("fields-%d-%d", os.Getpid(), serial.Add(1))}
	for dir := b.dir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755) // the root of a user namespace must find its way in
	}
	if out, err := exec.Command("cp", "-al", planted, b.path("rootfs")).CombinedOutput(); err != nil {
		t.Fatalf("copying the root file system: %v: %s", err, out)
	}
	b.spec = newSpec(b.id)
	return b
}

// capabilities are those that Docker leaves a container.
var capabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// newSpec is about what Docker makes of `docker run`; rows edit it.
func newSpec(id string) *specs.Spec {
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Env: []string{"PATH=/bin"}, Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{Bounding: capabilities, Effective: capabilities, Permitted: capabilities},
		},
		Hostname: "box",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{CgroupsPath: "/glassbox-test/" + id},
	}
	for _, n := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace, specs.UTSNamespace, specs.IPCNamespace, specs.NetworkNamespace, specs.CgroupNamespace} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: n})
	}
	return s
}

// mapped gives the container a user namespace, which owns its file tree.
func (b *bundle) mapped(t *testing.T) {
	t.Helper()
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = ids, ids
	if err := os.Chown(b.path("rootfs"), 100000, 100000); err != nil { // what lies in it is the other bundles', too
		t.Fatal(err)
	}
}

// write leaves config.json.
func (b *bundle) write(t *testing.T) {
	t.Helper()
	writeJSON(t, b.path("config.json"), b.spec)
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// words is a command line's arguments: a simple command as it is, all else for the shell.
func words(line string) []string {
	if strings.ContainsAny(line, ";|&$<>()'\"*`\n\\") {
		return []string{"sh", "-c", line}
	}
	return strings.Fields(line)
}

// answer is how a command of glassrun's ended.
type answer struct {
	out, errs string
	code      int
}

// patience is the most that one command may take: the VM is fifty times slower than the machine.
const patience = 2 * time.Minute

// glassrun runs a command of it to its end. What it prints goes to files: a container that stays holds them open.
func glassrun(t *testing.T, args ...string) answer {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(need.Programs(t), "glassrun"), args...)
	out, errs := scratch(t), scratch(t)
	defer out.Close()
	defer errs.Close()
	c.Stdout, c.Stderr = out, errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop := time.AfterFunc(patience, func() { c.Process.Kill() })
	defer stop.Stop()
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("glassrun %s: %v", strings.Join(args, " "), err)
	}
	return answer{strings.TrimRight(text(t, out), " \n"), strings.TrimSpace(text(t, errs)), c.ProcessState.ExitCode()}
}

func scratch(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func text(t *testing.T, f *os.File) string {
	t.Helper()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
