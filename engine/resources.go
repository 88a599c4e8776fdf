package engine

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"

	"github.com/docker/docker/api/types/blkiodev"
	"github.com/docker/docker/api/types/container"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const minMemory = 6 << 20

func validateResources(h *container.HostConfig) ([]string, error) {
	warnings, err := checkResources(&h.Resources, false)
	if err != nil || h.Memory <= 0 || h.MemorySwap != 2*h.Memory {
		return warnings, err
	}
	f, err := cgroups.Observe(&specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &h.Memory, Swap: &h.MemorySwap}})
	return append(warnings, discardSwap(&h.Resources, f)...), err
}

// discardSwap is for kernels that do not count swap: --memory alone, which Docker takes for twice as much with swap (adapt), limits memory
// without swap there, with Docker's warning. Another limit of swap than this was asked for, and is refused by cgroups.Compile.
func discardSwap(r *container.Resources, f cgroups.Facts) []string {
	if counted, seen := f.Files["memory.swap.max"]; counted || !seen {
		return nil
	}
	r.MemorySwap = -1
	return []string{"Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."}
}

// checkResources is Docker's verifyPlatformContainerResources. Where Docker discards what the kernel cannot do
// with a warning, only that which cgroup v2 has no file for is discarded here; a limit that could be set
// on another host is refused by cgroups.Compile.
func checkResources(r *container.Resources, update bool) (warnings []string, err error) {
	if err := checkMemory(r, update); err != nil {
		return nil, err
	}
	if err := checkCPU(r); err != nil {
		return nil, err
	}
	if r.BlkioWeight > 0 && (r.BlkioWeight < 10 || r.BlkioWeight > 1000) {
		return nil, invalid("Range of blkio weight is from 10 to 1000")
	}
	return discardV1(r)
}

// discardV1 drops what only cgroup v1 had, as Docker does on v2.
func discardV1(r *container.Resources) (warnings []string, err error) {
	if s := r.MemorySwappiness; s != nil {
		if *s < -1 || *s > 100 {
			return nil, invalid("Invalid value: %v, valid memory swappiness range is 0-100", *s)
		}
		if *s != -1 {
			warnings = append(warnings, "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.")
		}
		r.MemorySwappiness = nil
	}
	if r.OomKillDisable != nil {
		if *r.OomKillDisable {
			warnings = append(warnings, "Your kernel does not support OomKillDisable. OomKillDisable discarded.")
		}
		r.OomKillDisable = nil
	}
	if r.KernelMemory > 0 {
		warnings = append(warnings, "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.")
		r.KernelMemory = 0
	}
	return warnings, nil
}

func checkMemory(r *container.Resources, update bool) error {
	switch {
	case r.Memory != 0 && r.Memory < minMemory:
		return invalid("Minimum memory limit allowed is 6MB")
	case r.Memory > 0 && r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
	case r.Memory == 0 && r.MemorySwap > 0 && !update:
		return invalid("You should always set the Memory limit when using Memoryswap limit, see usage")
	case r.MemoryReservation > 0 && r.MemoryReservation < minMemory:
		return invalid("Minimum memory reservation allowed is 6MB")
	case r.Memory > 0 && r.MemoryReservation > 0 && r.Memory < r.MemoryReservation:
		return invalid("Minimum memory limit can not be less than memory reservation limit, see usage")
	}
	return nil
}

func checkCPU(r *container.Resources) error {
	n := int64(runtime.NumCPU())
	switch {
	case r.NanoCPUs > 0 && r.CPUPeriod > 0:
		return invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set")
	case r.NanoCPUs > 0 && r.CPUQuota > 0:
		return invalid("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
	case r.NanoCPUs < 0 || r.NanoCPUs > n*1e9:
		return invalid("range of CPUs is from 0.01 to %[1]d.00, as there are only %[1]d CPUs available", n)
	case r.CPUShares < 0:
		return invalid("invalid CPU shares (%d): value must be a positive integer", r.CPUShares)
	case r.CPUPeriod != 0 && (r.CPUPeriod < 1000 || r.CPUPeriod > 1000000):
		return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	case r.CPUQuota > 0 && r.CPUQuota < 1000:
		return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	}
	if err := checkSet("CPUs", "cpus", r.CpusetCpus, "/sys/devices/system/cpu/online"); err != nil {
		return err
	}
	return checkSet("memory nodes", "mems", r.CpusetMems, "/sys/devices/system/node/online")
}

// checkSet holds a cpuset list against what the machine has online.
func checkSet(what, field, wanted, online string) error {
	if wanted == "" {
		return nil
	}
	want, err := parseList(wanted)
	if err != nil {
		return invalid("Invalid value %s for cpuset %s: %w", wanted, field, err)
	}
	data, err := os.ReadFile(online)
	if err != nil {
		return nil // the kernel will say so itself
	}
	available := strings.TrimSpace(string(data))
	have, err := parseList(available)
	if err != nil {
		return fmt.Errorf("reading %s: %w", online, err)
	}
	for n := range want {
		if !have[n] {
			return invalid("Requested %s are not available - requested %s, available: %s", what, wanted, available)
		}
	}
	return nil
}

// parseList reads cpuset(7)'s list format: 0-4,9.
func parseList(s string) (map[int]bool, error) {
	set := map[int]bool{}
	for part := range strings.SplitSeq(s, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		a, err1 := strconv.Atoi(low)
		b, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || a < 0 || b < a || b > 8192 {
			return nil, fmt.Errorf("invalid format: %s", part)
		}
		for n := a; n <= b; n++ {
			set[n] = true
		}
	}
	return set, nil
}

// limits translates Docker's resources, and the files that were named, into OCI's.
func (c *record) limits() (*specs.LinuxResources, error) {
	r := c.HostConfig.Resources
	l := &specs.LinuxResources{Unified: c.Cgroup, Memory: memoryLimits(r), CPU: cpuLimits(r)}
	if r.PidsLimit != nil {
		limit := *r.PidsLimit
		if limit <= 0 {
			limit = -1
		}
		l.Pids = &specs.LinuxPids{Limit: &limit}
	}
	io, err := ioLimits(r)
	l.BlockIO = io
	return l, err
}

func memoryLimits(r container.Resources) *specs.LinuxMemory {
	var m specs.LinuxMemory
	if r.Memory > 0 {
		m.Limit = &r.Memory
	}
	if r.MemoryReservation > 0 {
		m.Reservation = &r.MemoryReservation
	}
	if r.MemorySwap > 0 || r.MemorySwap == -1 {
		m.Swap = &r.MemorySwap
	}
	if m == (specs.LinuxMemory{}) {
		return nil
	}
	return &m
}

func cpuLimits(r container.Resources) *specs.LinuxCPU {
	cpu := specs.LinuxCPU{Cpus: r.CpusetCpus, Mems: r.CpusetMems}
	if r.CPUShares > 0 {
		shares := uint64(r.CPUShares)
		cpu.Shares = &shares
	}
	period, quota := uint64(r.CPUPeriod), r.CPUQuota
	if r.NanoCPUs > 0 {
		period = uint64(100 * time.Millisecond / time.Microsecond)
		quota = r.NanoCPUs * int64(period) / 1e9
	}
	if period != 0 {
		cpu.Period = &period
	}
	if quota != 0 {
		cpu.Quota = &quota
	}
	if cpu == (specs.LinuxCPU{}) {
		return nil
	}
	return &cpu
}

func ioLimits(r container.Resources) (*specs.LinuxBlockIO, error) {
	var io specs.LinuxBlockIO
	used := false
	if r.BlkioWeight != 0 {
		io.Weight, used = &r.BlkioWeight, true
	}
	for _, w := range r.BlkioWeightDevice {
		major, minor, err := deviceNumber(w.Path)
		if err != nil {
			return nil, err
		}
		d := specs.LinuxWeightDevice{Weight: &w.Weight}
		d.Major, d.Minor = major, minor
		io.WeightDevice, used = append(io.WeightDevice, d), true
	}
	for _, t := range []struct {
		from []*blkiodev.ThrottleDevice
		to   *[]specs.LinuxThrottleDevice
	}{
		{r.BlkioDeviceReadBps, &io.ThrottleReadBpsDevice}, {r.BlkioDeviceWriteBps, &io.ThrottleWriteBpsDevice},
		{r.BlkioDeviceReadIOps, &io.ThrottleReadIOPSDevice}, {r.BlkioDeviceWriteIOps, &io.ThrottleWriteIOPSDevice},
	} {
		for _, d := range t.from {
			major, minor, err := deviceNumber(d.Path)
			if err != nil {
				return nil, err
			}
			limit := specs.LinuxThrottleDevice{Rate: d.Rate}
			limit.Major, limit.Minor = major, minor
			*t.to, used = append(*t.to, limit), true
		}
	}
	if !used {
		return nil, nil
	}
	return &io, nil
}

func deviceNumber(path string) (major, minor int64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, invalid("stat %s: %w", path, err)
	}
	return int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev)), nil
}
