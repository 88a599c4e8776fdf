package cgroups

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func ptr[T any](v T) *T { return &v }

var everything = []string{"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"}

func pureV2() Facts {
	return Facts{Mount: "/sys/fs/cgroup", Self: "/", Parent: "/glassbox", Controllers: everything}
}

func hybrid() Facts {
	return Facts{Mount: "/sys/fs/cgroup/unified", Self: "/", Parent: "/glassbox", Controllers: []string{"hugetlb"},
		V1: map[string]string{"memory": "/sys/fs/cgroup/memory", "cpu": "/sys/fs/cgroup/cpu", "pids": "/sys/fs/cgroup/pids",
			"io": "/sys/fs/cgroup/blkio", "cpuset": "/sys/fs/cgroup/cpuset"}}
}

// limitWrites is what Compile writes into the container's own group, as "file value".
func limitWrites(t *testing.T, r *specs.LinuxResources, f Facts) []string {
	t.Helper()
	l, err := compileLimits(r, f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range l.writes {
		out = append(out, w.file+" "+w.value)
	}
	return out
}

func TestLimitsBecomeFiles(t *testing.T) {
	bfq := pureV2()
	bfq.Files = map[string]bool{"io.bfq.weight": true}
	noSwap := pureV2()
	noSwap.Files = map[string]bool{"memory.swap.max": false}
	device := func(rate uint64) []specs.LinuxThrottleDevice {
		d := specs.LinuxThrottleDevice{Rate: rate}
		d.Major, d.Minor = 8, 16
		return []specs.LinuxThrottleDevice{d}
	}
	weighed := specs.LinuxWeightDevice{Weight: ptr(uint16(500))}
	weighed.Major, weighed.Minor = 8, 0
	for _, c := range []struct {
		name string
		r    specs.LinuxResources
		f    Facts
		want string
	}{
		{"docker run -m 64m", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(128 << 20))}}, pureV2(),
			"memory.max 67108864, memory.swap.max 67108864"},
		{"no swap", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(64 << 20))}}, pureV2(),
			"memory.max 67108864, memory.swap.max 0"},
		{"swap without limit", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(-1))}}, pureV2(),
			"memory.max 67108864, memory.swap.max max"},
		{"swap without limit where none is counted", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(-1))}}, noSwap,
			"memory.max 67108864"},
		{"memory without limit", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(-1))}}, pureV2(),
			"memory.max max, memory.swap.max max"},
		{"reservation", specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: ptr(int64(1 << 20))}}, pureV2(), "memory.low 1048576"},
		{"what docker writes for nothing", specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(0)), DisableOOMKiller: ptr(false)},
			CPU: &specs.LinuxCPU{Shares: ptr(uint64(0)), Quota: ptr(int64(0)), Period: ptr(uint64(0))}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(0))}}, hybrid(), ""},
		{"cpus 1.5", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(150000)), Period: ptr(uint64(100000))}}, pureV2(), "cpu.max 150000 100000"},
		{"quota alone", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(50000))}}, pureV2(), "cpu.max 50000 100000"},
		{"period alone", specs.LinuxResources{CPU: &specs.LinuxCPU{Period: ptr(uint64(50000))}}, pureV2(), "cpu.max max 50000"},
		{"no quota, burst, idle", specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: ptr(int64(-1)), Burst: ptr(uint64(1000)), Idle: ptr(int64(1))}}, pureV2(),
			"cpu.idle 1, cpu.max max 100000, cpu.max.burst 1000"},
		{"shares", specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(1024)), Cpus: "0-1,3", Mems: "0"}}, pureV2(),
			"cpu.weight 100, cpuset.cpus 0-1,3, cpuset.mems 0"},
		{"pids", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(20))}}, pureV2(), "pids.max 20"},
		{"pids without limit", specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(-1))}}, pureV2(), "pids.max max"},
		{"blkio weight", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(1000)), WeightDevice: []specs.LinuxWeightDevice{weighed}}}, pureV2(),
			"io.weight 10000, io.weight 8:0 4950"},
		{"blkio weight of bfq", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(10)), WeightDevice: []specs.LinuxWeightDevice{weighed}}}, bfq,
			"io.bfq.weight 10, io.bfq.weight 8:0 500"},
		{"throttles", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: device(1 << 20), ThrottleWriteBpsDevice: device(2 << 20),
			ThrottleReadIOPSDevice: device(10), ThrottleWriteIOPSDevice: device(0)}}, pureV2(),
			"io.max 8:16 rbps=1048576, io.max 8:16 wbps=2097152, io.max 8:16 riops=10, io.max 8:16 wiops=max"},
		{"huge pages", specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}}}, hybrid(),
			"hugetlb.2MB.max 4194304, hugetlb.2MB.rsvd.max 4194304"},
		{"rdma", specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"mlx5": {HcaHandles: ptr(uint32(3)), HcaObjects: ptr(uint32(100))}}}, pureV2(),
			"rdma.max mlx5 hca_handle=3 hca_object=100"},
		{"unified", specs.LinuxResources{Unified: map[string]string{"memory.high": "1000", "io.max": "8:0 rbps=1\n8:16 rbps=2\n", "cgroup.max.depth": "3"}}, pureV2(),
			"cgroup.max.depth 3, io.max 8:0 rbps=1, io.max 8:16 rbps=2, memory.high 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(limitWrites(t, &c.r, c.f), ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What engines really write into config.json when nobody asks for a limit must run everywhere; what they limit is set, or refused by name.
func TestWhatEnginesSend(t *testing.T) {
	const common = "docker-28.5.2 docker-28.5.2-privileged containerd-1.6.20 containerd-1.6.20-limits podman-4.3.1"
	for _, c := range []struct {
		f       Facts
		writes  map[string]string
		refused map[string]string
	}{
		{pureV2(), map[string]string{"containerd-1.6.20": "cpu.weight 100", "containerd-1.6.20-limits": "memory.max 67108864, cpu.weight 100, cpu.max 50000 100000", "podman-4.3.1": "pids.max 2048"}, nil},
		{hybrid(), nil, map[string]string{"containerd-1.6.20-limits": "linux.resources.memory.limit", "podman-4.3.1": "linux.resources.pids.limit"}},
	} {
		for _, name := range strings.Fields(common) {
			text, err := os.ReadFile("testdata/" + name + ".json")
			var r specs.LinuxResources
			if err == nil {
				err = json.Unmarshal(text, &r)
			}
			if err != nil {
				t.Fatal(err)
			}
			if field := c.refused[name]; field != "" {
				var limit *LimitError
				if _, err := compileLimits(&r, c.f); !errors.As(err, &limit) || limit.Field != field {
					t.Errorf("%s on %s: %v, want a refusal of %s", name, c.f.Mount, err, field)
				}
				continue
			}
			if got := strings.Join(limitWrites(t, &r, c.f), ", "); got != c.writes[name] {
				t.Errorf("%s on %s writes %s; want %s", name, c.f.Mount, got, c.writes[name])
			}
			devices, err := deviceRequests("/g", &r, attach)
			if privileged := strings.HasSuffix(name, "privileged"); err != nil || privileged != (len(devices) == 0) {
				t.Errorf("%s: %d requests for devices, %v", name, len(devices), err)
			}
		}
	}
}

func TestSharesBecomeWeight(t *testing.T) {
	// The pairs that opencontainers/cgroups 0.0.3 tests its own conversion with, and both ends.
	for shares, want := range map[uint64]uint64{1: 1, 2: 1, 1024: 100, 262144: 10000, 262145: 10000, 512: 59, 2000: 170} {
		if got := weight(shares); got != want {
			t.Errorf("%d shares became %d, not %d", shares, got, want)
		}
	}
	for shares, last := uint64(2), uint64(0); shares <= 262144; shares++ {
		w := weight(shares)
		if w < last || w < 1 || w > 10000 {
			t.Fatalf("%d shares became %d after %d", shares, w, last)
		}
		last = w
	}
}

func TestRefusals(t *testing.T) {
	memory := specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}}
	swap := specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20)), Swap: ptr(int64(128 << 20))}}
	weigh := specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(300))}}
	delegated := pureV2()
	delegated.Controllers = []string{"memory", "pids"}
	lacking := pureV2()
	lacking.Files = map[string]bool{"memory.swap.max": false, "io.weight": false, "io.bfq.weight": false}
	off := pureV2()
	off.Controllers, off.Disabled = []string{"pids"}, []string{"memory"}
	for _, c := range []struct {
		name                          string
		r                             specs.LinuxResources
		f                             Facts
		controller, field, cause, fix string
	}{
		{"held by v1", memory, hybrid(), "memory", "linux.resources.memory.limit", "held by cgroup v1 at /sys/fs/cgroup/memory", BootParameter},
		{"what docker run -m asks for is named first", swap, hybrid(), "memory", "linux.resources.memory.limit", "held by cgroup v1", BootParameter},
		{"no cgroup2", memory, Facts{}, "memory", "linux.resources.memory.limit", "no cgroup2 file system is mounted", BootParameter},
		{"not delegated", specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: ptr(uint64(2))}}, delegated, "cpu", "linux.resources.cpu.shares", "not delegated to /sys/fs/cgroup (have: memory pids)", "Delegate=yes"},
		{"switched off", memory, off, "memory", "linux.resources.memory.limit", "booted with the controller memory switched off", "cgroup_enable=memory"},
		{"swap not counted", swap, lacking, "memory", "linux.resources.memory.swap", "does not account swap", "swapaccount=1"},
		{"no weights", weigh, lacking, "io", "linux.resources.blockIO.weight", "neither io.weight nor io.bfq.weight", "modprobe bfq"},
		{"swappiness", specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: ptr(uint64(10))}}, pureV2(), "memory", "linux.resources.memory.swappiness", "no file for it", "vm.swappiness"},
		{"oom killer", specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: ptr(true)}}, pureV2(), "memory", "linux.resources.memory.disableOOMKiller", "no file for it", "leave it out"},
		{"hierarchy", specs.LinuxResources{Memory: &specs.LinuxMemory{UseHierarchy: ptr(false)}}, pureV2(), "memory", "linux.resources.memory.useHierarchy", "always counts", "leave it out"},
		{"leaf weight", specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{{LeafWeight: ptr(uint16(10))}}}}, pureV2(), "io", "linux.resources.blockIO.weightDevice[0].leafWeight", "leaves only", "leave it out"},
		{"priorities", specs.LinuxResources{Network: &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{Name: "eth0", Priority: 1}}}}, pureV2(), "net_prio", "linux.resources.network.priorities", "no file for it", "nftables"},
		{"real time", specs.LinuxResources{CPU: &specs.LinuxCPU{RealtimeRuntime: ptr(int64(5))}}, pureV2(), "cpu", "linux.resources.cpu.realtimeRuntime", "real-time", "leave it out"},
		{"class", specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: ptr(uint32(5))}}, pureV2(), "net_cls", "linux.resources.network.classID", "no file for it", "nftables"},
		{"unified", specs.LinuxResources{Unified: map[string]string{"memory.high": "5"}}, hybrid(), "memory", "linux.resources.unified.memory.high", "held by cgroup v1", BootParameter},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, requests, err := Compile("/glassbox/x", &c.r, c.f)
			var limit *LimitError
			if !errors.As(err, &limit) {
				t.Fatalf("%d requests and %v, no LimitError", len(requests), err)
			}
			if limit.Controller != c.controller || limit.Field != c.field || !strings.Contains(limit.Cause, c.cause) || !strings.Contains(limit.Fix, c.fix) {
				t.Errorf("%+v", limit)
			}
		})
	}
}

func TestBadLimits(t *testing.T) {
	for want, r := range map[string]specs.LinuxResources{
		"below the memory limit": {Memory: &specs.LinuxMemory{Limit: ptr(int64(10)), Swap: ptr(int64(5))}},
		"without a memory limit": {Memory: &specs.LinuxMemory{Swap: ptr(int64(5))}},
		"outside 10..1000":       {BlockIO: &specs.LinuxBlockIO{Weight: ptr(uint16(1001))}},
		"page size":              {HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "../memory", Limit: 1}}},
		"not the name":           {Unified: map[string]string{"../x/memory.max": "1"}},
		"is none of r, w, m":     {Devices: []specs.LinuxDeviceCgroup{{Access: "x"}}},
		"is none of a, b, c, u":  {Devices: []specs.LinuxDeviceCgroup{{Type: "x"}}},
	} {
		if _, _, err := Compile("/glassbox/x", &r, pureV2()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}

// calls is the requests' texts, one a line.
func calls(t *testing.T, path string, r *specs.LinuxResources, f Facts) string {
	t.Helper()
	_, requests, err := Compile(path, r, f)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range requests {
		if r.Why == "" || r.Do == nil {
			t.Errorf("%s: without reason or deed", r.Call)
		}
		b.WriteString(r.Call + "\n")
	}
	return b.String()
}

func TestRequestsInOrder(t *testing.T) {
	limited := &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: ptr(int64(64 << 20))}, CPU: &specs.LinuxCPU{Shares: ptr(uint64(2))}}
	sitting := pureV2()
	sitting.Sitting = []int{1, 42}
	systemd := pureV2()
	systemd.Systemd, systemd.Parent = true, "/system.slice"
	for _, c := range []struct {
		name, path string
		r          *specs.LinuxResources
		f          Facts
		want       string
	}{
		{"limits", "/glassbox/x", limited, pureV2(), `
mkdirat(AT_FDCWD, "/sys/fs/cgroup/glassbox", 0755)
write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +io +memory +pids", 22)
write("/sys/fs/cgroup/glassbox/cgroup.subtree_control", "+cpu +io +memory +pids", 22)
mkdirat(AT_FDCWD, "/sys/fs/cgroup/glassbox/x", 0755)
write("/sys/fs/cgroup/glassbox/x/memory.max", "67108864", 8)
write("/sys/fs/cgroup/glassbox/x/cpu.weight", "1", 1)
`},
		{"a hybrid host without limits", "x", nil, hybrid(), `
mkdirat(AT_FDCWD, "/sys/fs/cgroup/unified/glassbox", 0755)
mkdirat(AT_FDCWD, "/sys/fs/cgroup/unified/glassbox/x", 0755)
`},
		{"no cgroup2 at all", "/glassbox/x", nil, Facts{}, "\n"},
		{"a namespace's root with processes", "/a/b/x", nil, sitting, `
mkdirat(AT_FDCWD, "/sys/fs/cgroup/a", 0755)
mkdirat(AT_FDCWD, "/sys/fs/cgroup/a/b", 0755)
mkdirat(AT_FDCWD, "/sys/fs/cgroup/init", 0755)
write("/sys/fs/cgroup/init/cgroup.procs", "1", 1)
write("/sys/fs/cgroup/init/cgroup.procs", "42", 2)
write("/sys/fs/cgroup/cgroup.subtree_control", "+io +memory +pids", 17)
write("/sys/fs/cgroup/a/cgroup.subtree_control", "+io +memory +pids", 17)
write("/sys/fs/cgroup/a/b/cgroup.subtree_control", "+io +memory +pids", 17)
mkdirat(AT_FDCWD, "/sys/fs/cgroup/a/b/x", 0755)
`},
		{"systemd", "my-work.slice:glassbox:x", nil, systemd, `
busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit ssa(sv)a(sa(sv)) glassbox-x.scope fail 7 Description s "glassbox container glassbox-x.scope" Slice s my-work.slice Delegate b true DefaultDependencies b false TasksMax t 18446744073709551615 CollectMode s inactive-or-failed PIDs au 1 SELF 0
mkdirat(AT_FDCWD, "/sys/fs/cgroup/my.slice/my-work.slice/glassbox-x.scope/monitor", 0755)
write("/sys/fs/cgroup/my.slice/my-work.slice/glassbox-x.scope/monitor/cgroup.procs", "0", 1)
write("/sys/fs/cgroup/my.slice/my-work.slice/glassbox-x.scope/cgroup.subtree_control", "+io +memory +pids", 17)
mkdirat(AT_FDCWD, "/sys/fs/cgroup/my.slice/my-work.slice/glassbox-x.scope/container", 0755)
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := calls(t, c.path, c.r, c.f); "\n"+got != c.want && got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got:\n%s\nwant:%s", got, c.want)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	systemd := pureV2()
	systemd.Systemd = true
	for _, c := range []struct {
		f                  Facts
		parent, path, want string
	}{
		{pureV2(), "", "/glassbox/x", "/sys/fs/cgroup/glassbox/x"},
		{pureV2(), "mine", "/mine/x", "/sys/fs/cgroup/mine/x"},
		{pureV2(), "/a/../b", "/b/x", "/sys/fs/cgroup/b/x"},
		{hybrid(), "", "/glassbox/x", "/sys/fs/cgroup/unified/glassbox/x"},
		{systemd, "", "system.slice:glassbox:x", "/sys/fs/cgroup/system.slice/glassbox-x.scope/container"},
		{systemd, "a-b.slice", "a-b.slice:glassbox:x", "/sys/fs/cgroup/a.slice/a-b.slice/glassbox-x.scope/container"},
	} {
		path, err := c.f.Path(c.parent, "x")
		if err != nil || path != c.path {
			t.Errorf("parent %q: %q, %v; want %q", c.parent, path, err, c.path)
		}
		if g, err := c.f.Locate(path); err != nil || g.Path != c.want {
			t.Errorf("path %q: %q, %v; want %q", path, g.Path, err, c.want)
		}
	}
	for _, bad := range []struct{ parent, path string }{
		{parent: "mine"}, {parent: "/system.slice"}, {path: "/"}, {path: ""}, {path: "a--b.slice:x:y"}, {path: "a/b.slice:x:y"}, {path: "a:x:y"},
	} {
		if bad.parent != "" {
			if got, err := systemd.Path(bad.parent, "x"); err == nil {
				t.Errorf("parent %q became %q", bad.parent, got)
			}
			continue
		}
		if got, err := systemd.Locate(bad.path); err == nil {
			t.Errorf("path %q became %q", bad.path, got.Path)
		}
	}
	units := systemd
	units.Units = true
	if g, err := units.Locate("machine.slice:libpod:x"); err != nil || g.Path != "/sys/fs/cgroup/machine.slice/libpod-x.scope/container" {
		t.Errorf("%q, %v", g.Path, err)
	}
	if _, err := units.Locate("/docker/x"); err == nil || err.Error() != `linux.cgroupsPath: expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups, got "/docker/x" instead` {
		t.Error(err)
	}
	units.Systemd = false
	if _, err := units.Locate("machine.slice:libpod:x"); err == nil || err.Error() != "systemd cgroup flag passed, but systemd support for managing cgroups is not available" {
		t.Error(err)
	}
	if _, err := pureV2().Locate("system.slice:glassbox:x"); err == nil {
		t.Error("a systemd unit was found on a host without systemd")
	}
}

func TestLayout(t *testing.T) {
	if got, want := hybrid().Layout(), "cgroup2 at /sys/fs/cgroup/unified with [hugetlb]; memory,cpu,pids,io,cpuset are held by v1: limits not available (cure: boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all)"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := pureV2().Layout(), "cgroup2 at /sys/fs/cgroup with [cpuset cpu io memory hugetlb pids rdma misc]"; got != want {
		t.Errorf("got %s", got)
	}
	if got, want := (Facts{}).Layout(), "no cgroup2 file system is mounted; memory,cpu,pids,io,cpuset are not delegated to it or not in this kernel: limits not available"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestReadMounts(t *testing.T) {
	f := Facts{V1: map[string]string{}}
	f.readMounts([]byte(`31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
`))
	if !f.NSDelegate || f.Mount != "/sys/fs/cgroup/unified" || f.V1["cpu"] != "/sys/fs/cgroup/cpu,cpuacct" || f.V1["io"] != "/sys/fs/cgroup/blkio" || len(f.V1) != 2 {
		t.Errorf("%+v", f)
	}
	if off := disabled([]byte("#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t2\t1\t1\nmemory\t0\t1\t0\n")); len(off) != 1 || off[0] != "memory" {
		t.Errorf("%v", off)
	}
}

// TestTransientUnit holds the message against the D-Bus specification's rules, by reading it back.
func TestTransientUnit(t *testing.T) {
	m := transientUnit("glassbox-x.scope", "system.slice", 77)
	if m[0] != 'l' || m[1] != 1 || m[3] != 1 {
		t.Fatalf("header % x", m[:16])
	}
	body := int(uint32(m[4]) | uint32(m[5])<<8)
	fields := int(uint32(m[12]) | uint32(m[13])<<8)
	if got := (16+fields+7)/8*8 + body; got != len(m) {
		t.Errorf("header speaks of %d bytes, the message has %d", got, len(m))
	}
	for _, want := range []string{"\x10\x00\x00\x00glassbox-x.scope\x00", "\x08Delegate\x00", "\x01b\x00", "\x02au\x00", "ssa(sv)a(sa(sv))"} {
		if want[0] == 8 {
			want = "\x08\x00\x00\x00" + want[1:]
		}
		if !strings.Contains(string(m), want) {
			t.Errorf("no %q in the message", want)
		}
	}
}
