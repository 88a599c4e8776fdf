package engine

import (
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// dockers are the flags that write a file of the container's group, by the file: who sets it with --cgroup too has said two things.
func dockers(r container.Resources) map[string][]string {
	asked := map[string][]string{}
	note := func(file, flag string, set bool) {
		if set {
			asked[file] = append(asked[file], flag)
		}
	}
	note("memory.max", "--memory", r.Memory != 0)
	note("memory.low", "--memory-reservation", r.MemoryReservation != 0)
	note("memory.swap.max", "--memory-swap", r.MemorySwap != 0)
	note("cpu.weight", "--cpu-shares", r.CPUShares != 0)
	note("cpu.max", "--cpus", r.NanoCPUs != 0)
	note("cpu.max", "--cpu-quota", r.CPUQuota != 0)
	note("cpu.max", "--cpu-period", r.CPUPeriod != 0)
	note("cpuset.cpus", "--cpuset-cpus", r.CpusetCpus != "")
	note("cpuset.mems", "--cpuset-mems", r.CpusetMems != "")
	note("pids.max", "--pids-limit", r.PidsLimit != nil)
	for _, file := range []string{"io.weight", "io.bfq.weight"} {
		note(file, "--blkio-weight", r.BlkioWeight != 0)
		note(file, "--blkio-weight-device", len(r.BlkioWeightDevice) > 0)
	}
	note("io.max", "--device-read-bps", len(r.BlkioDeviceReadBps) > 0)
	note("io.max", "--device-write-bps", len(r.BlkioDeviceWriteBps) > 0)
	note("io.max", "--device-read-iops", len(r.BlkioDeviceReadIOps) > 0)
	note("io.max", "--device-write-iops", len(r.BlkioDeviceWriteIOps) > 0)
	return asked
}

// checkCgroup refuses what --cgroup cannot set, and what another flag sets too. It sees what was asked for: the swap limit that comes with
// --memory by itself gives way to --cgroup memory.swap.max.
func checkCgroup(files map[string]string, r container.Resources) error {
	flags := dockers(r)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		switch {
		case strings.ContainsAny(file, "/\x00\n") || strings.HasPrefix(file, ".") || strings.HasSuffix(file, ".") || !strings.Contains(file, "."):
			return invalid("--cgroup %s: %q is not the name of a cgroup v2 file, such as memory.high", file, file)
		case strings.TrimSpace(files[file]) == "":
			return invalid("--cgroup %s: the value is missing", file)
		case !setting(file):
			return invalid("--cgroup %s: writing it does something at once, and sets nothing that would last", file)
		case len(flags[file]) > 0:
			return invalid("conflicting options: --cgroup %s and %s set the same file", file, strings.Join(flags[file], " "))
		}
	}
	return nil
}

// setting says whether a file of a group holds what is written to it: most of cgroup.* and a few others are commands, cgroup-v2.rst.
func setting(file string) bool {
	switch {
	case file == "memory.reclaim", file != "cgroup.pressure" && strings.HasSuffix(file, ".pressure"), strings.HasSuffix(file, ".peak"):
		return false
	case strings.HasPrefix(file, "cgroup."):
		return slices.Contains([]string{"cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"}, file)
	}
	return true
}
