package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"glassbox/monitor"
	"glassbox/store"
	"glassbox/test/need"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	dockerimage "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
)

// bg is what nobody calls off. Of a test that waits for ever, go test's own limit tells where.
var bg = context.Background()

func TestRunFromInside(t *testing.T) {
	m := newMachine(t)
	out, _, code := m.run(shell("echo $FROM $HOME $HOSTNAME; id; hostname; pwd; cat /etc/hosts; ls /; exit 3"))
	for _, want := range []string{"image /root ", "uid=0(root) gid=0(root)", "127.0.0.1\tlocalhost", "\nproc\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if code != 3 {
		t.Errorf("exit code %d", code)
	}
}

func TestOptionsFromInside(t *testing.T) {
	m := newMachine(t)
	source := t.TempDir()
	missing := source + "/made"
	tests := []struct {
		name, script, want string
		change             func(*container.Config, *container.HostConfig)
	}{
		{"user", "id", "uid=1000(bob) gid=1000(bob) groups=10(wheel),1000(bob)", func(c *container.Config, h *container.HostConfig) { c.User = "bob" }},
		{"group-add", "id -G", "0 10", func(c *container.Config, h *container.HostConfig) { h.GroupAdd = []string{"wheel"} }},
		{"workdir", "pwd", "/new/dir", func(c *container.Config, h *container.HostConfig) { c.WorkingDir = "/new/dir" }},
		{"hostname", "hostname", "box", func(c *container.Config, h *container.HostConfig) { c.Hostname = "box" }},
		{"domainname", "cat /proc/sys/kernel/domainname", "example.org", func(c *container.Config, h *container.HostConfig) { c.Domainname = "example.org" }},
		{"env", "echo $A-$FROM", "1-image", func(c *container.Config, h *container.HostConfig) { c.Env = []string{"A=1"} }},
		{"read-only", "touch /x 2>&1 || true", "Read-only file system", func(c *container.Config, h *container.HostConfig) { h.ReadonlyRootfs = true }},
		{"bind", "echo text > /mnt/f; cat /mnt/f", "text", func(c *container.Config, h *container.HostConfig) { h.Binds = []string{source + ":/mnt"} }},
		{"bind read-only", "touch /mnt/g 2>&1 || true", "Read-only file system", func(c *container.Config, h *container.HostConfig) { h.Binds = []string{source + ":/mnt:ro"} }},
		{"bind of a missing directory", "ls -d /mnt", "/mnt", func(c *container.Config, h *container.HostConfig) { h.Binds = []string{missing + ":/mnt"} }},
		{"tmpfs", "mount | grep /scratch", "nosuid,nodev,noexec,relatime,size=1024k", func(c *container.Config, h *container.HostConfig) { h.Tmpfs = map[string]string{"/scratch": "size=1m"} }},
		{"mount tmpfs", "mount | grep /scratch", "mode=700", func(c *container.Config, h *container.HostConfig) {
			h.Mounts = []mount.Mount{{Type: "tmpfs", Target: "/scratch", TmpfsOptions: &mount.TmpfsOptions{Mode: 0o700}}}
		}},
		{"shm-size", "mount | grep /dev/shm", "size=2048k", func(c *container.Config, h *container.HostConfig) { h.ShmSize = 2 << 20 }},
		{"default capabilities", "grep CapBnd /proc/self/status", "a80425fb", func(c *container.Config, h *container.HostConfig) {}},
		{"cap-drop", "grep CapBnd /proc/self/status", "00000000\n", func(c *container.Config, h *container.HostConfig) { h.CapDrop = []string{"ALL"} }},
		{"no-new-privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1", func(c *container.Config, h *container.HostConfig) { h.SecurityOpt = []string{"no-new-privileges"} }},
		{"ulimit", "ulimit -n", "64", func(c *container.Config, h *container.HostConfig) {
			h.Ulimits = []*container.Ulimit{{Name: "nofile", Soft: 64, Hard: 64}}
		}},
		{"sysctl", "cat /proc/sys/kernel/shmmni", "1234", func(c *container.Config, h *container.HostConfig) {
			h.Sysctls = map[string]string{"kernel.shmmni": "1234"}
		}},
		{"device", "ls /dev/mine", "/dev/mine", func(c *container.Config, h *container.HostConfig) {
			h.Devices = []container.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/mine", CgroupPermissions: "rwm"}}
		}},
		{"add-host", "cat /etc/hosts", "10.9.8.7\tother", func(c *container.Config, h *container.HostConfig) { h.ExtraHosts = []string{"other:10.9.8.7"} }},
		{"dns", "cat /etc/resolv.conf", "nameserver 1.2.3.4", func(c *container.Config, h *container.HostConfig) { h.DNS = []string{"1.2.3.4"} }},
		{"pid host", "readlink /proc/self/ns/pid || ls -l /proc/self/ns/pid", link(t, "pid"), func(c *container.Config, h *container.HostConfig) { h.PidMode = "host" }},
		{"network host", "ls -l /proc/self/ns/net", link(t, "net"), func(c *container.Config, h *container.HostConfig) { h.NetworkMode = "host" }},
		{"uts host", "ls -l /proc/self/ns/uts", link(t, "uts"), func(c *container.Config, h *container.HostConfig) { h.UTSMode = "host" }},
		{"ipc host", "ls -l /proc/self/ns/ipc", link(t, "ipc"), func(c *container.Config, h *container.HostConfig) { h.IpcMode = "host" }},
		{"oom score", "cat /proc/self/oom_score_adj", "500", func(c *container.Config, h *container.HostConfig) { h.OomScoreAdj = 500 }},
		{"privileged", "ls /proc/acpi /proc/scsi >/dev/null 2>&1; mount | grep ' /sys '", "rw,", func(c *container.Config, h *container.HostConfig) { h.Privileged = true }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := &machine{m.Engine, t}
			o := shell(test.script)
			test.change(o.Config, o.HostConfig)
			out, errs, _ := m.run(o)
			if !strings.Contains(out, test.want) {
				t.Errorf("%s:\n%s%s\nwant %q", test.script, out, errs, test.want)
			}
		})
	}
}

func link(t *testing.T, name string) string {
	target, err := os.Readlink("/proc/self/ns/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestFailedStarts(t *testing.T) {
	m := newMachine(t)
	for _, test := range []struct {
		cmd  []string
		text string
		exit int
		hint string
	}{
		{[]string{"nosuchcmd"}, `exec: "nosuchcmd": executable file not found in $PATH: unknown`, 127, ""},
		{[]string{"/nosuch"}, `exec: "/nosuch": stat /nosuch: no such file or directory: unknown`, 127, ""},
		{[]string{"/etc"}, `exec: "/etc": permission denied: unknown`, 126, ""},
		{[]string{"/tmp/noexec.sh"}, `exec: "/tmp/noexec.sh": permission denied: unknown`, 126, "chmod +x"},
		{[]string{"/bin/crlf"}, `exec: "/bin/crlf": no such file or directory: unknown`, 127, `\r`},
		{[]string{"/bin/noshebang"}, `exec: "/bin/noshebang": exec format error: unknown`, 126, "#!/bin/sh"},
		{[]string{"crlf"}, `exec: "/bin/crlf": no such file or directory: unknown`, 127, `\r`},
		{[]string{"noshebang"}, `exec: "/bin/noshebang": exec format error: unknown`, 126, "#!/bin/sh"},
		{[]string{"noexec.sh"}, `exec: "noexec.sh": executable file not found in $PATH: unknown`, 127, ""},
	} {
		o := shell("")
		o.Config.Cmd = test.cmd
		id := m.create(o)
		err := m.Containers.Start(bg, id)
		if err == nil || err.Error() != createFailed+test.text {
			t.Errorf("%q:\n got %v\nwant %s", test.cmd, err, createFailed+test.text)
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Exit != test.exit {
			t.Errorf("%q: exit %+v, want %d", test.cmd, e, test.exit)
		}
		if test.hint != "" && (e.Hint == nil || !strings.Contains(e.Hint.Why+e.Hint.Fix, test.hint)) {
			t.Errorf("%q: hint %+v, want %q", test.cmd, e.Hint, test.hint)
		}
		s := m.inspect(id).State
		if s.Status != "created" || s.ExitCode != test.exit || s.Error != err.Error() || s.Pid != 0 {
			t.Errorf("%q: state %+v", test.cmd, s)
		}
	}
	o := shell("true")
	o.Config.User, o.HostConfig.AutoRemove = "nosuch", true
	id := m.create(o)
	if err := m.Containers.Start(bg, id); err == nil || err.Error() != "unable to find user nosuch: no matching entries in passwd file" {
		t.Errorf("unknown user: %v", err)
	}
	if _, err := m.Containers.Inspect(id, false); !Is(err, NotFound) {
		t.Errorf("with --rm it should be gone: %v", err)
	}
	m.leavesNothing(id)
}

// leavesNothing checks that a removed container holds nothing any longer.
func (m *machine) leavesNothing(id string) {
	m.t.Helper()
	p := m.Containers.root.Container(id)
	g, err := m.Containers.groupOf(&record{ID: id, HostConfig: &container.HostConfig{}})
	if err != nil {
		m.t.Error(err)
	}
	for _, path := range []string{p.Dir, p.Run, g.Path} {
		if _, err := os.Lstat(path); path != "" && !errors.Is(err, os.ErrNotExist) {
			m.t.Errorf("%s is left: %v", path, err)
		}
	}
	names, err := m.Containers.root.Names().All()
	if err != nil {
		m.t.Error(err)
	}
	for _, name := range names {
		if owner, err := m.Containers.root.Names().Owner(name); err == nil && owner == id {
			m.t.Errorf("the name %s is left", name)
		}
	}
	if data, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(data, []byte(id)) {
		m.t.Errorf("a mount is left, or %v", err)
	}
}

func TestLifeCycle(t *testing.T) {
	need.SecondKernel(t)
	m := newMachine(t)
	o := shell("echo $$ >> /count; trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
	o.Name = "web"
	id := m.detached(o)
	m.waitForLog(id, "ready")
	c := m.Containers
	if s := m.inspect("web").State; !s.Running || s.Pid == 0 || s.Status != "running" {
		t.Errorf("%+v", s)
	}
	if err := c.Start(bg, "web"); err != nil {
		t.Errorf("starting what runs: %v", err)
	}
	m.refuses(c.Remove(bg, "web", false, false), `cannot remove container "web": container is running: stop the container before removing or force remove`)
	m.refuses(c.Unpause("web"), "Container "+id+" is not paused")
	m.ok(c.Pause("web"))
	if s := m.inspect(id[:8]).State; s.Status != "paused" || !s.Running {
		t.Errorf("%+v", s)
	}
	m.refuses(c.Pause("web"), "Container "+id+" is already paused")
	_, _, err := c.Exec(bg, "web", ExecOptions{ExecOptions: container.ExecOptions{Cmd: []string{"true"}}}, Streams{})
	m.refuses(err, "Container web is paused, unpause the container before exec")
	m.ok(c.Unpause("web"))
	m.ok(c.Rename("web", "db"))
	m.refuses(c.Kill(bg, "web", KillOptions{}), "cannot kill container: web: No such container: web")
	began := time.Now()
	m.ok(c.Stop(bg, "db", StopOptions{}))
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("stop took %v", d)
	}
	if s := m.inspect("db").State; s.Status != "exited" || s.ExitCode != 9 || s.Pid != 0 || s.FinishedAt < s.StartedAt {
		t.Errorf("%+v", s)
	}
	m.ok(c.Stop(bg, "db", StopOptions{}))
	m.refuses(c.Kill(bg, "db", KillOptions{}), "cannot kill container: db: container "+id+" is not running")
	m.ok(c.Restart(bg, "db", StopOptions{}))
	m.waitForLog(id, "ready\nready")
	if data, err := os.ReadFile(c.root.Container(id).Upper() + "/count"); err != nil || string(data) != "1\n1\n" {
		t.Errorf("data after stop and start: %q, %v", data, err)
	}
	m.ok(c.Kill(bg, "db", KillOptions{Signal: "KILL"}))
	if code, err := c.Wait(bg, "db"); code != 137 || err != nil {
		t.Errorf("wait: %d, %v", code, err)
	}
	m.ok(c.Remove(bg, "db", false, false))
	m.refuses(c.Remove(bg, "db", true, false), "No such container: db")
	m.leavesNothing(id)
}

func (m *machine) ok(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Error(err)
	}
}

func (m *machine) refuses(err error, want string) {
	m.t.Helper()
	if err == nil || err.Error() != want {
		m.t.Errorf("got %v\nwant %s", err, want)
	}
}

func (m *machine) logs(id string, o LogOptions) (stdout, stderr string) {
	m.t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	defer cancel()
	if err := m.Containers.Logs(ctx, id, o, &out, &errs); err != nil {
		m.t.Errorf("logs: %v", err)
	}
	return out.String(), errs.String()
}

func (m *machine) waitForLog(id, text string) {
	m.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if out, _ := m.logs(id, LogOptions{Tail: -1}); strings.Contains(out, text) {
			return
		}
	}
	m.t.Fatalf("%s did not print %q", id[:12], text)
}

func TestStopKillsAfterTheGrace(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("exec sleep 1000"))
	m.sleeps(id)
	one, told := 1, ""
	m.ok(m.Containers.Stop(bg, id, StopOptions{Timeout: &one, Warn: func(message string, _ time.Duration) { told = message }}))
	if s := m.inspect(id).State; s.ExitCode != 137 {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(told, "PID 1 (sleep) has no handler for SIGTERM") {
		t.Errorf("warned of %q", told)
	}
	withInit := shell("exec sleep 1000")
	withInit.HostConfig.Init = ptr(true)
	id = m.detached(withInit)
	m.sleeps(id)
	began := time.Now()
	m.ok(m.Containers.Stop(bg, id, StopOptions{}))
	if s := m.inspect(id).State; s.ExitCode != 143 || time.Since(began) > 5*time.Second {
		t.Errorf("with --init: %+v after %v", s, time.Since(began))
	}
}

// sleeps waits until the last process of a container is sleep, no longer the shell that it was.
func (m *machine) sleeps(id string) {
	m.t.Helper()
	eventually(m.t, "sh has become sleep", func() bool {
		top, err := m.Containers.Top(id, []string{"-o", "pid,comm"})
		return err == nil && slices.ContainsFunc(top.Processes, func(row []string) bool { return row[1] == "sleep" })
	})
}

// A signal that comes before init can handle it is not lost, and init passes it on.
// What init ignores to handle a terminal is not ignored in its command.
func TestInitHandsDownNoIgnoredSignal(t *testing.T) {
	m := newMachine(t)
	o := shell("")
	o.Config.Cmd = []string{"busybox", "grep", "SigIgn", "/proc/self/status"} // no shell: busybox's ignores SIGQUIT
	o.HostConfig.Init = ptr(true)
	if out, _, code := m.run(o); out != "SigIgn:\t0000000000000000\n" || code != 0 {
		t.Errorf("%q, %d", out, code)
	}
}

func TestStopAtOnceWithInit(t *testing.T) {
	m := newMachine(t)
	for range 25 {
		o := shell("")
		o.Config.Cmd = []string{"sleep", "1000"}
		o.HostConfig.Init = ptr(true)
		id := m.detached(o)
		grace := 5
		m.ok(m.Containers.Stop(bg, id, StopOptions{Timeout: &grace, Warn: func(message string, _ time.Duration) { t.Error(message) }}))
		if s := m.inspect(id).State; s.ExitCode != 143 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestNamesAreClaimedOnce(t *testing.T) {
	m := newMachine(t)
	var mu sync.Mutex
	var ids []string
	var refused int
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			o := shell("true")
			o.Name = "web"
			c, err := m.Containers.Create(bg, o)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ids = append(ids, c.ID)
			} else if Is(err, Conflict) && strings.HasPrefix(err.Error(), `Conflict. The container name "/web" is already in use by container "`) {
				refused++
			} else {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(ids) != 1 || refused != 7 {
		t.Errorf("%d made, %d refused", len(ids), refused)
	}
	if all, err := m.Containers.root.IDs(); len(all) != 1 || err != nil {
		t.Errorf("on disk: %q, %v", all, err)
	}
}

func TestTwoCommandsAtOnce(t *testing.T) {
	m := newMachine(t)
	for round := range 6 {
		id := m.create(shell("sleep 1000"))
		var group sync.WaitGroup
		for i := range 6 {
			group.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					err = m.Containers.Start(bg, id)
				case 1:
					err = m.Containers.Kill(bg, id, KillOptions{Signal: "KILL"})
				case 2:
					err = m.Containers.Remove(bg, id, true, false)
				}
				if err != nil && !Is(err, Conflict) && !Is(err, NotFound) {
					t.Errorf("round %d, command %d: %v", round, i, err)
				}
			})
		}
		group.Wait()
		m.leavesNothing(id)
	}
}

func TestLogs(t *testing.T) {
	m := newMachine(t)
	began := time.Now()
	_, _, _ = m.run(shell("for i in $(seq 1 2000); do echo line $i; done; echo oops >&2; sleep 0.3; echo last"))
	ids, err := m.Containers.root.IDs()
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	id := ids[0]
	out, errs := m.logs(id, LogOptions{Tail: -1})
	if strings.Count(out, "\n") != 2001 || errs != "oops\n" || !strings.HasPrefix(out, "line 1\nline 2\n") || !strings.HasSuffix(out, "line 2000\nlast\n") {
		t.Errorf("%d lines, %q", strings.Count(out, "\n"), errs)
	}
	if out, _ := m.logs(id, LogOptions{Tail: 1}); out != "last\n" {
		t.Errorf("tail 1: %q", out)
	}
	if out, errs := m.logs(id, LogOptions{Tail: 3}); out != "line 2000\nlast\n" || errs != "oops\n" {
		t.Errorf("tail 3: %q %q", out, errs)
	}
	if out, _ := m.logs(id, LogOptions{Tail: 0}); out != "" {
		t.Errorf("tail 0: %q", out)
	}
	if out, _ := m.logs(id, LogOptions{Tail: 99999}); strings.Count(out, "\n") != 2001 {
		t.Errorf("a tail longer than the log: %d lines", strings.Count(out, "\n"))
	}
	if out, _ := m.logs(id, LogOptions{Tail: 1, Timestamps: true}); len(out) != len("2026-11-21T18:23:48.166582976Z last\n") {
		t.Errorf("timestamps: %q", out)
	}
	if out, _ := m.logs(id, LogOptions{Tail: -1, Until: began}); out != "" {
		t.Errorf("until the start: %q", out)
	}
	if out, _ := m.logs(id, LogOptions{Tail: -1, Since: time.Now()}); out != "" {
		t.Errorf("since now: %q", out)
	}
}

func TestFollow(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; exit 4"))
	if out, _ := m.logs(id, LogOptions{Tail: -1, Follow: true}); out != "1\n2\n3\n4\n5\n" {
		t.Errorf("%q", out)
	}
	if s := m.inspect(id).State; s.Running || s.ExitCode != 4 {
		t.Errorf("%+v", s)
	}
}

func TestExec(t *testing.T) {
	need.SecondKernel(t)
	m := newMachine(t)
	id := m.detached(shell("exec sleep 1000"))
	exec := func(o container.ExecOptions, in io.Reader) (string, string, int, error) {
		var out, errs bytes.Buffer
		o.AttachStdin = in != nil
		a, _, err := m.Containers.Exec(bg, id, ExecOptions{ExecOptions: o}, Streams{In: in, Out: &out, Err: &errs})
		if err != nil {
			return "", "", 0, err
		}
		defer a.Close()
		ctx, cancel := context.WithTimeout(bg, 20*time.Second)
		defer cancel()
		code, err := a.Run(ctx)
		return out.String(), errs.String(), code, err
	}
	out, errs, code, err := exec(container.ExecOptions{Cmd: []string{"sh", "-c", "id -un; pwd; echo $A$FROM; echo no >&2; exit 7"}, User: "bob", WorkingDir: "/tmp", Env: []string{"A=1"}}, nil)
	if out != "bob\n/tmp\n1image\n" || errs != "no\n" || code != 7 || err != nil {
		t.Errorf("%q %q %d %v", out, errs, code, err)
	}
	out, _, code, err = exec(container.ExecOptions{Cmd: []string{"cat"}}, strings.NewReader("through"))
	if out != "through" || code != 0 || err != nil {
		t.Errorf("standard input: %q %d %v", out, code, err)
	}
	_, _, _, err = exec(container.ExecOptions{Cmd: []string{"nosuch"}}, nil)
	m.refuses(err, `OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown`)
	_, _, _, err = exec(container.ExecOptions{Cmd: []string{"crlf"}}, nil)
	m.refuses(err, `OCI runtime exec failed: exec failed: unable to start container process: exec: "/bin/crlf": no such file or directory: unknown`)
	_, _, _, err = exec(container.ExecOptions{Cmd: []string{"true"}, User: "nosuch"}, nil)
	m.refuses(err, "unable to find user nosuch: no matching entries in passwd file")
	a, _, err := m.Containers.Exec(bg, id, ExecOptions{ExecOptions: container.ExecOptions{Cmd: []string{"touch", "/made"}, Detach: true}}, Streams{})
	if a != nil || err != nil {
		t.Errorf("detached: %v, %v", a, err)
	}
	for range 100 {
		if out, _, _, _ = exec(container.ExecOptions{Cmd: []string{"ls", "/made"}}, nil); out != "" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if out != "/made\n" {
		t.Errorf("what was detached did not run")
	}
	top, err := m.Containers.Top(id, nil)
	if err != nil || len(top.Processes) != 1 || top.Processes[0][len(top.Titles)-1] != "sleep 1000" {
		t.Errorf("top: %+v, %v", top, err)
	}
	own, err := ownPS([]int{m.inspect(id).State.Pid})
	if err != nil || len(own.Processes) != 1 || own.Processes[0][7] != "sleep 1000" || own.Processes[0][0] != "root" {
		t.Errorf("our own ps: %+v, %v", own, err)
	}
}

// heard is what was written, and tells when it began.
type heard struct {
	bytes.Buffer
	once  sync.Once
	first chan struct{}
}

func (h *heard) Write(b []byte) (int, error) {
	defer h.once.Do(func() { close(h.first) })
	return h.Buffer.Write(b)
}

func TestAttach(t *testing.T) {
	m := newMachine(t)
	o := shell("read line; echo got $line; read line; echo got $line; exit 5")
	o.Config.OpenStdin = true
	id := m.detached(o)
	in, typed := io.Pipe()
	out := heard{first: make(chan struct{})}
	a, err := m.Containers.Attach(bg, id, Streams{In: in, Out: &out, DetachKeys: []byte{16, 17}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		io.WriteString(typed, "one\n")
		<-out.first
		typed.Write([]byte{16})
		typed.Write([]byte{17})
	}()
	if _, err := a.Run(bg); !errors.Is(err, ErrDetached) {
		t.Errorf("detached with %v", err)
	}
	m.ok(a.Close())
	if !m.inspect(id).State.Running {
		t.Fatal("it ended when we went")
	}
	a, err = m.Containers.Attach(bg, id, Streams{In: strings.NewReader("two\n"), Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	code, err := a.Run(bg)
	if code != 5 || err != nil || out.String() != "got one\ngot two\n" {
		t.Errorf("%d, %v, %q", code, err, out.String())
	}
	_, err = m.Containers.Attach(bg, id, Streams{})
	m.refuses(err, "container "+id+" is not running")
}

func TestTerminal(t *testing.T) {
	m := newMachine(t)
	o := shell("stty size; tty >/dev/null 2>&1; echo $TERM; read x; until stty size | grep -qx '44 88'; do :; done; stty size")
	o.Config.Tty, o.Config.OpenStdin = true, true
	sizes := make(chan Size, 2)
	sizes <- Size{33, 77}
	in, typed := io.Pipe()
	out := &locked{}
	id := m.create(o)
	a, err := m.Containers.StartAttached(bg, id, Streams{In: in, Out: out, Resize: sizes})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	go func() {
		out.wait("xterm")
		sizes <- Size{44, 88}
		io.WriteString(typed, "\n")
	}()
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	defer cancel()
	if _, err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	if text := out.String(); !strings.HasPrefix(text, "33 77\r\nxterm\r\n") || !strings.HasSuffix(text, "44 88\r\n") {
		t.Errorf("%q", text)
	}
}

// locked is a buffer for several goroutines.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *locked) wait(text string) {
	for range 400 {
		if strings.Contains(l.String(), text) {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
}

// An exec's terminal has its size before the command runs, and a command that is over at once needs none any more.
func TestExecTerminal(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("exec sleep 1000"))
	for _, test := range []struct{ script, want string }{
		{"trap 'echo changed' WINCH; stty size; sleep 0.1; echo end", "33 77\r\nend\r\n"},
		{"exit 0", ""},
	} {
		for range 10 {
			sizes := make(chan Size, 2)
			sizes <- Size{33, 77}
			out := &locked{}
			o := ExecOptions{ExecOptions: container.ExecOptions{Cmd: []string{"sh", "-c", test.script}, Tty: true}}
			a, _, err := m.Containers.Exec(bg, id, o, Streams{Out: out, Resize: sizes})
			if err != nil {
				t.Fatal(err)
			}
			code, err := a.Run(bg)
			if code != 0 || err != nil || out.String() != test.want {
				t.Errorf("%q: %d, %v, %q", test.script, code, err, out.String())
			}
			m.ok(a.Close())
		}
	}
}

func TestRemovedByItself(t *testing.T) {
	m := newMachine(t)
	o := shell("sleep 0.1")
	o.HostConfig.AutoRemove = true
	id := m.detached(o)
	for range 200 {
		if _, err := os.Lstat(m.Containers.root.Container(id).Dir); errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	m.leavesNothing(id)
}

func TestRestartWithAutoRemove(t *testing.T) {
	m := newMachine(t)
	o := shell("echo $$ >> /count; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
	o.HostConfig.AutoRemove = true
	id := m.detached(o)
	m.waitForLog(id, "ready")
	m.ok(m.Containers.Restart(bg, id, StopOptions{}))
	m.waitForLog(id, "ready\nready")
	if data, err := os.ReadFile(m.Containers.root.Container(id).Upper() + "/count"); string(data) != "1\n1\n" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	m.ok(m.Containers.Stop(bg, id, StopOptions{}))
	for range 200 {
		if _, err := os.Lstat(m.Containers.root.Container(id).Dir); errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	m.leavesNothing(id)
}

func TestMonitorKilled(t *testing.T) {
	need.SecondKernel(t)
	m := newMachine(t)
	id := m.detached(shell("i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"))
	m.waitForLog(id, "3\n")
	var s monitor.State
	m.ok(store.Read(m.Containers.root.Container(id).State(), &s))
	m.ok(syscall.Kill(s.MonitorPid, syscall.SIGKILL))
	time.Sleep(300 * time.Millisecond)
	if i := m.inspect(id); !i.State.Running || i.State.Pid != s.Pid {
		t.Fatalf("%+v", i.State)
	}
	out, _ := m.logs(id, LogOptions{Tail: 1})
	var n int
	fmt.Sscan(out, &n)
	m.waitForLog(id, fmt.Sprintf("\n%d\n", n+5))
	all, _ := m.logs(id, LogOptions{Tail: -1})
	for i, line := range strings.Fields(all) {
		if line != fmt.Sprint(i+1) {
			t.Fatalf("output is lost: line %d is %s", i+1, line)
		}
	}
	m.ok(m.Containers.Kill(bg, id, KillOptions{}))
	if got := m.inspect(id).State; got.Running || got.ExitCode != 137 && got.ExitCode != 255 {
		t.Errorf("%+v", got)
	}
	m.ok(m.Containers.Remove(bg, id, false, false))
	m.leavesNothing(id)
}

func TestUnseenEnd(t *testing.T) {
	m := newMachine(t)
	id := m.detached(shell("exec sleep 1000"))
	var s monitor.State
	m.ok(store.Read(m.Containers.root.Container(id).State(), &s))
	m.ok(syscall.Kill(s.MonitorPid, syscall.SIGKILL))
	m.ok(syscall.Kill(s.Pid, syscall.SIGKILL))
	for range 100 {
		if !s.Alive() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	got := m.inspect(id).State
	if got.Running || got.ExitCode != 255 || !strings.Contains(got.Error, "not observed") {
		t.Errorf("%+v", got)
	}
	m.ok(m.Containers.Remove(bg, id, false, false))
	m.leavesNothing(id)
}

func TestList(t *testing.T) {
	m := newMachine(t)
	up := shell("sleep 1000")
	up.Name, up.Config.Labels = "up", map[string]string{"tier": "front"}
	id := m.detached(up)
	done := shell("exit 3")
	done.Name = "done"
	m.run(done)
	fresh := shell("true")
	fresh.Name = "fresh"
	m.create(fresh)
	for _, test := range []struct {
		all    bool
		limit  int
		filter string
		want   string
	}{
		{false, 0, "", "up"}, {true, 0, "", "fresh done up"}, {false, 2, "", "fresh done"}, {false, 0, "status=exited", "done"},
		{true, 0, "exited=3", "done"}, {true, 0, "exited=0", ""}, {true, 0, "name=^/do", "done"}, {true, 0, "name=e", "fresh done"},
		{true, 0, "label=tier=front", "up"}, {true, 0, "label=none", ""}, {true, 0, "id=" + id[:5], "up"}, {true, 0, "before=done", "up"},
		{true, 0, "since=done", "fresh"}, {true, 0, "ancestor=bb", "fresh done up"}, {true, 0, "ancestor=nope", ""}, {true, 0, "network=none", "fresh done up"},
		{true, 0, "health=none", "fresh done up"}, {true, 0, "volume=/x", ""}, {true, 0, "expose=80", ""},
	} {
		f := filters.NewArgs()
		if k, v, ok := strings.Cut(test.filter, "="); ok {
			f.Add(k, v)
		}
		list, err := m.Containers.List(test.all, test.limit, false, f)
		var names []string
		for _, s := range list {
			names = append(names, strings.TrimPrefix(s.Names[0], "/"))
		}
		if got := strings.Join(names, " "); got != test.want || err != nil {
			t.Errorf("%+v: %s, %v", test, got, err)
		}
	}
	for filter, want := range map[string]string{
		"status=bogus": "invalid filter 'status=bogus': ", "exited=x": "invalid filter 'exited=x': ", "bogus=1": "invalid filter 'bogus'", "before=nope": "No such container: nope",
	} {
		k, v, _ := strings.Cut(filter, "=")
		if _, err := m.Containers.List(true, 0, false, filters.NewArgs(filters.Arg(k, v))); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", filter, err)
		}
	}
	list, err := m.Containers.List(true, 0, true, filters.NewArgs())
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	if s := list[2]; s.Command != "sh -c 'sleep 1000'" || s.Image != "bb" || s.State != "running" || !strings.HasPrefix(s.Status, "Up ") || s.SizeRootFs == 0 {
		t.Errorf("%+v", s)
	}
	if s := list[1]; !strings.HasPrefix(s.Status, "Exited (3) ") || list[0].Status != "Created" {
		t.Errorf("%q, %q", s.Status, list[0].Status)
	}
	report, err := m.Containers.Prune(filters.NewArgs())
	if err != nil || len(report.ContainersDeleted) != 2 || slices.Contains(report.ContainersDeleted, id) {
		t.Errorf("prune: %+v, %v", report, err)
	}
	m.ok(m.Containers.root.Names().Claim("nobodys", strings.Repeat("0", 64), nil))
	_, err = m.Containers.Prune(filters.NewArgs())
	m.ok(err)
	if names, err := m.Containers.root.Names().All(); err != nil || !slices.Equal(names, []string{"up"}) {
		t.Errorf("names after prune: %q, %v", names, err)
	}
}

func TestDamagedDocument(t *testing.T) {
	m := newMachine(t)
	good, bad := shell("true"), shell("true")
	good.Name, bad.Name = "good", "bad"
	m.create(good)
	id := m.create(bad)
	path := m.Containers.root.Container(id).Document()
	m.ok(os.Truncate(path, 100))
	warned := ""
	m.Containers.Warn = func(message string) { warned += message }
	list, err := m.Containers.List(true, 0, false, filters.NewArgs())
	if err != nil || len(list) != 1 || list[0].Names[0] != "/good" {
		t.Errorf("%+v, %v", list, err)
	}
	if !strings.Contains(warned, id[:12]) || !strings.Contains(warned, "container.json.corrupt") {
		t.Errorf("warned of %q", warned)
	}
	if _, err := os.Stat(path + ".corrupt"); err != nil {
		t.Error(err)
	}
	m.ok(m.Containers.Remove(bg, "bad", true, false))
	m.leavesNothing(id)
}

func TestRemains(t *testing.T) {
	m := newMachine(t)
	p := m.Containers.root.Container(store.NewID())
	lock, err := p.Make() // as a `create` that was killed leaves it
	if err != nil {
		t.Fatal(err)
	}
	m.ok(m.Containers.root.Names().Claim("web", p.ID, nil))
	o := shell("true")
	o.Name = "web"
	if _, err := m.Containers.Create(bg, o); !Is(err, Conflict) {
		t.Errorf("while it is being made: %v", err)
	}
	m.ok(lock.Release())
	if _, err := m.Containers.Create(bg, o); err != nil {
		t.Errorf("after its maker died: %v", err)
	}
	if _, err := m.Containers.List(true, 0, false, filters.NewArgs()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the remains are still there: %v", err)
	}
}

func TestSharedNamespaces(t *testing.T) {
	m := newMachine(t)
	donor := shell("echo x > /dev/shm/note; exec sleep 1000")
	donor.Name, donor.HostConfig.IpcMode, donor.Config.Hostname = "donor", "shareable", "donor-host"
	id := m.detached(donor)
	o := shell("ls /proc | grep -c '^1$'; cat /dev/shm/note; cat /etc/hostname; ls -l /proc/self/ns/net")
	o.HostConfig.NetworkMode, o.HostConfig.IpcMode, o.HostConfig.PidMode = "container:donor", "container:donor", "container:donor"
	out, errs, code := m.run(o)
	net, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", m.inspect(id).State.Pid))
	if code != 0 || err != nil || !strings.HasPrefix(out, "1\nx\ndonor-host\n") || !strings.Contains(out, net) {
		t.Errorf("%q %q %d, want net %s", out, errs, code, net)
	}
	m.ok(m.Containers.Kill(bg, "donor", KillOptions{}))
	again := shell("true")
	again.HostConfig.NetworkMode = "container:donor"
	if err := m.Containers.Start(bg, m.create(again)); err == nil || err.Error() != "cannot join network namespace of a non running container: container donor is exited" {
		t.Error(err)
	}
}

func TestUserNamespace(t *testing.T) {
	need.SecondKernel(t)
	m := newMachine(t)
	o := shell("cat /proc/self/uid_map; touch /mine; stat -c %u /mine /bin/busybox; echo hi > /dev/stdout")
	o.HostConfig.UsernsMode = "auto"
	id := m.create(o)
	var out, errs bytes.Buffer
	a, err := m.Containers.StartAttached(bg, id, Streams{Out: &out, Err: &errs})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	code, err := a.Run(bg)
	r, loadErr := m.Containers.load(id)
	if err != nil || loadErr != nil || code != 0 || len(r.IDMap) != 1 {
		t.Fatalf("%d %v %v %q %q", code, err, loadErr, out.String(), errs.String())
	}
	fields := strings.Fields(out.String())
	if len(fields) != 6 || fields[1] != fmt.Sprint(r.IDMap[0].HostID) || fields[2] != "65536" || fields[3] != "0" || fields[4] != "0" || fields[5] != "hi" {
		t.Errorf("%q %q", out.String(), errs.String())
	}
	if info, err := os.Stat(filepath.Join(r.place.Upper(), "mine")); err != nil || info.Sys().(*syscall.Stat_t).Uid != r.IDMap[0].HostID {
		t.Errorf("the file's owner on the host: %+v, %v", info, err)
	}
	m.ok(m.Containers.Remove(bg, id, false, false))
	if left, err := m.Containers.root.Ranges().All(); err != nil || len(left) != 0 {
		t.Errorf("claimed ranges are left: %q, %v", left, err)
	}
}

func TestExplainAndPlan(t *testing.T) {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // where it is ignored (nohup make test), a start has one step more
	m := newMachine(t)
	o := shell("true")
	o.Explain = true
	plan, err := m.Containers.Plan(bg, o)
	if err != nil || len(plan) == 0 {
		t.Fatal(plan, err)
	}
	if ids, _ := m.Containers.root.IDs(); len(ids) != 0 {
		t.Errorf("a plan made %q", ids)
	}
	o = shell("true")
	o.Explain = true
	m.run(o)
	ids, _ := m.Containers.root.IDs()
	account, err := m.Containers.Account(ids[0])
	if err != nil || len(account) != len(plan) {
		t.Fatalf("%d phases, the plan has %d; %v", len(account), len(plan), err)
	}
	for i := range account {
		if len(account[i].Child) != len(plan[i].Child) || account[i].Phase != plan[i].Phase {
			t.Errorf("phase %s: %d steps ran, %d were planned", account[i].Phase, len(account[i].Child), len(plan[i].Child))
		}
	}
}

func TestDamagedState(t *testing.T) {
	m := newMachine(t)
	for _, running := range []bool{true, false} {
		id := m.detached(shell("exec sleep 1000"))
		if !running {
			m.ok(m.Containers.Kill(bg, id, KillOptions{}))
		}
		m.ok(os.Truncate(m.Containers.root.Container(id).State(), 20))
		s := m.inspect(id).State
		if s.Running != running || running != (s.ExitCode == 0) {
			t.Errorf("running %v: %+v", running, s)
		}
		m.ok(m.Containers.Remove(bg, id, true, false))
	}
}

func TestLimitsThatCannotBeSet(t *testing.T) {
	m := newMachine(t)
	f, err := m.Containers.groups()
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(f.Controllers, "memory") {
		t.Skip("needs a host without the memory controller in cgroup v2")
	}
	o := shell("true")
	o.HostConfig.Memory = 32 << 20
	_, err = m.Containers.Create(bg, o)
	var e *Error
	if !errors.As(err, &e) || e.Hint == nil || e.Hint.Why == "" {
		t.Errorf("create: %v, %+v", err, e)
	}
	_, err = m.Containers.Update(m.create(shell("true")), container.UpdateConfig{Resources: container.Resources{Memory: 32 << 20, MemorySwap: -1}})
	if !errors.As(err, &e) || e.Hint == nil {
		t.Errorf("update: %v", err)
	}
}

func TestLimits(t *testing.T) {
	need.CgroupV2(t, "memory", "pids", "cpu")
	m := newMachine(t)
	o := shell("exec sleep 1000")
	o.HostConfig.Memory, o.HostConfig.PidsLimit, o.HostConfig.NanoCPUs = 32<<20, ptr(int64(50)), 5e8
	id := m.detached(o)
	g, err := m.Containers.groupOf(&record{ID: id, HostConfig: o.HostConfig})
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, want string) {
		t.Helper()
		if data, err := os.ReadFile(filepath.Join(g.Path, name)); err != nil || strings.TrimSpace(string(data)) != want {
			t.Errorf("%s: %q, %v; want %s", name, data, err, want)
		}
	}
	file("memory.max", fmt.Sprint(32<<20))
	file("pids.max", "50")
	file("cpu.max", "50000 100000")
	_, err = m.Containers.Update(id, container.UpdateConfig{Resources: container.Resources{Memory: 48 << 20, MemorySwap: 96 << 20}})
	m.ok(err)
	file("memory.max", fmt.Sprint(48<<20))
	file("pids.max", "50")
	file("cpu.max", "50000 100000")
	if h := m.inspect(id).HostConfig; h.Memory != 48<<20 || *h.PidsLimit != 50 {
		t.Errorf("%+v", h.Resources)
	}
	m.ok(m.Containers.Pause(id))
	file("cgroup.freeze", "1")
	m.ok(m.Containers.Stop(bg, id, StopOptions{Timeout: ptr(1)}))
	if s := m.inspect(id).State; s.ExitCode != 137 || s.OOMKilled {
		t.Errorf("stopped while paused: %+v", s)
	}
}

func TestImagesInUse(t *testing.T) {
	m := newMachine(t)
	o := shell("true")
	o.Name = "user"
	id := m.create(o)
	_, err := m.ImageRemove("bb", dockerimage.RemoveOptions{PruneChildren: true})
	if err == nil || !strings.HasPrefix(err.Error(), `conflict: unable to remove repository reference "bb" (must force) - container `+id[:12]+` is using its referenced image `) {
		t.Error(err)
	}
	list, err := m.ImageSummaries(false, filters.NewArgs(filters.Arg("reference", "b*")))
	if err != nil || len(list) != 1 || list[0].Containers != 1 || !slices.Equal(list[0].RepoTags, []string{"bb:latest"}) {
		t.Errorf("%+v, %v", list, err)
	}
	i, err := m.ImageInspect("bb")
	if err != nil || i.Config == nil || !slices.Equal(i.Config.Cmd, []string{"sh"}) || len(i.RootFS.Layers) != 1 || i.GraphDriver.Data["UpperDir"] == "" {
		t.Errorf("%+v, %v", i, err)
	}
	m.ok(m.Containers.Remove(bg, "user", false, false))
	if gone, err := m.ImageRemove("bb", dockerimage.RemoveOptions{PruneChildren: true}); err != nil || len(gone) < 2 || gone[0].Untagged != "bb:latest" {
		t.Errorf("%+v, %v", gone, err)
	}
	o = shell("true")
	o.Pull = "never"
	_, err = m.Containers.Create(bg, o)
	m.refuses(err, "No such image: bb:latest")
}

func TestInfo(t *testing.T) {
	m := newMachine(t)
	m.create(shell("true"))
	i, err := m.System.Info()
	if err != nil || i.Containers != 1 || i.ContainersStopped != 1 || i.Images != 1 || i.NCPU == 0 || i.MemTotal == 0 || i.DockerRootDir != os.Getenv("GLASSBOX_ROOT") {
		t.Errorf("%+v, %v", i, err)
	}
}
