package oci_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Every bad config.json is refused by create: the field is named, the exit code is runc's, nothing is left.
func TestBadConfig(t *testing.T) {
	maps := func(lines ...specs.LinuxIDMapping) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			s.Linux.UIDMappings, s.Linux.GIDMappings = lines, lines
		}
	}
	namespace := func(kind specs.LinuxNamespaceType, path string) func(*specs.Spec) {
		return func(s *specs.Spec) {
			s.Linux.Namespaces = append(without(s.Linux.Namespaces, kind), specs.LinuxNamespace{Type: kind, Path: path})
		}
	}
	mount := func(m specs.Mount) func(*specs.Spec) { return func(s *specs.Spec) { s.Mounts = append(s.Mounts, m) } }
	limit := func(kind string, soft, hard uint64) func(*specs.Spec) {
		return func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: kind, Soft: soft, Hard: hard}} }
	}
	for _, test := range []struct {
		name, want string
		edit       func(*specs.Spec)
	}{
		{"version", "ociVersion", func(s *specs.Spec) { s.Version = "invalid" }},
		{"later version", "ociVersion", func(s *specs.Spec) { s.Version = "2.0.0" }},
		{"no root", "root.path", func(s *specs.Spec) { s.Root = nil }},
		{"root absent", "root.path", func(s *specs.Spec) { s.Root.Path = "nosuch" }},
		{"root a file", "root.path", func(s *specs.Spec) { s.Root.Path = "rootfs/bin/busybox" }},
		{"root a link", "root.path", func(s *specs.Spec) { s.Root.Path = "link" }},
		{"no args", "process.args", func(s *specs.Spec) { s.Process.Args = nil }},
		{"empty arg", "process.args[0]", func(s *specs.Spec) { s.Process.Args = []string{""} }},
		{"relative cwd", "process.cwd", func(s *specs.Spec) { s.Process.Cwd = "tmp" }},
		{"no linux", "linux", func(s *specs.Spec) { s.Linux = nil }},
		{"program absent", `exec: "/nosuch"`, func(s *specs.Spec) { s.Process.Args = []string{"/nosuch"} }},
		{"namespace unknown", "linux.namespaces[6]", namespace("nosuch", "")},
		{"namespace twice", "linux.namespaces[6]", func(s *specs.Spec) { s.Linux.Namespaces = append(s.Linux.Namespaces, s.Linux.Namespaces[0]) }},
		{"namespace absent", "linux.namespaces[5]", namespace(specs.NetworkNamespace, "/nosuch")},
		{"namespace of another kind", "linux.namespaces[5]", namespace(specs.NetworkNamespace, "/proc/self/ns/pid")},
		{"namespace no namespace", "linux.namespaces[5]", namespace(specs.IPCNamespace, "/etc/passwd")},
		{"maps missing", "linux.uidMappings", maps()},
		{"maps overlap", "linux.uidMappings[1]", maps(specs.LinuxIDMapping{HostID: 100000, Size: 10}, specs.LinuxIDMapping{ContainerID: 5, HostID: 200000, Size: 10})},
		{"map of nothing", "linux.uidMappings[0]", maps(specs.LinuxIDMapping{HostID: 100000})},
		{"hostname of the host", "hostname", func(s *specs.Spec) { s.Linux.Namespaces = without(s.Linux.Namespaces, specs.UTSNamespace) }},
		{"limit unknown", "process.rlimits[0]", limit("RLIMIT_NOSUCH", 1, 1)},
		{"limit soft above hard", "process.rlimits[0]", limit("RLIMIT_NOFILE", 2, 1)},
		{"sysctl unknown", "linux.sysctl", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.nosuch": "1"} }},
		{"sysctl of the host", "linux.sysctl", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"kernel.pid_max": "1"} }},
		{"mount nowhere", "mounts[5].destination", mount(specs.Mount{Type: "tmpfs", Source: "x"})},
		{"mount of nothing", "mounts[5]", mount(specs.Mount{Destination: "/x", Type: "nosuchfs", Source: "x"})},
		{"mount option unknown", "mounts[5]", mount(specs.Mount{Destination: "/x", Type: "tmpfs", Source: "x", Options: []string{"nosuch=1"}})},
		{"bind source absent", "mounts[5]", mount(specs.Mount{Destination: "/x", Type: "bind", Source: "/nosuch", Options: []string{"bind"}})},
		{"seccomp action unknown", "linux.seccomp.defaultAction", func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NOSUCH"} }},
		{"hook relative", "hooks.poststart[0]", func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "true"}}} }},
		{"hook fails", "hooks.createRuntime[0]", func(s *specs.Spec) { s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/false"}}} }},
		{"intelRdt", "linux.intelRdt", func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "x"} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBox(t, "true")
			if err := os.Symlink("rootfs", b.Path("link")); err != nil {
				t.Fatal(err)
			}
			test.edit(b.Spec)
			b.Write(t)
			b.refused(1, test.want, "create", "--bundle", b.Dir, b.ID)
			b.nothing()
			b.refused(1, test.want, "run", "--bundle", b.Dir, b.ID)
			b.nothing()
		})
	}
}

// nothing is nothingLeft for a config.json that may have no linux.
func (b *box) nothing() {
	b.t.Helper()
	if b.Spec.Linux == nil {
		b.Spec.Linux = &specs.Linux{CgroupsPath: "/glassbox-test/" + b.ID}
	}
	b.nothingLeft()
}

// What is no config.json.
func TestBadDocument(t *testing.T) {
	for name, test := range map[string]struct {
		write func(path string) error
		want  string
	}{
		"missing":      {func(string) error { return nil }, "config.json not found"},
		"empty":        {text(""), "config.json: the file ends"},
		"truncated":    {text(`{"ociVersion": "1.2.0", "process": {"args": ["sh"`), "config.json: the file ends"},
		"no JSON":      {text("hello"), "config.json: byte 1"},
		"a list":       {text("[]"), "config.json: the document"},
		"two":          {text(`{"ociVersion": "1.2.0"} {}`), "config.json: something follows"},
		"wrong type":   {text(`{"ociVersion": "1.2.0", "process": {"args": "sh"}}`), "process.args"},
		"out of range": {text(`{"ociVersion": "1.2.0", "process": {"user": {"uid": -1}}}`), "process.user.uid"},
		"deep":         {text(strings.Repeat(`{"linux":`, 100000)), "config.json"},
		"huge": {func(path string) error {
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40)
		}, "more than 16777216"},
		"a directory": {func(path string) error { return os.Mkdir(path, 0o755) }, "not a file"},
		"a FIFO":      {func(path string) error { return unix.Mkfifo(path, 0o644) }, "not a file"},
		"a link":      {func(path string) error { return os.Symlink("/nosuch", path) }, "config.json not found"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "true")
			if err := test.write(b.Path("config.json")); err != nil {
				t.Fatal(err)
			}
			b.refused(1, test.want, "create", "--bundle", b.Dir, b.ID)
			b.nothingLeft()
		})
	}
}

func text(s string) func(path string) error {
	return func(path string) error { return os.WriteFile(path, []byte(s), 0o644) }
}

func TestBadCommandLines(t *testing.T) {
	b := newBox(t, "true")
	b.Write(t)
	for _, id := range []string{"", ".", "..", "a/b", "../" + b.ID, "/", "a b", "ä", "a\n", "a:b", strings.Repeat("a", 256)} {
		b.refused(1, "invalid container ID format", "create", "--bundle", b.Dir, "--", id)
		b.refused(1, "invalid container ID format", "state", "--", id)
		b.refused(1, "invalid container ID format", "delete", "--force", "--", id)
	}
	for _, command := range []string{"create", "start", "state", "delete", "run"} {
		b.refused(1, "requires exactly 1 argument", command)
		b.refused(1, "requires exactly 1 argument", command, "a", "b")
		b.refused(1, "flag provided but not defined: -nosuch", command, "--nosuch", "a")
	}
	b.refused(1, "requires a minimum of 1 argument", "kill")
	b.refused(1, "bundle /nosuch", "create", "--bundle", "/nosuch", b.ID)
	b.refused(1, "--preserve-fds", "create", "--preserve-fds", "-1", "--bundle", b.Dir, b.ID)
	b.refused(1, "--preserve-fds", "create", "--preserve-fds", "5000000", "--bundle", b.Dir, b.ID)
	b.refused(1, "/nosuch", "create", "--pid-file", "/nosuch/pid", "--bundle", b.Dir, b.ID)
	b.refused(1, "/nosuch", "create", "--pidfd-socket", "/nosuch/socket", "--bundle", b.Dir, b.ID)
	b.refused(1, "cannot use console socket", "create", "--console-socket", "/nosuch/socket", "--bundle", b.Dir, b.ID)
	b.nothingLeft()
}

// A console socket at which nobody is: one that is not there, one that nobody listens at, one whose queue is full.
func TestNobodyAtTheConsoleSocket(t *testing.T) {
	b := newBox(t, "true")
	b.Spec.Process.Terminal = true
	b.Write(t)
	create := []string{"create", "--bundle", b.Dir, "--console-socket", b.Path("console"), b.ID}
	b.refused(1, "process.terminal: cannot allocate tty", "create", "--bundle", b.Dir, b.ID)
	b.refused(1, "no such file", create...)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: short(t, b.Path("console"))})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	b.refused(1, "connection refused", create...)
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	full, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(full, &unix.SockaddrUnix{Name: short(t, b.Path("console"))})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(full)
	b.refused(1, "resource temporarily unavailable", create...)
	b.nothingLeft()
}

// A state directory that something has damaged is named, and can be deleted.
func TestDamagedState(t *testing.T) {
	for _, file := range []string{"state.json", "config.json", "facts.json", "rules.json", "program"} {
		t.Run(file, func(t *testing.T) {
			b := newBox(t, "true")
			b.create()
			path := b.Path("state/" + b.ID + "/" + file)
			if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte("{"), 0o600)); err != nil { // "program" is in use
				t.Fatal(err)
			}
			switch file {
			case "state.json":
				b.refused(1, file, "state", b.ID)
			case "rules.json":
				b.refused(255, file, "exec", b.ID, "true")
			case "program":
				b.refused(1, "not a program of this build", "start", b.ID)
			default: // needed only to tell of a failure
				b.ok("start", b.ID)
			}
			b.ok("delete", "--force", b.ID)
			b.nothingLeft()
		})
	}
}

// The exit codes are those of the runc that is installed.
func TestExitCodesAreRuncs(t *testing.T) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		t.Skip("needs runc, to compare with")
	}
	b := newBox(t, "true")
	b.Write(t)
	bad := b.Path("bad")
	if err := os.Mkdir(bad, 0o755); err != nil {
		t.Fatal(err)
	}
	spec := *b.Spec
	spec.Process = &specs.Process{Args: []string{"true"}, Cwd: "relative"}
	config, _ := json.Marshal(spec)
	if err := os.WriteFile(filepath.Join(bad, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{
		{"state"}, {"state", "nosuch"}, {"start"}, {"start", "nosuch"}, {"kill"}, {"kill", "nosuch"}, {"delete"}, {"delete", "nosuch"},
		{"delete", "--force", "nosuch"}, {"create"}, {"create", "--bundle", bad, "x"}, {"create", "--bundle", "/nosuch", "x"}, {"create", "--nosuch", "x"},
		{"create", "--bundle", bad, "../x"}, {"run", "--bundle", bad, "x"}, {"run"}, {"exec"}, {"exec", "nosuch", "true"}, {"exec", "nosuch"},
		{"pause", "nosuch"}, {"resume", "nosuch"}, {"ps", "nosuch"}, {"update", "nosuch"}, {"events", "nosuch"}, {"nosuch"}, {"list"}, {"--nosuch", "list"},
	} {
		ours := b.run(words...)
		theirs := bundle.Run(t, exec.Command(runc, b.Global(words...)...))
		if ours.Code != theirs.Code {
			t.Errorf("%v: exit code %d (%s), runc's %d (%s)", words, ours.Code, ours.Errs, theirs.Code, theirs.Errs)
		}
	}
}
