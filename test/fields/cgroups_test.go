package fields

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestCgroups(t *testing.T) {
	need.SecondKernel(t)
	check(t, cgroupsRows)
}

// limited gives the container limits, and shows it its group.
func limited(edit func(*specs.LinuxResources)) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{}
		edit(s.Linux.Resources)
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro"}})
	}
}

// groupHas reads files of the container's group, from inside.
func groupHas(files string) string { return "cd /sys/fs/cgroup && cat " + files }

func memoryLimits(m specs.LinuxMemory) func(*specs.Spec) {
	return limited(func(r *specs.LinuxResources) { r.Memory = &m })
}

func cpuLimits(c specs.LinuxCPU) func(*specs.Spec) {
	return limited(func(r *specs.LinuxResources) { r.CPU = &c })
}

// devices are rules behind one that denies everything.
func devices(rules ...specs.LinuxDeviceCgroup) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Process.Capabilities.Bounding = append(s.Process.Capabilities.Bounding, "CAP_SYSLOG")
		s.Linux.Resources = &specs.LinuxResources{Devices: append([]specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, rules...)}
	}
}

// kmsg is a device that no default list has.
func kmsg(allow bool, access string) specs.LinuxDeviceCgroup {
	return specs.LinuxDeviceCgroup{Allow: allow, Type: "c", Major: new(int64(1)), Minor: new(int64(11)), Access: access}
}

// disk is a block device of this machine that is no partition, as MAJOR:MINOR; empty if there is none.
func disk() string {
	for _, pattern := range []string{"/sys/block/vd*/dev", "/sys/block/sd*/dev", "/sys/block/nvme*/dev", "/sys/block/loop0/dev"} {
		found, _ := filepath.Glob(pattern)
		if len(found) > 0 {
			text, _ := os.ReadFile(found[0])
			return strings.TrimSpace(string(text))
		}
	}
	return ""
}

// throttled limits the disk in one of four ways.
func throttled(set func(*specs.LinuxBlockIO, []specs.LinuxThrottleDevice)) func(*specs.Spec) {
	return limited(func(r *specs.LinuxResources) {
		var d specs.LinuxThrottleDevice
		major, minor, _ := strings.Cut(disk(), ":")
		d.Major, d.Minor, d.Rate = number(major), number(minor), 1<<20
		r.BlockIO = &specs.LinuxBlockIO{}
		set(r.BlockIO, []specs.LinuxThrottleDevice{d})
	})
}

func number(text string) (n int64) {
	for _, c := range text {
		n = 10*n + int64(c-'0')
	}
	return n
}

// limits checks the disk's line of io.max.
func limits(want string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		if out != disk()+" "+want {
			t.Errorf("io.max has %q, want %s %s", out, disk(), want)
		}
	}
}

// reads tries what is allowed of kmsg.
const reads = "mknod /tmp/k c 1 11 && exec 3</tmp/k && echo read; exec 4>>/tmp/k && echo write"

var cgroupsRows = []row{
	{name: "memory.limit", needs: []feature{controllers("memory")}, edit: memoryLimits(specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(96 << 20)), Reservation: new(int64(16 << 20))}),
		inside: groupHas("memory.max memory.swap.max memory.low"), prints: "67108864\n33554432\n16777216"},
	{name: "memory.limit -1", needs: []feature{controllers("memory")}, edit: memoryLimits(specs.LinuxMemory{Limit: new(int64(-1))}), inside: groupHas("memory.max memory.swap.max"), prints: "max\nmax"},
	{name: "memory.limit 0", here: true, edit: memoryLimits(specs.LinuxMemory{Limit: new(int64(0)), DisableOOMKiller: new(false), KernelTCP: new(int64(-1))}), inside: "true"},
	{name: "memory.limit held by v1", needs: []feature{elsewhere("memory")}, edit: memoryLimits(specs.LinuxMemory{Limit: new(int64(64 << 20))}), refused: "linux.resources.memory.limit: "},
	{name: "memory.swap below the limit", edit: memoryLimits(specs.LinuxMemory{Limit: new(int64(2)), Swap: new(int64(1))}), needs: []feature{controllers("memory")}, refused: "linux.resources.memory.swap: "},
	{name: "memory.kernel", edit: memoryLimits(specs.LinuxMemory{Kernel: new(int64(1 << 20))}), refused: "linux.resources.memory.kernel: "},    //nolint:staticcheck // not recommended, but a field
	{name: "memory.kernelTCP", edit: memoryLimits(specs.LinuxMemory{KernelTCP: new(int64(1))}), refused: "linux.resources.memory.kernelTCP: "}, //nolint:staticcheck // the same
	{name: "memory.swappiness", edit: memoryLimits(specs.LinuxMemory{Swappiness: new(uint64(10))}), refused: "linux.resources.memory.swappiness: "},
	{name: "memory.disableOOMKiller", edit: memoryLimits(specs.LinuxMemory{DisableOOMKiller: new(true)}), refused: "linux.resources.memory.disableOOMKiller: "},
	{name: "memory.useHierarchy", edit: memoryLimits(specs.LinuxMemory{UseHierarchy: new(false)}), refused: "linux.resources.memory.useHierarchy: "},
	{name: "memory.checkBeforeUpdate", needs: []feature{controllers("memory")}, edit: memoryLimits(specs.LinuxMemory{Limit: new(int64(64 << 20)), CheckBeforeUpdate: new(true)}),
		inside: groupHas("memory.max"), prints: "67108864"}, // a new group uses nothing yet

	{name: "cpu.shares", needs: []feature{controllers("cpu")}, edit: cpuLimits(specs.LinuxCPU{Shares: new(uint64(512))}), inside: groupHas("cpu.weight"), prints: "59"},
	{name: "cpu.shares as every group has them", here: true, edit: cpuLimits(specs.LinuxCPU{Shares: new(uint64(1024))}), inside: "true"},
	{name: "cpu.quota", needs: []feature{controllers("cpu")}, edit: cpuLimits(specs.LinuxCPU{Quota: new(int64(50000)), Period: new(uint64(200000)), Burst: new(uint64(10000))}),
		inside: groupHas("cpu.max cpu.max.burst"), prints: "50000 200000\n10000"},
	{name: "cpu.idle", needs: []feature{controllers("cpu")}, edit: cpuLimits(specs.LinuxCPU{Idle: new(int64(1))}), inside: groupHas("cpu.idle"), prints: "1"},
	{name: "cpu.cpus", needs: []feature{controllers("cpuset")}, edit: cpuLimits(specs.LinuxCPU{Cpus: "0", Mems: "0"}), inside: groupHas("cpuset.cpus cpuset.mems") + "; probe status Cpus_allowed_list", prints: "0\n0\nCpus_allowed_list: 0"},
	{name: "cpu.realtimeRuntime", edit: cpuLimits(specs.LinuxCPU{RealtimeRuntime: new(int64(1000))}), refused: "linux.resources.cpu.realtimeRuntime: "},
	{name: "cpu.realtimePeriod", edit: cpuLimits(specs.LinuxCPU{RealtimePeriod: new(uint64(1000))}), refused: "linux.resources.cpu.realtimePeriod: "},

	{name: "pids.limit", needs: []feature{controllers("pids")}, edit: limited(func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: new(int64(23))} }), inside: groupHas("pids.max"), prints: "23"},
	{name: "pids.limit -1", needs: []feature{controllers("pids")}, edit: limited(func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: new(int64(-1))} }), inside: groupHas("pids.max"), prints: "max"},
	{name: "pids.limit held by v1", needs: []feature{elsewhere("pids")}, edit: limited(func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: new(int64(23))} }), refused: "linux.resources.pids.limit: "},

	{name: "blockIO.throttleReadBpsDevice", needs: []feature{controllers("io")}, edit: throttled(func(b *specs.LinuxBlockIO, d []specs.LinuxThrottleDevice) { b.ThrottleReadBpsDevice = d }),
		inside: groupHas("io.max"), check: limits("rbps=1048576 wbps=max riops=max wiops=max")},
	{name: "blockIO.throttleWriteBpsDevice", needs: []feature{controllers("io")}, edit: throttled(func(b *specs.LinuxBlockIO, d []specs.LinuxThrottleDevice) { b.ThrottleWriteBpsDevice = d }),
		inside: groupHas("io.max"), check: limits("rbps=max wbps=1048576 riops=max wiops=max")},
	{name: "blockIO.throttleReadIOPSDevice", needs: []feature{controllers("io")}, edit: throttled(func(b *specs.LinuxBlockIO, d []specs.LinuxThrottleDevice) { b.ThrottleReadIOPSDevice = d }),
		inside: groupHas("io.max"), check: limits("rbps=max wbps=max riops=1048576 wiops=max")},
	{name: "blockIO.throttleWriteIOPSDevice", needs: []feature{controllers("io")}, edit: throttled(func(b *specs.LinuxBlockIO, d []specs.LinuxThrottleDevice) { b.ThrottleWriteIOPSDevice = d }),
		inside: groupHas("io.max"), check: limits("rbps=max wbps=max riops=max wiops=1048576")},
	{name: "blockIO.weight", edit: limited(func(r *specs.LinuxResources) { r.BlockIO = &specs.LinuxBlockIO{Weight: new(uint16(5))} }), refused: "linux.resources.blockIO.weight: weight 5 is outside 10..1000"},
	{name: "blockIO.leafWeight", edit: limited(func(r *specs.LinuxResources) { r.BlockIO = &specs.LinuxBlockIO{LeafWeight: new(uint16(100))} }), refused: "linux.resources.blockIO.leafWeight: "},

	{name: "hugepageLimits", needs: []feature{file("/sys/kernel/mm/hugepages/hugepages-2048kB"), hugetlb}, edit: limited(func(r *specs.LinuxResources) {
		r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4 << 20}}
	}), inside: groupHas("hugetlb.2MB.max hugetlb.2MB.rsvd.max"), prints: "4194304\n4194304"},
	{name: "hugepageLimits of no size", edit: limited(func(r *specs.LinuxResources) {
		r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: "3MB", Limit: 1}}
	}), needs: []feature{hugetlb}, refused: "linux.resources.hugepageLimits[0]"},
	{name: "rdma", edit: limited(func(r *specs.LinuxResources) {
		r.Rdma = map[string]specs.LinuxRdma{"none0": {HcaHandles: new(uint32(1))}}
	}), refused: "linux.resources.rdma.none0"}, // there is no such device, or no controller
	{name: "network.classID", edit: limited(func(r *specs.LinuxResources) { r.Network = &specs.LinuxNetwork{ClassID: new(uint32(5))} }), refused: "linux.resources.network.classID: "},
	{name: "network.priorities", edit: limited(func(r *specs.LinuxResources) {
		r.Network = &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{Name: "lo", Priority: 1}}}
	}), refused: "linux.resources.network.priorities: "},

	{name: "unified", needs: []feature{controllers("memory", "pids")}, edit: limited(func(r *specs.LinuxResources) {
		r.Unified = map[string]string{"memory.high": "33554432", "pids.max": "77", "cgroup.max.depth": "4"}
		r.Pids = &specs.LinuxPids{Limit: new(int64(5))} // unified comes last
	}), inside: groupHas("memory.high pids.max cgroup.max.depth"), prints: "33554432\n77\n4"},
	{name: "unified of no file", edit: limited(func(r *specs.LinuxResources) { r.Unified = map[string]string{"cgroup.nonsense": "1"} }), refused: "linux.resources.unified.cgroup.nonsense"},
	{name: "unified of no controller", edit: limited(func(r *specs.LinuxResources) { r.Unified = map[string]string{"nonsense.max": "1"} }), refused: "linux.resources.unified.nonsense.max: "},
	{name: "unified elsewhere", edit: limited(func(r *specs.LinuxResources) { r.Unified = map[string]string{"../memory.max": "1"} }), refused: "linux.resources.unified.../memory.max: "},

	{name: "devices", here: true, edit: devices(), inside: "echo x >/dev/null && " + reads, code: 1, check: says("")},
	{name: "devices allowed", edit: devices(kmsg(true, "rw")), inside: reads, prints: "read\nwrite"},
	{name: "devices allowed to read", here: true, edit: devices(kmsg(true, "r")), inside: reads, code: 1, check: says("read")},
	{name: "devices, the last rule wins", here: true, edit: devices(kmsg(true, "rw"), kmsg(false, "r")), inside: reads, code: 1, check: says("")},
	{name: "devices of a type", here: true, edit: devices(specs.LinuxDeviceCgroup{Allow: true, Type: "c"}), inside: reads, prints: "read\nwrite"},
	{name: "devices of another type", here: true, edit: devices(specs.LinuxDeviceCgroup{Allow: true, Type: "b"}), inside: reads, code: 1, check: says("")},
	{name: "devices of a major", here: true, edit: devices(specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: new(int64(1)), Access: "rwm"}), inside: reads, prints: "read\nwrite"},
	{name: "devices, all", here: true, edit: devices(specs.LinuxDeviceCgroup{Allow: true, Type: "a", Access: "rwm"}), inside: reads, prints: "read\nwrite"},
	{name: "devices unknown", edit: devices(specs.LinuxDeviceCgroup{Allow: true, Type: "x"}), refused: `linux.resources.devices[1]: device type "x"`},

	{name: "cgroupsPath", prepare: func(_ *testing.T, b *box) {
		b.Spec.Linux.CgroupsPath = "/glassbox-test/deep/" + b.ID
		b.Spec.Linux.Namespaces = b.Spec.Linux.Namespaces[:5] // the host's view
	}, inside: "tail -1 /proc/self/cgroup", check: func(t *testing.T, out string) {
		if !strings.Contains(out, "/glassbox-test/deep/") {
			t.Errorf("the group is %s", out)
		}
	}},
	{name: "cgroupsPath of its own", here: true, inside: "tail -1 /proc/self/cgroup", prints: "0::/"},
	{name: "cgroupsPath empty", here: true, edit: func(s *specs.Spec) { s.Linux.CgroupsPath = "" }, inside: "tail -1 /proc/self/cgroup", prints: "0::/"},
	{name: "cgroupsPath root", edit: func(s *specs.Spec) { s.Linux.CgroupsPath = "/" }, refused: `linux.cgroupsPath "/" is the root of the hierarchy`},
	{name: "cgroupsPath of a unit", needs: []feature{elsewhere("memory")}, edit: func(s *specs.Spec) { s.Linux.CgroupsPath = "system.slice:x:y" }, refused: `linux.cgroupsPath "system.slice:x:y" asks for a systemd unit`},
}

// says checks what was printed before the script failed.
func says(want string) func(*testing.T, string) {
	return func(t *testing.T, out string) {
		if out != want {
			t.Errorf("printed %q, want %q", out, want)
		}
	}
}

// hugetlb is the one controller that a hybrid host may have left.
func hugetlb() string {
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		text, _ := os.ReadFile(mount + "/cgroup.controllers")
		if strings.Contains(string(text), "hugetlb") {
			return ""
		}
	}
	return "the cgroup v2 controller hugetlb"
}
