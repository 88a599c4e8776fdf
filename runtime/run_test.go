package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// bundle makes a container's file tree of busybox and a config that runs script in it, with what Docker mounts.
func bundle(t *testing.T, script string) (string, *specs.Spec) {
	t.Helper()
	need.Root(t)
	busybox := need.Program(t, "busybox")
	dir := t.TempDir()
	bin := filepath.Join(dir, "rootfs", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", busybox, bin+"/busybox").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink("busybox", bin+"/sh"); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o755) //nolint:errcheck // our own
	return dir, dockerSpec("exec 2>&1; PATH=/bin; set -e; busybox --install -s /bin; " + script)
}

func dockerSpec(script string) *specs.Spec {
	all := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_MKNOD"}
	s := &specs.Spec{
		Version: "1.2.0",
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args: []string{"/bin/sh", "-c", script}, Cwd: "/",
			Capabilities: &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "noexec", "nodev"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		},
		Linux: &specs.Linux{CgroupsPath: fmt.Sprintf("/glassbox-test/%d-%d", os.Getpid(), serial.Add(1))},
	}
	for _, n := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.MountNamespace, specs.UTSNamespace, specs.IPCNamespace, specs.NetworkNamespace, specs.CgroupNamespace} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: n})
	}
	return s
}

var serial atomic.Int32

// run runs the container to its end and returns what it printed and its exit code.
func run(t *testing.T, dir string, spec *specs.Spec, layers *rootfs.Layers) (string, int) {
	t.Helper()
	c, read := create(t, dir, spec, layers)
	if err := c.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	out := read()
	status, err := c.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Destroy(); err != nil {
		t.Errorf("destroy: %v", err)
	}
	return out, status.ExitStatus()
}

// create creates it; read returns the output once the container has closed it.
func create(t *testing.T, dir string, spec *specs.Spec, layers *rootfs.Layers) (c *Container, read func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	c, err = Create(spec, Options{Dir: dir, Layers: layers, Stdin: null, Stdout: w, Stderr: w, Explain: true})
	null.Close()
	w.Close()
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	t.Cleanup(func() { c.Destroy() }) //nolint:errcheck // safe twice
	return c, func() string {
		var out bytes.Buffer
		io.Copy(&out, r) //nolint:errcheck // a pipe of our own
		r.Close()
		return out.String()
	}
}

func TestExitCodeAndOutput(t *testing.T) {
	dir, spec := bundle(t, "echo $$; hostname; exit 3")
	spec.Hostname = "web"
	if out, code := run(t, dir, spec, nil); out != "1\nweb\n" || code != 3 {
		t.Errorf("got %q and %d, want PID 1, its host name, and 3", out, code)
	}
}

// Nothing of a hostile parent's leaks into PID 1: see confine.Inherited for the table.
func TestNothingIsInherited(t *testing.T) {
	dir, spec := bundle(t, `grep -E '^(Sig(Blk|Ign)|CapInh|CapAmb|Cpus_allowed):' /proc/self/status; umask; ls /proc/self/fd; cat /proc/self/oom_score_adj;
		cut -d' ' -f19 /proc/self/stat; ulimit -n; pwd; cat /proc/self/timerslack_ns; cut -d' ' -f5,6,7 /proc/1/stat; env`)
	clean, _ := run(t, dir, spec, nil)

	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGUSR1, unix.SIGTSTP, unix.SIGTTOU)
	defer signal.Reset()
	t.Setenv("LEAK", "1")
	leaked, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer leaked.Close()
	unix.FcntlInt(leaked.Fd(), unix.F_SETFD, 0) //nolint:errcheck // not close-on-exec, on purpose
	old := unix.Umask(0o77)
	defer unix.Umask(old)
	t.Chdir("/tmp")
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 77, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before) //nolint:errcheck // putting it back
	dirty := onPoisonedThread(t, func() string { out, _ := run(t, dir, spec, nil); return out })
	if clean != dirty {
		t.Errorf("a hostile parent shows inside:\n%s\nwhereas it should be:\n%s", dirty, clean)
	}
	if !strings.Contains(clean, "SigIgn:\t0000000000000000") || strings.Contains(clean, "LEAK") {
		t.Errorf("inside:\n%s", clean)
	}
}

// onPoisonedThread runs f on a thread with a nice value, an affinity, an io priority, a timer slack and a keyring of its own.
func onPoisonedThread(t *testing.T, f func() string) (out string) {
	done := make(chan struct{})
	program.Apart(func() {
		defer close(done)
		var one unix.CPUSet
		one.Set(0)
		for what, err := range map[string]error{
			"nice":     unix.Setpriority(unix.PRIO_PROCESS, 0, 5),
			"affinity": unix.SchedSetaffinity(0, &one),
			"slack":    unix.Prctl(unix.PR_SET_TIMERSLACK, 123456, 0, 0, 0),
		} {
			if err != nil {
				t.Errorf("setting %s: %v", what, err)
			}
		}
		out = f()
	})
	<-done
	return out
}

// Every failure names step, call, errno and config field, and leaves nothing: no process, group or mount.
func TestFailuresLeaveNothing(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*specs.Spec)
		want   string
	}{
		{"sysctl", func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "banana"} }, "linux.sysctl[net.ipv4.ip_forward]"},
		{"mount", func(s *specs.Spec) { s.Mounts[1].Options = append(s.Mounts[1].Options, "bogus=1") }, "mounts[1]"},
		{"cwd", func(s *specs.Spec) { s.Process.Cwd = "/bin/busybox" }, "process.cwd"},
		{"args", func(s *specs.Spec) { s.Process.Args = []string{"nosuch"} }, "process.args"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, spec := bundle(t, "true")
			test.change(spec)
			mounts := mountTable(t)
			null, _ := os.OpenFile("/dev/null", os.O_RDWR, 0)
			defer null.Close()
			c, err := Create(spec, Options{Dir: dir, Stdin: null, Stdout: null, Stderr: null})
			if err == nil {
				err = c.Start()
			}
			var f *program.Failure
			if !errors.As(err, &f) || f.Errno == 0 || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), f.Call) {
				t.Errorf("error %v: want a step that names %s", err, test.want)
			}
			if c != nil {
				if err := c.Destroy(); err != nil {
					t.Error(err)
				}
			}
			if now := mountTable(t); now != mounts {
				t.Errorf("mounts before:\n%s\nafter:\n%s", mounts, now)
			}
			if dirs, _ := filepath.Glob("/sys/fs/cgroup/*/" + spec.Linux.CgroupsPath); len(dirs) != 0 {
				t.Errorf("left behind: %v", dirs)
			}
			if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
				t.Errorf("a child is left: %v", err)
			}
		})
	}
}

func mountTable(t *testing.T) string {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A file system of many layers is mounted whole, the topmost on top.
func TestManyLayers(t *testing.T) {
	dir, spec := bundle(t, "ls /l | wc -l; cat /who")
	l := &rootfs.Layers{Upper: dir + "/upper", Work: dir + "/work", Mount: dir + "/mnt"}
	for _, d := range []string{l.Upper, l.Work, l.Mount} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i := 126; i > 0; i-- {
		layer := fmt.Sprintf("%s/layers/with-a-name-that-is-rather-long/%d", dir, i)
		if err := errors.Join(os.MkdirAll(layer+"/l", 0o755), os.WriteFile(fmt.Sprintf("%s/l/%d", layer, i), nil, 0o644), os.WriteFile(layer+"/who", []byte(fmt.Sprintln(i)), 0o644)); err != nil {
			t.Fatal(err)
		}
		l.Lower = append(l.Lower, layer)
	}
	base := dir + "/layers/with-a-name-that-is-rather-long/0"
	if err := os.Rename(dir+"/rootfs", base); err != nil {
		t.Fatal(err)
	}
	l.Lower = append(l.Lower, base)
	if out, code := run(t, dir, spec, l); out != "126\n126\n" || code != 0 {
		t.Errorf("got %q and %d, want 126 layers with 126 on top", out, code)
	}
}

// A user namespace alone, and with the host's network, PIDs and IPC: what cannot be mounted there is shown from the host.
func TestUserNamespaces(t *testing.T) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 300000, Size: 65536}}
	for mask := range 8 {
		var left []string
		for i, n := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.CgroupNamespace} {
			if mask&(1<<i) == 0 {
				left = append(left, string(n))
			}
		}
		t.Run("shares "+strings.Join(left, ","), func(t *testing.T) {
			dir, spec := bundle(t, "id -u; touch /d/mine; ls -n /d | awk '{print $3, $9}'; test -e /proc/self/status; test -e /sys/kernel; echo x > /dev/null; test -e /sys/fs/cgroup/cgroup.procs; echo ok")
			spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.UserNamespace}, {Type: specs.MountNamespace}, {Type: specs.UTSNamespace}, {Type: specs.IPCNamespace}}
			for i, n := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.CgroupNamespace} {
				if mask&(1<<i) != 0 {
					spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: n})
				}
			}
			spec.Linux.UIDMappings, spec.Linux.GIDMappings = ids, ids
			out, code := run(t, dir, spec, opaqueLayers(t, dir))
			if want := "0\n \n0 mine\n0 new\nok\n"; out != want || code != 0 {
				t.Errorf("got %q and %d, want %q", out, code, want)
			}
		})
	}
}

// opaqueLayers is two layers of which the upper one replaces the directory /d.
func opaqueLayers(t *testing.T, dir string) *rootfs.Layers {
	l := &rootfs.Layers{Lower: []string{dir + "/two", dir + "/rootfs"}, Upper: dir + "/upper", Work: dir + "/work", Mount: dir + "/mnt"}
	for _, d := range []string{l.Upper, l.Work, l.Mount, dir + "/two/d", dir + "/rootfs/d"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.WriteFile(dir+"/two/d/new", nil, 0o644), os.WriteFile(dir+"/rootfs/d/old", nil, 0o644),
		unix.Setxattr(dir+"/two/d", "trusted.overlay.opaque", []byte("y"), 0))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The clocks of a time namespace are shifted, and the process that stays is PID 1.
func TestTimeNamespace(t *testing.T) {
	dir, spec := bundle(t, "echo $$; cut -d. -f1 /proc/uptime")
	spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
	spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1 << 30}}
	out, code := run(t, dir, spec, nil)
	var pid, uptime int
	if n, _ := fmt.Sscan(out, &pid, &uptime); n != 2 || pid != 1 || uptime < 1<<30 || code != 0 {
		t.Errorf("got %q and %d, want PID 1 and an uptime above %d", out, code, 1<<30)
	}
}

// An exec is in all namespaces and the group of the container, and its exit code is its own.
func TestExec(t *testing.T) {
	dir, spec := bundle(t, "sleep 100")
	c, _ := create(t, dir, spec, nil)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	null, _ := os.Open("/dev/null")
	defer null.Close()
	script := `for n in pid mnt net uts ipc cgroup; do test $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n); done; cat /proc/self/cgroup | grep 0::; ls /proc/self/fd | wc -l; exit 5`
	p := &specs.Process{Args: []string{"sh", "-ec", script}, Cwd: "/", Env: []string{"PATH=/bin"}, Capabilities: spec.Process.Capabilities}
	e, err := c.Exec(p, Options{Stdin: null, Stdout: w, Stderr: w})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(r)
	status, err := e.Wait()
	if string(out) != "0::/\n4\n" || status.ExitStatus() != 5 || err != nil {
		t.Errorf("got %q, %d, %v, want its group as root, 4 descriptors and 5", out, status.ExitStatus(), err)
	}
	if err := c.Destroy(); err != nil {
		t.Error(err)
	}
	if _, err := c.Exec(p, Options{Stdin: null, Stdout: null, Stderr: null}); err == nil {
		t.Error("exec in a container that has ended: no error")
	}
}

// A link of the image leads nowhere but into the container, even when it is where something gets mounted.
func TestLinksLeadNowhere(t *testing.T) {
	dir, spec := bundle(t, "grep -c /made /proc/self/mountinfo")
	outside := t.TempDir()
	if err := errors.Join(
		os.Symlink(outside, dir+"/rootfs/absolute"),
		os.Symlink("../../../../../../../.."+outside, dir+"/rootfs/relative"),
	); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"absolute", "relative"} {
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: "/" + link + "/made", Type: "tmpfs", Source: "tmpfs"})
	}
	if err := os.MkdirAll(dir+"/rootfs"+outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, dir, spec, nil); out != "2\n" || code != 0 {
		t.Errorf("got %q and %d, want both mounted inside", out, code)
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("made outside of the container: %v", left)
	}
}
