// Package strace proves that an account is honest: starts are run under strace, and what they tell of themselves must be what the kernel
// was asked, whole lines, both ways, the child's steps and the host's requests.
package strace

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/runtime"
	"glassbox/test/need"

	"github.com/creack/pty"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("GLASSBOX_EXEC_IN"); dir != "" {
		if err := startAndExec(dir, os.Getenv("GLASSBOX_TOLD")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start is one way to start a container.
type start struct {
	name     string
	change   func(t *testing.T, b *bundle)
	terminal bool
	exit     int
}

var starts = []start{
	{name: "plain directory", change: func(*testing.T, *bundle) {}},
	{name: "overlay", change: func(t *testing.T, b *bundle) { b.overlay(t) }},
	{name: "read-only overlay without a writable layer", change: func(t *testing.T, b *bundle) {
		b.overlay(t)
		b.layers.Upper, b.layers.Work = "", ""
		b.spec.Root.Readonly = true
	}},
	{name: "user namespace", change: func(t *testing.T, b *bundle) {
		b.mapped()
		b.owned(t)
	}},
	{name: "user namespace over an overlay", change: func(t *testing.T, b *bundle) {
		b.overlay(t)
		b.mapped()
	}},
	{name: "terminal", terminal: true, change: func(_ *testing.T, b *bundle) {
		b.spec.Process.Terminal = true
		b.spec.Process.ConsoleSize = &specs.Box{Height: 30, Width: 100}
	}},
	{name: "resource limits of the process", change: func(_ *testing.T, b *bundle) {
		b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 512, Hard: 1024}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 0}}
		score := 500
		b.spec.Process.OOMScoreAdj = &score
	}},
	{name: "scheduling and policies", change: func(_ *testing.T, b *bundle) {
		b.spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 3, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}
		b.spec.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}
		b.spec.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
		b.spec.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}
	}},
	{name: "a seccomp filter that asks somebody", change: func(t *testing.T, b *bundle) {
		b.spec.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow, ListenerPath: b.path("agent"), ListenerMetadata: "nothing",
			Syscalls: []specs.LinuxSyscall{{Names: []string{"getppid"}, Action: specs.ActNotify}},
		}
		listen(t, b.path("agent"))
	}},
	{name: "a user", exit: 7, change: func(_ *testing.T, b *bundle) {
		b.spec.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{20, 30}}
		b.spec.Process.Cwd = "/tmp"
		b.spec.Process.NoNewPrivileges = true
		b.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: capabilities[:3]}
		b.spec.Process.Args = []string{"sh", "-c", "test $(id -u) = 1000 && exit 7"}
	}},
	{name: "mounts with owners of their own, filled by the host, and changed", change: func(t *testing.T, b *bundle) {
		maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}
		b.spec.Mounts = append(b.spec.Mounts,
			specs.Mount{Destination: "/mnt", Source: "rootfs/etc", Options: []string{"bind", "idmap", "shared"}, UIDMappings: maps, GIDMappings: maps},
			specs.Mount{Destination: "/etc", Type: "tmpfs", Options: []string{"tmpcopyup", "ro"}},
			specs.Mount{Destination: "/root", Type: "tmpfs", Options: []string{"silent"}},
			specs.Mount{Destination: "/tmp", Type: "tmpfs"},
			specs.Mount{Destination: "/tmp", Options: []string{"remount", "size=1m", "nosuid"}})
		b.spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		b.spec.Linux.RootfsPropagation = "rprivate"
	}},
	{name: "ambient capabilities", change: func(_ *testing.T, b *bundle) {
		some := []string{"CAP_NET_RAW", "CAP_CHOWN"}
		b.spec.Process.User = specs.User{UID: 1000, GID: 1000}
		b.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: some, Effective: some, Permitted: some, Inheritable: some, Ambient: some}
	}},
	{name: "the host's namespaces", change: func(_ *testing.T, b *bundle) {
		b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}}
		b.spec.Hostname = ""
		b.spec.Mounts = b.spec.Mounts[:3]
	}},
	{name: "bind mounts and devices", change: func(t *testing.T, b *bundle) {
		if err := os.Mkdir(b.path("data"), 0o755); err != nil {
			t.Fatal(err)
		}
		b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: b.path("data"), Options: []string{"rbind", "ro", "rprivate"}})
		mode := os.FileMode(0o600)
		b.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, FileMode: &mode}}
		b.spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
	}},
	{name: "a time namespace", change: func(_ *testing.T, b *bundle) {
		b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		b.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"monotonic": {Secs: 1000}}
	}},
	{name: "hooks", change: func(_ *testing.T, b *bundle) {
		hook := []specs.Hook{{Path: "/bin/true", Args: []string{"true", "a b"}, Env: []string{asHook}}}
		b.spec.Hooks = &specs.Hooks{Prestart: hook, CreateRuntime: hook, CreateContainer: hook, StartContainer: append(hook, hook...)} //nolint:staticcheck // deprecated
	}},
	{name: "no mount namespace of its own", change: func(t *testing.T, b *bundle) {
		need.DetachedMounts(t)
		b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.PIDNamespace}}
		b.spec.Hostname = ""
		b.spec.Mounts = b.spec.Mounts[:3]
	}},
	{name: "a program that is not there", exit: 1, change: func(_ *testing.T, b *bundle) { b.spec.Process.Args = []string{"nonexistent"} }},
	{name: "a working directory that is a file", exit: 1, change: func(_ *testing.T, b *bundle) { b.spec.Process.Cwd = "/etc/passwd" }},
}

func TestStartsAreWhatStraceSees(t *testing.T) {
	need.Root(t)
	h := harness{strace: need.Program(t, "strace"), bin: need.Programs(t)}
	for _, s := range starts {
		t.Run(s.name, func(t *testing.T) { h.check(t, s) })
	}
}

// Another kernel refuses other things; a few starts tell, since each takes half a minute there.
func TestAnotherKernelIsWhatStraceSees(t *testing.T) {
	need.Root(t)
	need.SecondKernel(t)
	h := harness{strace: need.Program(t, "strace"), bin: need.Programs(t)}
	for _, s := range starts {
		if s.name == "user namespace over an overlay" || s.name == "a time namespace" {
			t.Run(s.name, func(t *testing.T) { h.check(t, s) })
		}
	}
}

// A step that the kernel refuses is reported as step, call, errno and config field; strace must have seen just that as the child's last
// step, and nothing is left behind.
func TestRefusedStepIsWhatStraceSees(t *testing.T) {
	need.Root(t)
	h := harness{strace: need.Program(t, "strace"), bin: need.Programs(t)}
	for name, c := range map[string]struct {
		change  func(*bundle)
		field   string
		message string
		worded  bool // as engines read it, without the call
	}{
		"unknown file system": {func(b *bundle) {
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "nosuchfs", Source: "none"})
		}, "mounts[7]", "no such device", false},
		"missing program":   {func(b *bundle) { b.spec.Process.Args = []string{"/bin/nonexistent"} }, "process.args", `exec: "/bin/nonexistent": stat /bin/nonexistent: no such file or directory`, true},
		"missing directory": {func(b *bundle) { b.spec.Process.Cwd = "/etc/passwd" }, "process.cwd", "not a directory", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			c.change(b)
			b.write(t)
			trace := b.path("trace")
			out, err := output(exec.Command(h.strace, "-f", "-v", "-s", "65536", "-o", trace, h.bin+"/glassrun", "run", "--bundle", b.dir, "strace-test"), false)
			if err == nil {
				t.Fatalf("the container ran: %s", out)
			}
			calls := traceOf(t, trace)
			child := program.Child(calls, born(t, calls))
			last := child[len(child)-2] // the very last is exit_group
			wants := []string{fmt.Sprintf("step %d, ", len(child)-1), "asked for by " + c.field + ")", c.message}
			if !c.worded {
				wants = append(wants, last.Call)
			}
			for _, want := range wants {
				if !strings.Contains(out, want) {
					t.Errorf("%s\nlacks %q; strace saw %s", out, want, last)
				}
			}
			if left := remains(t, b); left != "" {
				t.Errorf("left behind:\n%s", left)
			}
		})
	}
}

// Limits of the cgroup need controllers.
func TestLimitsAreWhatStraceSees(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory", "pids", "cpu")
	h := harness{strace: need.Program(t, "strace"), bin: need.Programs(t)}
	h.check(t, start{name: "limits", change: func(_ *testing.T, b *bundle) {
		memory, pids, weight := int64(64<<20), int64(50), uint64(512)
		b.spec.Linux.Resources = &specs.LinuxResources{
			Memory: &specs.LinuxMemory{Limit: &memory}, Pids: &specs.LinuxPids{Limit: &pids}, CPU: &specs.LinuxCPU{Shares: &weight},
			Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
		}
	}})
}

type harness struct{ strace, bin string }

// check starts the container twice: with descriptors as numbers, for the child, and with what they refer to, for the host.
func (h harness) check(t *testing.T, s start) {
	b := newBundle(t)
	s.change(t, b)
	b.write(t)
	told, calls := h.run(t, s, b)
	believe(t, told, calls)
	told, calls = h.run(t, s, b, "-y")
	believeHost(t, told, calls)
	if left := remains(t, b); left != "" {
		t.Errorf("left behind:\n%s", left)
	}
}

// told is an account without its phases.
type told struct{ host, child []program.Done }

// run starts the bundle under strace and returns what it tells and what strace saw.
func (h harness) run(t *testing.T, s start, b *bundle, flags ...string) (told, []program.Traced) {
	t.Helper()
	account, trace := b.path("account.json"), b.path("trace")
	args := append(flags, "-f", "-v", "-s", "65536", "-o", trace, h.bin+"/glassrun", "run", "--explain", account, "--bundle", b.dir, "strace-test")
	c := exec.Command(h.strace, args...)
	out, err := output(c, s.terminal)
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if code != s.exit {
		t.Fatalf("exit code %d, not %d: %s", code, s.exit, out)
	}
	return accountOf(t, account), traceOf(t, trace)
}

// patience is for a container that hangs. Under strace in an emulated machine a start takes half a minute.
const patience = 3 * time.Minute

// output runs the command with a terminal of its own or with pipes, and ends it with all it started if it hangs.
func output(c *exec.Cmd, terminal bool) (string, error) {
	if !terminal {
		c.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
		c.WaitDelay = time.Second
		stop := time.AfterFunc(patience, func() { unix.Kill(-c.Process.Pid, unix.SIGKILL) })
		defer stop.Stop()
		out, err := c.CombinedOutput()
		return string(out), err
	}
	master, err := pty.StartWithSize(c, &pty.Winsize{Rows: 24, Cols: 80})
	if err != nil {
		return "", err
	}
	defer master.Close()
	stop := time.AfterFunc(patience, func() { unix.Kill(-c.Process.Pid, unix.SIGKILL) }) // a session of its own is a group too
	defer stop.Stop()
	out, _ := io.ReadAll(master) // EIO is a terminal's end of file
	return string(out), c.Wait()
}

func accountOf(t *testing.T, file string) told {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var phases []program.Account
	if err := json.Unmarshal(text, &phases); err != nil {
		t.Fatal(err)
	}
	var all told
	for _, p := range phases {
		all.host = append(all.host, p.Host...)
		all.child = append(all.child, p.Child...)
	}
	return all
}

func traceOf(t *testing.T, file string) []program.Traced {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err := program.Trace(f)
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

// asHook is in the environment of hooks, and of nobody else.
const asHook = "HOOK=yes"

// births are the indexes of the calls that made a container's process. Hooks are made likewise.
func births(calls []program.Traced) []int {
	var found []int
	for i, c := range calls {
		if strings.HasPrefix(c.Call, "clone3(") && strings.Contains(c.Call, "CLONE_CLEAR_SIGHAND") && !strings.HasPrefix(c.Result, "-1") && !isHook(calls, made(c)) {
			found = append(found, i)
		}
	}
	return found
}

func isHook(calls []program.Traced, pid int) bool {
	child := program.Child(calls, pid)
	return len(child) > 0 && strings.Contains(child[len(child)-1].Call, asHook)
}

// born is the process that the only such call, or the last, made.
func born(t *testing.T, calls []program.Traced) int {
	t.Helper()
	all := births(calls)
	if len(all) == 0 {
		t.Fatal("strace saw no process made for the container")
	}
	return made(calls[all[len(all)-1]])
}

// made is the process that a clone3 made.
func made(c program.Traced) (pid int) {
	number, _, _ := strings.Cut(c.Result, "<")
	fmt.Sscan(number, &pid) //nolint:errcheck // then 0, which nobody is
	return pid
}

// host is what glassrun itself asked from its (second, sealed) beginning until the container's process became the program, or ended.
func host(t *testing.T, calls []program.Traced) []program.Traced {
	t.Helper()
	all := births(calls)
	birth := calls[all[len(all)-1]]
	begin := 0
	for i, c := range calls {
		if strings.HasPrefix(c.Call, "execve") && c.Line < birth.Line {
			begin = i + 1
		}
	}
	child := program.Child(calls, born(t, calls))
	end := child[len(child)-1].Line
	var own []program.Traced
	for _, c := range calls[begin:] {
		if c.Line < end && !slices.ContainsFunc(child, func(o program.Traced) bool { return o.Pid == c.Pid }) {
			own = append(own, c)
		}
	}
	return own
}

// sabotage drops, swaps and alters each entry of an account in turn: none of these may be believed. What it tests is ours and not the
// kernel's, so the VM need not do it again.
func sabotage(t *testing.T, account []program.Done, compare func([]program.Done) error) {
	t.Helper()
	if need.VM() {
		return
	}
	for i := range account {
		for name, change := range map[string]func([]program.Done) []program.Done{
			"dropped": func(d []program.Done) []program.Done { return slices.Delete(d, i, i+1) },
			"altered": func(d []program.Done) []program.Done {
				d[i].Call = strings.Replace(d[i].Call, "(", "(7", 1)
				return d
			},
			"swapped": func(d []program.Done) []program.Done {
				j := (i + 1) % len(d)
				d[i], d[j] = d[j], d[i]
				return d
			},
		} {
			d := change(slices.Clone(account))
			same := slices.EqualFunc(d, account, func(a, b program.Done) bool { return a.Call == b.Call && a.Result == b.Result })
			if !same && compare(d) == nil {
				t.Errorf("entry %d %s, and believed: %s", i+1, name, account[i].Call)
			}
		}
	}
}

// listen is somebody who accepts whatever comes, and never looks at it.
func listen(t *testing.T, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { unix.Close(fd) })
		err = errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 64))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// remains is what a start of the bundle could leave on the machine: mounts and cgroups. (Other tests mount at the same time.)
func remains(t *testing.T, b *bundle) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, b.dir) || strings.Contains(line, "strace-test") {
			found += line
		}
	}
	left, _ := filepath.Glob(cgroups(t) + "/glassbox/strace-test*")
	return found + strings.Join(left, "\n")
}

// cgroups is where cgroup v2 is mounted; empty: nowhere.
func cgroups(t *testing.T) string {
	t.Helper()
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		left, right, _ := strings.Cut(line, " - ")
		if strings.HasPrefix(right, "cgroup2 ") {
			return strings.Fields(left)[4]
		}
	}
	return ""
}

// TestExecIsWhatStraceSees starts a further process in a container.
func TestExecIsWhatStraceSees(t *testing.T) {
	need.Root(t)
	strace := need.Program(t, "strace")
	for name, change := range map[string]func(*bundle){
		"plain": func(*bundle) {},
		"user namespace": func(b *bundle) {
			b.mapped()
			b.owned(t)
		},
		"terminal": func(b *bundle) { b.spec.Annotations = map[string]string{execTerminal: "yes"} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			b.spec.Process.Args = []string{"sleep", "100"}
			change(b)
			b.write(t)
			run := func(flags ...string) (told, []program.Traced) {
				account, trace := b.path("account.json"), b.path("trace")
				c := exec.Command(strace, append(flags, "-f", "-v", "-s", "65536", "-o", trace, os.Args[0])...)
				c.Env = append(os.Environ(), "GLASSBOX_EXEC_IN="+b.dir, "GLASSBOX_TOLD="+account)
				if out, err := output(c, false); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				calls := traceOf(t, trace)
				if n := len(births(calls)); n != 2 {
					t.Fatalf("%d processes were made, not the container's and the exec's", n)
				}
				return accountOf(t, account), calls
			}
			told, calls := run()
			believe(t, told, calls)
			told, calls = run("-y")
			believeHost(t, told, calls)
		})
	}
}

// What `glassbox run --explain` prints has gone from the monitor through the engine, and must still be what strace sees of all three.
func TestCommandLineIsWhatStraceSees(t *testing.T) {
	need.Root(t)
	h := harness{strace: need.Program(t, "strace"), bin: need.Programs(t)}
	b := newBundle(t)
	trace := b.path("trace")
	run := func(flags ...string) (told, []program.Traced) {
		args := append(flags, "-f", "-v", "-s", "65536", "-o", trace, h.bin+"/glassbox", "run", "--rm", "--network", "none", "--explain", "--format", "json",
			"-e", "A=b", "-u", "1000:1000", "--read-only", "--tmpfs", "/tmp", "--rootfs", b.path("rootfs"), "sh", "-c", "exit 6")
		c := exec.Command(h.strace, args...)
		c.Env = append(os.Environ(), "GLASSBOX_ROOT="+b.path("data"), "GLASSBOX_RUN="+b.path("run"), "GLASSBOX_GLASSRUN="+h.bin+"/glassrun")
		out, err := output(c, false)
		if c.ProcessState.ExitCode() != 6 {
			t.Fatalf("%v: %s", err, out)
		}
		if err := os.WriteFile(b.path("account.json"), []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		return accountOf(t, b.path("account.json")), traceOf(t, trace)
	}
	told, calls := run()
	believe(t, told, calls)
	told, calls = run("-y")
	believeHost(t, told, calls)
}

// execTerminal asks startAndExec for a process with a terminal.
const execTerminal = "exec-terminal"

// believe holds the child's steps against the trace, and sees that false accounts are not believed.
func believe(t *testing.T, told told, calls []program.Traced) {
	t.Helper()
	if len(told.child) < 20 {
		t.Fatalf("only %d steps are told", len(told.child))
	}
	child := program.Child(calls, born(t, calls))
	if err := program.Compare(told.child, child); err != nil {
		t.Errorf("the child's half: %v", err)
		return
	}
	sabotage(t, told.child, func(d []program.Done) error { return program.Compare(d, child) })
}

// believeHost does the same for the host's requests, which the trace shows with what descriptors refer to.
func believeHost(t *testing.T, told told, calls []program.Traced) {
	t.Helper()
	if len(told.host) == 0 {
		t.Fatal("no request of the host is told")
	}
	asked := program.Asked(host(t, calls), cgroups(t), told.host...)
	if err := program.CompareHost(told.host, asked); err != nil {
		t.Errorf("the host's half: %v", err)
		return
	}
	sabotage(t, told.host, func(d []program.Done) error { return program.CompareHost(d, asked) })
}

// startAndExec starts the bundle's container, executes a process in it, ends the container and leaves the exec's account in file.
func startAndExec(dir, file string) error {
	var spec specs.Spec
	text, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err == nil {
		err = json.Unmarshal(text, &spec)
	}
	if err != nil {
		return err
	}
	spec.Linux.CgroupsPath = "/glassbox/strace-test-exec"
	o := runtime.Options{Dir: dir, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Explain: true}
	c, err := runtime.Create(&spec, o)
	if err != nil {
		return err
	}
	defer c.Destroy() //nolint:errcheck // the error that counts is the one before
	if err := c.Start(); err != nil {
		return err
	}
	p := *spec.Process
	p.Args, p.User = []string{"sh", "-c", "exit 7"}, specs.User{UID: 5, GID: 6}
	p.Terminal = spec.Annotations[execTerminal] != ""
	e, err := c.Exec(&p, o)
	if err != nil {
		return err
	}
	if master := e.Console(); master != nil {
		defer master.Close()
	}
	if status, err := e.Wait(); err != nil || status.ExitStatus() != 7 {
		return fmt.Errorf("the exec ended with %v, %v", status, err)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := program.WriteJSON(f, e.Account()); err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(int(c.Pidfd.Fd()), unix.SIGKILL, nil, 0); err != nil {
		return err
	}
	if _, err := c.Wait(); err != nil {
		return err
	}
	return errors.Join(c.Destroy(), f.Close())
}
