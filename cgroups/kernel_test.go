package cgroups

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"glassbox/program"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// These tests make groups of their own below glassbox-test-PID and remove them. Freezing, killing and device rules are
// tried wherever cgroup2 is mounted; limits where it has the controllers, which may be the VM.

// create makes a group with limits, and removes it in the end.
func create(t *testing.T, r *specs.LinuxResources) Group {
	t.Helper()
	g, err := tryCreate(t, r)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func tryCreate(t *testing.T, r *specs.LinuxResources) (Group, error) {
	t.Helper()
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	parent := fmt.Sprintf("/glassbox-test-%d", os.Getpid())
	f.Systemd = false // a plain directory also on systemd hosts: the scope has a test of its own
	g, requests, err := Compile(parent+"/"+strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()), r, f)
	if err != nil {
		return g, err
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Kill(), g.Remove()); err != nil {
			t.Error(err)
		}
		os.Remove(filepath.Dir(g.Path))
	})
	return g, carryOut(requests)
}

func carryOut(requests []program.Request) error {
	for _, r := range requests {
		if err := r.Do(); r.Done(err, 0).Failed {
			return fmt.Errorf("%s: %w", r.Call, err)
		}
	}
	return nil
}

// output is a file, not a pipe: a pipe would make Wait wait for whatever the script left running.
type output struct{ *os.File }

func (o output) String() string {
	text, _ := os.ReadFile(o.Name())
	return string(text)
}

// start runs a shell script born in the group; it is killed in the end.
func start(t *testing.T, g Group, script string) (*exec.Cmd, output) {
	t.Helper()
	dir, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	file, err := os.CreateTemp(t.TempDir(), "output-")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := output{file}
	c := exec.Command("sh", "-c", script)
	c.Stdout, c.Stderr = file, file
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c, out
}

// eventually waits for a condition; the VM is slow.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}

func TestFreezeAndKill(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	need.SecondKernel(t)
	g := create(t, nil)
	c, _ := start(t, g, "sleep 100 & sleep 100 & wait")
	eventually(t, "three processes are in the group", func() bool { p, _ := g.Procs(); return len(p) == 3 })
	for _, on := range []bool{true, false, true} {
		if err := g.Freeze(on); err != nil {
			t.Fatal(err)
		}
		if frozen, err := g.Frozen(); err != nil || frozen != on {
			t.Errorf("frozen %v, %v; want %v", frozen, err, on)
		}
	}
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	if of, err := f.Of(c.Process.Pid); err != nil || of != g {
		t.Errorf("the process is in %v, %v; want %v", of, err, g)
	}
	if err := g.Kill(); err != nil { // a frozen group can be killed
		t.Fatal(err)
	}
	if p, _ := g.Procs(); len(p) != 0 {
		t.Errorf("still there: %v", p)
	}
	if err := c.Wait(); err == nil || c.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("ended by %v", c.ProcessState)
	}
}

func TestGroupInUseIsNotTakenOver(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	g := create(t, nil)
	if err := makeGroup(g.Path).Do(); err != nil {
		t.Errorf("an empty group left behind was not replaced: %v", err)
	}
	c, _ := start(t, g, "sleep 100")
	err := makeGroup(g.Path).Do()
	if !errors.Is(err, unix.EEXIST) || !strings.Contains(err.Error(), strconv.Itoa(c.Process.Pid)) {
		t.Errorf("%v does not name process %d", err, c.Process.Pid)
	}
}

func TestRemoveTakesChildrenFirst(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	g := create(t, nil)
	if err := os.MkdirAll(g.Path+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := g.Remove(); err != nil || g.Exists() {
		t.Errorf("exists %v, %v", g.Exists(), err)
	}
	if err := g.Remove(); err != nil {
		t.Errorf("removing twice: %v", err)
	}
	if err := g.Kill(); err != nil {
		t.Errorf("killing what is gone: %v", err)
	}
}

// TestKillOfAGroupThatGoes: whose group it is removes it as soon as the last process has ended, and that is what was wanted.
func TestKillOfAGroupThatGoes(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	g := create(t, nil)
	for range 1000 {
		if err := os.MkdirAll(g.Path, 0o755); err != nil {
			t.Fatal(err)
		}
		removed := make(chan error)
		go func() { removed <- unix.Rmdir(g.Path) }()
		killed := g.Kill()
		if err := errors.Join(killed, <-removed); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoGroup(t *testing.T) {
	var g Group
	if err := errors.Join(g.Kill(), g.Remove()); err != nil {
		t.Error(err)
	}
	u, err := g.Stat()
	if f, openErr := g.Open(); f != nil || openErr != nil || err != nil || u.CPU != nil || u.Memory != nil {
		t.Error(f, openErr, err, u)
	}
	if g.Freeze(true) == nil {
		t.Error("something was frozen")
	}
}

func TestDevicesAreGuarded(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	need.SecondKernel(t)
	deny := specs.LinuxDeviceCgroup{Allow: false, Access: "rwm"}
	fuse := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(11)), Access: "r"} // kmsg, to read only
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		rules  []specs.LinuxDeviceCgroup
		script string
		fails  bool
	}{
		{"null is allowed", []specs.LinuxDeviceCgroup{deny}, "echo x >N", false},
		{"kmsg can be made", []specs.LinuxDeviceCgroup{deny}, "test -c K", false},
		{"kmsg cannot be read", []specs.LinuxDeviceCgroup{deny}, "exec 3<K", true},
		{"kmsg is allowed by rule", []specs.LinuxDeviceCgroup{deny, fuse}, "exec 3<K", false},
		{"but not for writing", []specs.LinuxDeviceCgroup{deny, fuse}, "exec 3>K", true},
		{"the last rule wins", []specs.LinuxDeviceCgroup{fuse, deny}, "exec 3<K", true},
		{"no rules", nil, "exec 3<K", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := create(t, &specs.LinuxResources{Devices: c.rules})
			run, out := start(t, g, fmt.Sprintf("cd %s && rm -f N K && mknod N c 1 3 && mknod K c 1 11 && %s", dir, c.script))
			err := run.Wait()
			if (err != nil) != c.fails || (c.fails && !strings.Contains(out.String(), "Operation not permitted")) {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// A living group gets other rules: those before do not count any more, and none at all are none.
func TestDeviceRulesAreReplaced(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	need.SecondKernel(t)
	deny := specs.LinuxDeviceCgroup{Allow: false, Access: "rwm"}
	kmsg := specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: ptr(int64(1)), Minor: ptr(int64(11)), Access: "r"}
	g := create(t, &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{deny}})
	f, err := Observe(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rules    []specs.LinuxDeviceCgroup
		programs int
		fails    bool
	}{
		{[]specs.LinuxDeviceCgroup{deny, kmsg}, 1, false},
		{[]specs.LinuxDeviceCgroup{deny}, 1, true},
		{[]specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, 0, false},
		{[]specs.LinuxDeviceCgroup{kmsg, deny}, 1, true},
	} {
		requests, err := g.Update(&specs.LinuxResources{Devices: c.rules}, f)
		if err == nil {
			err = carryOut(requests)
		}
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := attached(g.Path); err != nil || len(ids) != c.programs {
			t.Errorf("%d programs, %v; want %d", len(ids), err, c.programs)
		}
		run, out := start(t, g, "exec 3</dev/kmsg")
		if err := run.Wait(); (err != nil) != c.fails || c.fails && !strings.Contains(out.String(), "Operation not permitted") {
			t.Errorf("%s: %v: %s", inWords(c.rules), err, out)
		}
	}
}

// A group that is given away can be divided by its new owner, who cannot raise its limits.
func TestDelegatedGroup(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	need.SecondKernel(t)
	g := create(t, nil)
	if err := carryOut(g.Delegate(4711, append(Delegated(), "not.there"))); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]uint32{"": 4711, "cgroup.procs": 4711, "cgroup.subtree_control": 4711, "cgroup.threads": 4711, "cgroup.freeze": 0, "cgroup.max.depth": 0} {
		var st syscall.Stat_t
		if err := syscall.Stat(filepath.Join(g.Path, file), &st); err != nil || st.Uid != want || st.Gid != 0 {
			t.Errorf("%q belongs to %d:%d, %v; want %d:0", file, st.Uid, st.Gid, err, want)
		}
	}
}

func TestUsageOfWhatIsNotMeasured(t *testing.T) {
	need.Root(t)
	need.Hierarchy(t)
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	g := create(t, nil)
	u, err := g.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, known := g.OOMKills(); known != (u.Memory != nil) || (f.refuse("memory", "") == nil) != known {
		t.Errorf("memory %v, OOM kills known %v, with %v", u.Memory, known, f.Controllers)
	}
}

func TestMemoryIsCheckedBeforeUpdate(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory")
	g := create(t, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(256 << 20))}})
	c, _ := start(t, g, "sleep 100")
	eventually(t, "the process uses memory", func() bool { n, _ := g.number("memory.current"); return n > 64<<10 })
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := g.Update(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(32 << 10)), CheckBeforeUpdate: ptr(true)}}, f)
	if err == nil {
		err = carryOut(requests)
	}
	if err == nil || !strings.Contains(err.Error(), "rejecting memory limit 32768 < usage") {
		t.Errorf("got %v", err)
	}
	if err := c.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process is gone: %v", err)
	}
	if max, _ := g.number("memory.max"); max != 256<<20 {
		t.Errorf("the limit is %d now", max)
	}
}

func TestMemoryLimitKills(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory")
	g := create(t, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(16 << 20)), Swap: ptr(int64(16 << 20))}})
	if n, known := g.OOMKills(); n != 0 || !known {
		t.Errorf("%d kills, known %v, before anything", n, known)
	}
	c, out := start(t, g, "head -c 64m /dev/zero | tail")
	c.Wait()
	if n, _ := g.OOMKills(); n == 0 {
		t.Errorf("nothing was killed: %v %s", c.ProcessState, out)
	}
	u, err := g.Stat()
	if err != nil || u.Memory == nil || u.Memory.Max != 16<<20 {
		t.Errorf("%+v, %v", u.Memory, err)
	}
}

func TestOOMKillsBelow(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory")
	g := create(t, &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(16 << 20)), Swap: ptr(int64(16 << 20))}})
	below := Group{g.Path + "/below"}
	if err := os.Mkdir(below.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	c, _ := start(t, below, "head -c 64m /dev/zero | tail")
	c.Wait()
	if n, _ := g.OOMKills(); n == 0 {
		t.Error("a kill in a group below was not counted")
	}
}

func TestCPUQuotaThrottles(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "cpu")
	g := create(t, &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(10000)), Period: ptr(uint64(100000))}})
	start(t, g, "while :; do :; done")
	eventually(t, "the CPU was taken away", func() bool {
		u, err := g.Stat()
		return err == nil && u.CPU.Throttled >= 3 && u.CPU.ThrottledTime > 0
	})
}

func TestPidsLimitRefuses(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "pids")
	g := create(t, &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(2))}})
	c, out := start(t, g, "sleep 50 & sleep 50 & sleep 50")
	c.Wait()
	if !strings.Contains(out.String(), "ork") { // "Cannot fork", "fork: Resource temporarily unavailable"
		t.Errorf("fork was not refused: %s", out)
	}
	if u, err := g.Stat(); err != nil || u.Pids.Max != 2 {
		t.Errorf("%+v, %v", u.Pids, err)
	}
}

func TestCpusetPins(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "cpuset")
	g := create(t, &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0", Mems: "0"}})
	c, out := start(t, g, "grep Cpus_allowed_list /proc/self/status")
	if err := c.Wait(); err != nil || strings.TrimSpace(out.String()) != "Cpus_allowed_list:\t0" {
		t.Errorf("%v: %s", err, out)
	}
}

func TestIOLimitHolds(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "io")
	dir := t.TempDir()
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	d := specs.LinuxThrottleDevice{Rate: 1 << 20}
	d.Major, d.Minor = int64(unix.Major(st.Dev)), int64(unix.Minor(st.Dev))
	g := create(t, &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(200)), ThrottleWriteBpsDevice: []specs.LinuxThrottleDevice{d}}})
	begin := time.Now()
	c, out := start(t, g, fmt.Sprintf("dd if=/dev/zero of=%s/f bs=64k count=48 oflag=direct", dir))
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if took := time.Since(begin); took < 1500*time.Millisecond {
		t.Errorf("3 MiB at 1 MiB a second took %v", took)
	}
	u, err := g.Stat()
	if err != nil || len(u.IO) == 0 || u.IO[0].WriteBytes < 3<<20 || int64(u.IO[0].Major) != d.Major {
		t.Errorf("%+v, %v", u.IO, err)
	}
	weight, err := os.ReadFile(g.Path + "/io.weight")
	if err != nil || strings.TrimSpace(string(weight)) != "default 1920" {
		t.Errorf("io.weight %q, %v", weight, err)
	}
}

func TestUpdateChangesLimitsLive(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory", "cpu", "pids")
	g := create(t, nil)
	start(t, g, "sleep 100")
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := g.Update(&specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(-1))},
		CPU:    &specs.LinuxCPU{Shares: ptr(uint64(512))}, Pids: &specs.LinuxPids{Limit: new(int64(9))},
	}, f)
	if err != nil {
		t.Fatal(err)
	}
	if err := carryOut(requests); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "67108864", "memory.swap.max": "max", "cpu.weight": "59", "pids.max": "9"} {
		got, err := os.ReadFile(filepath.Join(g.Path, file))
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s is %q, %v; want %s", file, got, err, want)
		}
	}
}

// TestNoInternalProcesses meets the rule on purpose.
func TestNoInternalProcesses(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory")
	parent := create(t, nil)
	c, _ := start(t, parent, "sleep 100")
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	f.Systemd = false
	rel, _ := filepath.Rel(f.Mount, parent.Path)
	_, requests, err := Compile("/"+rel+"/child", &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}}, f)
	if err != nil {
		t.Fatal(err)
	}
	err = carryOut(requests)
	var busy *BusyError
	if !errors.As(err, &busy) || !errors.Is(err, unix.EBUSY) {
		t.Fatalf("%v is no BusyError", err)
	}
	if busy.Group != parent.Path || len(busy.Pids) != 1 || busy.Pids[0] != c.Process.Pid {
		t.Errorf("%+v", busy)
	}
	if !strings.Contains(busy.Tree(), fmt.Sprintf("%s   <- %d s", parent.Path, c.Process.Pid)) {
		t.Errorf("the tree shows nobody:\n%s", busy.Tree())
	}
}

// TestNamespaceRootIsEmptied runs itself in a cgroup namespace whose root holds processes, as inside a container.
func TestNamespaceRootIsEmptied(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory")
	if os.Getenv("GLASSBOX_TEST_INSIDE") != "" {
		insideNamespace(t)
		return
	}
	g := create(t, nil)
	dir, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c := exec.Command("/proc/self/exe", "-test.run=^TestNamespaceRootIsEmptied$", "-test.v")
	c.Env = append(os.Environ(), "GLASSBOX_TEST_INSIDE=yes")
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd()), Cloneflags: unix.CLONE_NEWCGROUP | unix.CLONE_NEWNS}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func insideNamespace(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH))
	must(unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""))
	f, err := Observe(anything)
	must(err)
	if f.Systemd || len(f.Sitting) == 0 {
		t.Fatalf("%+v", f)
	}
	g, requests, err := Compile("/inner/x", &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}}, f)
	must(err)
	must(carryOut(requests))
	if got := groupOf("self"); got != "/init" {
		t.Errorf("we are in %s, not in the leaf", got)
	}
	must(g.Remove())
}

// TestBornBesideChildren: a group that hands controllers down takes no new process, and PID 1's own group does.
func TestBornBesideChildren(t *testing.T) {
	need.Root(t)
	need.CgroupV2(t, "memory")
	g := create(t, nil)
	inner := Group{g.Path + "/inner"}
	if err := os.Mkdir(inner.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	first, _ := start(t, inner, "sleep 100")
	if err := writeFile(g.Path+"/cgroup.subtree_control", "+memory"); err != nil {
		t.Fatal(err)
	}
	dir, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c := exec.Command("true")
	c.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := c.Run(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("born beside children: %v", err)
	}
	f, err := Observe(anything)
	if err != nil {
		t.Fatal(err)
	}
	of, err := f.Of(first.Process.Pid)
	if err != nil || of != inner {
		t.Fatalf("%v, %v", of, err)
	}
	birthplace, err := g.OpenFor(first.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer birthplace.Close()
	if birthplace.Name() != inner.Path {
		t.Errorf("a further process would be born in %s", birthplace.Name())
	}
	second, _ := start(t, of, "exit 0")
	if err := second.Wait(); err != nil {
		t.Error(err)
	}
}

// anything asks for a limit, so that Observe looks at everything.
var anything = &specs.LinuxResources{Unified: map[string]string{"memory.max": "max"}}
