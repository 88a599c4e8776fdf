package oci_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/bundle"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// started is a container that waits for execs.
func started(t *testing.T, change ...func(*specs.Spec)) *box {
	t.Helper()
	b := newBox(t, "sleep", "1000")
	for _, f := range change {
		f(b.Spec)
	}
	b.create()
	b.ok("start", b.ID)
	return b
}

func TestExec(t *testing.T) {
	b := started(t)
	for _, test := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{b.ID, "echo", "-n", "--cwd"}, "--cwd", 0},
		{[]string{b.ID, "sh", "-c", "exit 7"}, "", 7},
		{[]string{b.ID, "sh", "-c", "kill -9 $$"}, "", 137},
		{[]string{"--cwd", "/tmp", b.ID, "pwd"}, "/tmp", 0},
		{[]string{"-e", "A=1", "--env", "B=2", b.ID, "sh", "-c", "echo $A$B"}, "12", 0},
		{[]string{"-u", "12:13", "-g", "14", "--additional-gids", "15", b.ID, "id"}, "uid=12 gid=13 groups=14,15", 0},
		{[]string{"-u", "12", b.ID, "id", "-g"}, "0", 0},
		{[]string{"--no-new-privs", b.ID, "grep", "NoNewPrivs", "/proc/self/status"}, "NoNewPrivs:\t1", 0},
		{[]string{"--cap", "CAP_SYS_ADMIN", "-c", "CAP_SYS_TIME", b.ID, "sh", "-c", "grep -E 'Cap(Inh|Eff|Amb)' /proc/self/status"}, "CapInh:\t0000000000000000\nCapEff:\t00000000aa2425fb\nCapAmb:\t0000000000000000", 0},
		{[]string{b.ID, "sh", "-c", "ls /proc/self/fd | wc -l"}, "4", 0}, // three and ls's own
	} {
		a := b.run(append([]string{"exec"}, test.args...)...)
		if a.Out != test.want || a.Code != test.code {
			t.Errorf("exec %v: %q, exit code %d (%s); want %q, %d", test.args, a.Out, a.Code, a.Errs, test.want, test.code)
		}
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{b.ID, "nosuch"}, `exec: "nosuch": executable file not found in $PATH`},
		{[]string{b.ID, "/tmp"}, "permission denied"},
		{[]string{"-u", "root", b.ID, "true"}, "parsing root as int for uid failed"},
		{[]string{"--cwd", "/nosuch", b.ID, "true"}, "process.cwd"},
		{[]string{b.ID}, "requires a minimum of 2"},
		{[]string{"-t", "-d", b.ID, "true"}, "without setting console socket"},
		{[]string{"--process", "/nosuch", b.ID}, "/nosuch"},
		{[]string{"--cgroup", "nosuch", b.ID, "true"}, "nosuch"},
		{[]string{"nosuch", "true"}, "container does not exist"},
	} {
		b.refused(255, test.want, append([]string{"exec"}, test.args...)...)
	}
	b.refused(1, "flag provided but not defined: -nosuch", "exec", "--nosuch", b.ID, "true")
	b.refused(1, "requires a minimum of 1", "exec")
}

// A process that a file describes has nothing of the container's first one, but must have all that is demanded of each.
func TestExecProcessFile(t *testing.T) {
	b := started(t, func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno}}}
		s.Process.Env = append(s.Process.Env, "FIRST=1")
	})
	p := specs.Process{Args: []string{"sh", "-c", "echo $X$FIRST; mkdir /tmp/x"}, Cwd: "/", Env: []string{"PATH=/bin", "X=file"}}
	text, _ := json.Marshal(p)
	if err := os.WriteFile(b.Path("process.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	a := b.run("exec", "--process", b.Path("process.json"), b.ID)
	if a.Out != "file" || !strings.Contains(a.Errs, "Operation not permitted") {
		t.Errorf("%+v: want what the file says, and no mkdir", a)
	}
}

func TestExecDetached(t *testing.T) {
	b := started(t)
	b.quiet("exec", "--detach", "--pid-file", b.Path("pid"), b.ID, "sh", "-c", "echo out; exec sleep 1000")
	text, err := os.ReadFile(b.Path("pid"))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%s/ns/pid", text))
	first, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", b.state().Pid))
	if err != nil || exe != first {
		t.Errorf("process %s is in %s (%v), the container in %s", text, exe, err, first)
	}
	eventually(t, func() error { return differs(b.output(), "out\n") })
}

// In every kind of namespace, a user namespace included, an exec is where the container's process is.
func TestExecJoinsAll(t *testing.T) {
	b := started(t, func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace}, specs.LinuxNamespace{Type: specs.TimeNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	})
	const look = "for n in user mnt pid net ipc uts cgroup time; do readlink /proc/$0/ns/$n; done"
	first := b.ok("exec", b.ID, "sh", "-c", look, "1")
	if self := b.ok("exec", b.ID, "sh", "-c", look, "self"); self != first || strings.Count(self, "\n") != 7 {
		t.Errorf("an exec is in\n%s\nthe container in\n%s", self, first)
	}
	pid := b.state().Pid
	for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"} {
		ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil || !strings.Contains(first, ns) {
			t.Errorf("%s: %v, not in what an exec sees:\n%s", ns, err, first)
		}
	}
}

// The container's own pipes can be opened by its user: /dev/stdout leads to one of ours.
func TestStreamsAreTheUsers(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo opened > /proc/self/fd/1")
	b.Spec.Process.User = specs.User{UID: 1000, GID: 1000}
	b.Write(t)
	b.piped("run", "--bundle", b.Dir, b.ID)
	b = started(t, func(s *specs.Spec) { s.Process.User = specs.User{UID: 1000, GID: 1000} })
	b.piped("exec", b.ID, "sh", "-c", "echo opened > /proc/self/fd/1")
}

// piped runs a command whose output is a pipe.
func (b *box) piped(args ...string) {
	b.t.Helper()
	var out bytes.Buffer
	c := b.command(args...)
	c.Stdout = &out
	if a := bundle.Run(b.t, c); a.Code != 0 || out.String() != "opened\n" {
		b.t.Errorf("%s ends with %d: %s%s", args[0], a.Code, out.String(), a.Errs)
	}
}

func TestPreserveDescriptors(t *testing.T) {
	b := newBox(t, "sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd | tr '\\n' ' '")
	b.Write(t)
	var files []*os.File
	for _, text := range []string{"three", "four", "five"} {
		path := b.Path(text)
		if err := os.WriteFile(path, []byte(text+" "), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	c := b.command("run", "--bundle", b.Dir, "--preserve-fds", "2", b.ID)
	c.ExtraFiles = files
	if a := bundle.Run(t, c); a.Out != "three four 0 1 2 3 4 5" { // ls has one of its own
		t.Errorf("%+v", a)
	}
	c = b.command("run", "--bundle", b.Dir, "--preserve-fds", "4", b.ID)
	c.ExtraFiles = files
	if a := bundle.Run(t, c); a.Code != 1 || !strings.Contains(a.Errs, "descriptor 6 is not open") {
		t.Errorf("%+v", a)
	}

	b = newBox(t, "sh", "-c", "cat <&3; cat <&4; echo $LISTEN_FDS $LISTEN_PID")
	b.Write(t)
	// LISTEN_PID must be glassrun's own number, which a shell knows that becomes it.
	c = b.command("run", "--bundle", b.Dir, "--preserve-fds", "1", b.ID)
	c.Args = append([]string{"sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`}, c.Args...)
	c.Path = "/bin/sh"
	for i := range files {
		if _, err := files[i].Seek(0, 0); err != nil {
			t.Fatal(err)
		}
	}
	c.ExtraFiles = files
	if a := bundle.Run(t, c); a.Out != "three four 1 1" {
		t.Errorf("%+v", a)
	}
}

// A pidfd goes to who wants to know of the process's end without being its parent.
func TestPidfdSocket(t *testing.T) {
	b := newBox(t, "sleep", "1000")
	b.Write(t)
	received := receive(t, b.Path("pidfd"))
	b.create("--pidfd-socket", b.Path("pidfd"))
	pidfd := <-received
	defer unix.Close(pidfd)
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", pidfd))
	if err != nil || !strings.Contains(string(text), fmt.Sprintf("Pid:\t%d\n", b.state().Pid)) {
		t.Errorf("%v: %s", err, text)
	}
}

// receive takes one descriptor at a socket, as an engine does.
func receive(t *testing.T, path string) <-chan int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: short(t, path)})
	}
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan int, 1)
	go func() {
		defer unix.Close(fd)
		defer close(got)
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		defer unix.Close(conn)
		name, control := make([]byte, 64), make([]byte, 64)
		_, n, _, _, err := unix.Recvmsg(conn, name, control, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return
		}
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil || len(messages) != 1 {
			return
		}
		if fds, err := unix.ParseUnixRights(&messages[0]); err == nil {
			got <- fds[0]
		}
	}()
	return got
}

// short is a path to the same directory that fits into a socket's address.
func short(t *testing.T, path string) string {
	t.Helper()
	if len(path) < 100 {
		return path
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
}
