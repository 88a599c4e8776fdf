package cgroups

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// limits collects the writes that set what a spec asks for. The OCI fields are named after cgroup v1's files; each method
// below translates one controller's as runc 1.3 does, the runtime that Docker 28.5.2 comes with.
type limits struct {
	facts       Facts
	controllers []string
	writes      []write
	err         error
}

// write is one value for one file of the container's group.
type write struct {
	controller, file, value, from, why string
	tolerate                           bool // the file may be missing
}

func compileLimits(r *specs.LinuxResources, f Facts) (*limits, error) {
	l := &limits{facts: f}
	if r == nil {
		return l, nil
	}
	l.memory(r.Memory)
	l.cpu(r.CPU)
	l.cpuset(r.CPU)
	l.pids(r.Pids)
	l.io(r.BlockIO)
	l.hugetlb(r.HugepageLimits)
	l.rdma(r.Rdma)
	l.network(r.Network)
	l.unified(r.Unified)
	return l, l.err
}

// set appends a write, unless this host cannot make it.
func (l *limits) set(file, value, from, why string, a ...any) {
	controller, _, _ := strings.Cut(file, ".")
	from = "linux.resources." + from
	if l.err != nil {
		return
	}
	if controller != "cgroup" {
		if l.err = l.facts.refuse(controller, from); l.err != nil {
			return
		}
		if !slices.Contains(l.controllers, controller) {
			l.controllers = append(l.controllers, controller)
		}
	}
	if present, seen := l.facts.Files[file]; seen && !present {
		l.err = absent(controller, file, from)
		return
	}
	l.writes = append(l.writes, write{controller: controller, file: file, value: value, from: from, why: fmt.Sprintf(why, a...)})
}

// offer is set for a file that may be missing without making the limit void.
func (l *limits) offer(file, value, from, why string) {
	n := len(l.writes)
	l.set(file, value, from, "%s", why)
	if len(l.writes) > n {
		l.writes[n].tolerate = true
	}
}

// none refuses a field for which cgroup v2 has no file.
func (l *limits) none(asked bool, controller, from, cause, fix string) {
	if asked && l.err == nil {
		l.err = &LimitError{Controller: controller, Field: "linux.resources." + from, Cause: cause, Fix: fix}
	}
}

func (l *limits) bad(from, format string, a ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("linux.resources."+from+": "+format, a...)
	}
}

func (l *limits) requests(dir string) []program.Request {
	var out []program.Request
	for _, w := range l.writes {
		path := filepath.Join(dir, w.file)
		out = append(out, program.Request{
			Call: writeCall(path, w.value),
			From: w.from,
			Why:  w.why,
			Do:   func() error { return w.do(path) },
		})
	}
	return out
}

func (w write) do(path string) error {
	err := writeFile(path, w.value)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT) && w.tolerate:
		return nil
	case errors.Is(err, unix.ENOENT):
		return absent(w.controller, w.file, w.from)
	}
	return fmt.Errorf("%s: %w", w.from, err)
}

// absent is the refusal for a file that the kernel does not offer.
func absent(controller, file, from string) error {
	e := &LimitError{Controller: controller, Field: from, Cause: "this kernel offers no " + file + " to write to",
		Fix: "use a kernel built with it"}
	switch file {
	case "memory.swap.max":
		e.Cause = "this kernel does not account swap (no memory.swap.max)"
		e.Fix = "boot with swapaccount=1"
	case "io.weight", "io.bfq.weight":
		e.Cause = "this kernel cannot weigh block io (neither io.weight nor io.bfq.weight)"
		e.Fix = "modprobe bfq, and echo bfq >/sys/block/DISK/queue/scheduler"
	}
	return e
}

// number prints a limit: -1 is no limit.
func number(n int64) string {
	if n < 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func (l *limits) memory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	limit, swap := value(m.Limit), value(m.Swap)
	if limit != 0 {
		l.set("memory.max", number(limit), "memory.limit", "above this much memory the kernel reclaims, then kills in this group")
	}
	l.swap(limit, swap)
	if n := value(m.Reservation); n != 0 {
		l.set("memory.low", number(n), "memory.reservation", "memory below this is reclaimed only when nothing else is left")
	}
	const gone = "cgroup v2 has no file for it"
	l.none(value(m.Kernel) > 0, "memory", "memory.kernel", gone, "leave it out: kernel memory counts as memory")
	l.none(value(m.KernelTCP) > 0, "memory", "memory.kernelTCP", gone, "leave it out: socket buffers count as memory")
	l.none(m.Swappiness != nil, "memory", "memory.swappiness", gone, "leave it out, or set vm.swappiness for the whole host")
	l.none(value(m.DisableOOMKiller), "memory", "memory.disableOOMKiller", gone, "leave it out, or raise the memory limit")
	l.none(m.UseHierarchy != nil && !*m.UseHierarchy, "memory", "memory.useHierarchy", "cgroup v2 always counts the groups below a group too", "leave it out")
}

// swap: OCI counts memory and swap together, cgroup v2 swap alone.
func (l *limits) swap(limit, swap int64) {
	const from = "memory.swap"
	switch {
	case swap == 0 && limit == -1:
		swap = -1
	case swap == 0:
		return
	case swap > 0 && limit <= 0:
		l.bad(from, "swap cannot be limited without a memory limit: it counts memory and swap together")
		return
	case swap > 0 && swap < limit:
		l.bad(from, "%d is below the memory limit %d: it counts memory and swap together", swap, limit)
		return
	}
	if present, seen := l.facts.Files["memory.swap.max"]; swap < 0 && seen && !present {
		return
	}
	if swap < 0 {
		l.offer("memory.swap.max", "max", from, "swap without limit")
		return
	}
	l.set("memory.swap.max", number(swap-limit), from, "swap alone: what memory.swap (memory and swap) exceeds memory.limit by")
}

func (l *limits) cpu(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if c.Idle != nil {
		l.set("cpu.idle", number(*c.Idle), "cpu.idle", "1: this group runs only where nobody else wants to (SCHED_IDLE)")
	}
	// containerd writes 1024 where nobody asked: without the controller every group has just that
	if n := value(c.Shares); n != 0 && (n != defaultShares || l.facts.refuse("cpu", "") == nil) {
		l.set("cpu.weight", strconv.FormatUint(weight(n), 10), "cpu.shares", "share of busy CPUs against other groups: shares %d of 2..262144, as a weight of 1..10000 (1024 is 100)", n)
	}
	if quota, period := value(c.Quota), value(c.Period); quota != 0 || period != 0 {
		from := "cpu.quota"
		if quota == 0 {
			from, quota = "cpu.period", -1
		}
		if period == 0 {
			period = 100000
		}
		l.set("cpu.max", number(quota)+" "+strconv.FormatUint(period, 10), from, "at most this many microseconds of CPU in every period of that many")
	}
	if c.Burst != nil {
		l.set("cpu.max.burst", strconv.FormatUint(*c.Burst, 10), "cpu.burst", "microseconds saved in idle periods that may be spent beyond the quota")
	}
	const gone = "cgroup v2 cannot limit real-time scheduling"
	l.none(value(c.RealtimeRuntime) != 0, "cpu", "cpu.realtimeRuntime", gone, "leave it out")
	l.none(value(c.RealtimePeriod) != 0, "cpu", "cpu.realtimePeriod", gone, "leave it out")
}

// defaultShares is what a group has to begin with.
const defaultShares = 1024

// weight turns v1's cpu.shares into v2's cpu.weight so that both defaults (1024, 100) and both ends meet: a parabola
// in the logarithms. runc does so since 1.3.2; before, 1024 shares became 39 and lost against everybody's 100.
func weight(shares uint64) uint64 {
	switch {
	case shares <= 2:
		return 1
	case shares >= 262144:
		return 10000
	}
	x := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (x*x+125*x)/612-7.0/34)))
}

func (l *limits) cpuset(c *specs.LinuxCPU) {
	if c == nil {
		return
	}
	if c.Cpus != "" {
		l.set("cpuset.cpus", c.Cpus, "cpu.cpus", "the CPUs that its processes may run on")
	}
	if c.Mems != "" {
		l.set("cpuset.mems", c.Mems, "cpu.mems", "the memory nodes that its processes may allocate from")
	}
}

func (l *limits) pids(p *specs.LinuxPids) {
	if p == nil || value(p.Limit) == 0 {
		return
	}
	l.set("pids.max", number(*p.Limit), "pids.limit", "with this many processes and threads, fork fails with EAGAIN")
}

func (l *limits) io(b *specs.LinuxBlockIO) {
	if b == nil {
		return
	}
	if n := value(b.Weight); n != 0 {
		l.ioWeight("", n, "blockIO.weight")
	}
	const leaf = "cgroup v2 has no file for it: processes live in leaves only"
	l.none(value(b.LeafWeight) != 0, "io", "blockIO.leafWeight", leaf, "leave it out")
	for i, d := range b.WeightDevice {
		l.none(value(d.LeafWeight) != 0, "io", fmt.Sprintf("blockIO.weightDevice[%d].leafWeight", i), leaf, "leave it out")
		if n := value(d.Weight); n != 0 {
			l.ioWeight(fmt.Sprintf("%d:%d ", d.Major, d.Minor), n, fmt.Sprintf("blockIO.weightDevice[%d]", i))
		}
	}
	l.throttle(b.ThrottleReadBpsDevice, "rbps", "ReadBps", "bytes read per second")
	l.throttle(b.ThrottleWriteBpsDevice, "wbps", "WriteBps", "bytes written per second")
	l.throttle(b.ThrottleReadIOPSDevice, "riops", "ReadIOPS", "reads per second")
	l.throttle(b.ThrottleWriteIOPSDevice, "wiops", "WriteIOPS", "writes per second")
}

// ioWeight prefers bfq's file, whose range (1..1000) is the asked one's; io.weight (iocost) goes to 10000.
func (l *limits) ioWeight(device string, n uint16, from string) {
	if n < 10 || n > 1000 {
		l.bad(from, "weight %d is outside 10..1000", n)
		return
	}
	if l.facts.Files["io.bfq.weight"] {
		l.set("io.bfq.weight", device+strconv.Itoa(int(n)), from, "share of a busy disk against other groups, where the disk's scheduler is bfq")
		return
	}
	l.set("io.weight", device+strconv.Itoa(1+(int(n)-10)*9999/990), from, "share of a busy disk against other groups: %d of 10..1000, as a weight of 1..10000", n)
}

func (l *limits) throttle(devices []specs.LinuxThrottleDevice, key, field, what string) {
	for i, d := range devices {
		rate := "max"
		if d.Rate != 0 {
			rate = strconv.FormatUint(d.Rate, 10)
		}
		l.set("io.max", fmt.Sprintf("%d:%d %s=%s", d.Major, d.Minor, key, rate), fmt.Sprintf("blockIO.throttle%sDevice[%d]", field, i), "at most this many %s from or to block device %d:%d", what, d.Major, d.Minor)
	}
}

func (l *limits) hugetlb(limits []specs.LinuxHugepageLimit) {
	for i, h := range limits {
		from, v := fmt.Sprintf("hugepageLimits[%d]", i), strconv.FormatUint(h.Limit, 10)
		if h.Pagesize == "" || strings.ContainsAny(h.Pagesize, "./") {
			l.bad(from, "page size %q is not one", h.Pagesize)
			return
		}
		l.set("hugetlb."+h.Pagesize+".max", v, from, "bytes in huge pages of this size")
		l.offer("hugetlb."+h.Pagesize+".rsvd.max", v, from, "bytes reserved (mapped, not yet touched) in huge pages of this size")
	}
}

func (l *limits) rdma(devices map[string]specs.LinuxRdma) {
	for _, name := range sorted(devices) {
		d := devices[name]
		v := name
		if d.HcaHandles != nil {
			v += fmt.Sprintf(" hca_handle=%d", *d.HcaHandles)
		}
		if d.HcaObjects != nil {
			v += fmt.Sprintf(" hca_object=%d", *d.HcaObjects)
		}
		l.set("rdma.max", v, "rdma."+name, "handles and objects of this RDMA device")
	}
}

func (l *limits) network(n *specs.LinuxNetwork) {
	if n == nil {
		return
	}
	const gone, fix = "cgroup v2 has no file for it", "use nftables with `socket cgroupv2`"
	l.none(value(n.ClassID) != 0, "net_cls", "network.classID", gone, fix)
	l.none(len(n.Priorities) > 0, "net_prio", "network.priorities", gone, fix)
}

// unified is the way past the v1 names: a file of the group and its value. It comes last, so it wins.
func (l *limits) unified(files map[string]string) {
	for _, file := range sorted(files) {
		from := "unified." + file
		if strings.Contains(file, "/") || !strings.Contains(file, ".") || strings.HasPrefix(file, ".") {
			l.bad(from, "%q is not the name of a cgroup v2 file", file)
			return
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(files[file], "\n"), "\n") {
			l.set(file, line, from, "%s", meaning(file))
		}
	}
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// value is what p points at, or zero: OCI's engines write both for "not asked".
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
