package main

import (
	"errors"
	"fmt"
	"strings"

	"glassbox/engine"

	"github.com/docker/cli/opts"
	"github.com/docker/docker/api/types/container"
	"github.com/spf13/pflag"
)

// limitFlags are the limits that run sets and update changes.
type limitFlags struct {
	blkioWeight                                                        uint16
	cpuPeriod, cpuQuota, cpuRealtimePeriod, cpuRealtimeRuntime, shares int64
	cpusetCpus, cpusetMems                                             string
	memory, memoryReservation, kernelMemory                            opts.MemBytes
	memorySwap                                                         opts.MemSwapBytes
	pids                                                               int64
	cpus                                                               opts.NanoCPUs
}

// define adds the flags. Docker's help words two of them in another way for update: article is "the " there.
func (l *limitFlags) define(f *pflag.FlagSet, article string) {
	f.Uint16Var(&l.blkioWeight, "blkio-weight", 0, "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)")
	f.Int64Var(&l.cpuPeriod, "cpu-period", 0, "Limit CPU CFS (Completely Fair Scheduler) period")
	f.Int64Var(&l.cpuQuota, "cpu-quota", 0, "Limit CPU CFS (Completely Fair Scheduler) quota")
	f.Int64Var(&l.cpuRealtimePeriod, "cpu-rt-period", 0, "Limit "+article+"CPU real-time period in microseconds")
	f.Int64Var(&l.cpuRealtimeRuntime, "cpu-rt-runtime", 0, "Limit "+article+"CPU real-time runtime in microseconds")
	f.StringVar(&l.cpusetCpus, "cpuset-cpus", "", "CPUs in which to allow execution (0-3, 0,1)")
	f.StringVar(&l.cpusetMems, "cpuset-mems", "", "MEMs in which to allow execution (0-3, 0,1)")
	f.Int64VarP(&l.shares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	f.Var(&l.cpus, "cpus", "Number of CPUs")
	f.VarP(&l.memory, "memory", "m", "Memory limit")
	f.Var(&l.memoryReservation, "memory-reservation", "Memory soft limit")
	f.Int64Var(&l.pids, "pids-limit", 0, "Tune container pids limit (set -1 for unlimited)")
	unlimited := "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"
	if article != "" {
		unlimited = "Swap limit equal to memory plus swap: -1 to enable unlimited swap"
	}
	f.Var(&l.memorySwap, "memory-swap", unlimited)
	f.Var(&l.kernelMemory, "kernel-memory", "Kernel memory limit")
	_ = f.MarkHidden("kernel-memory")
}

func (l *limitFlags) apply(r *container.Resources) {
	r.BlkioWeight, r.CpusetCpus, r.CpusetMems = l.blkioWeight, l.cpusetCpus, l.cpusetMems
	r.CPURealtimePeriod, r.CPURealtimeRuntime = l.cpuRealtimePeriod, l.cpuRealtimeRuntime
	r.CPUPeriod, r.CPUQuota, r.CPUShares, r.NanoCPUs = l.cpuPeriod, l.cpuQuota, l.shares, l.cpus.Value()
	r.Memory, r.MemoryReservation, r.MemorySwap = l.memory.Value(), l.memoryReservation.Value(), l.memorySwap.Value()
	if l.pids != 0 {
		r.PidsLimit = &l.pids
	}
}

// resourceFlags are the limits of run and create.
type resourceFlags struct {
	limitFlags
	weightDevice                           opts.WeightdeviceOpt
	readBps, writeBps, readIOps, writeIOps opts.ThrottledeviceOpt
	swappiness                             int64
	oomKillDisable                         bool
	oomScoreAdj                            int
	cgroupParent                           string
	cgroup                                 cgroupFiles
	cpuCount, cpuPercent                   int64
	ioMaxBandwidth                         opts.MemBytes
	ioMaxIOps                              uint64
	gpus                                   opts.GpuOpts
}

func (r *resourceFlags) define(f *pflag.FlagSet) {
	r.limitFlags.define(f, "")
	own(f, "kernel-memory", "Kernel memory limit")
	r.weightDevice = opts.NewWeightdeviceOpt(opts.ValidateWeightDevice)
	r.readBps, r.writeBps = opts.NewThrottledeviceOpt(opts.ValidateThrottleBpsDevice), opts.NewThrottledeviceOpt(opts.ValidateThrottleBpsDevice)
	r.readIOps, r.writeIOps = opts.NewThrottledeviceOpt(opts.ValidateThrottleIOpsDevice), opts.NewThrottledeviceOpt(opts.ValidateThrottleIOpsDevice)
	f.Var(&r.weightDevice, "blkio-weight-device", "Block IO weight (relative device weight)")
	f.Var(&r.readBps, "device-read-bps", "Limit read rate (bytes per second) from a device")
	f.Var(&r.readIOps, "device-read-iops", "Limit read rate (IO per second) from a device")
	f.Var(&r.writeBps, "device-write-bps", "Limit write rate (bytes per second) to a device")
	f.Var(&r.writeIOps, "device-write-iops", "Limit write rate (IO per second) to a device")
	f.Int64Var(&r.swappiness, "memory-swappiness", -1, "Tune container memory swappiness (0 to 100)")
	f.BoolVar(&r.oomKillDisable, "oom-kill-disable", false, "Disable OOM Killer")
	f.IntVar(&r.oomScoreAdj, "oom-score-adj", 0, "Tune host's OOM preferences (-1000 to 1000)")
	f.StringVar(&r.cgroupParent, "cgroup-parent", "", "Optional parent cgroup for the container")
	f.Var(&r.cgroup, "cgroup", `Write to a cgroup v2 file of the container's group, such as memory.high=64M; may be repeated`)
	own(f, "cgroup")
	f.Var(&r.gpus, "gpus", "GPU devices to add to the container ('all' to pass all GPUs)")
	f.Int64Var(&r.cpuCount, "cpu-count", 0, "CPU count (Windows only)")
	f.Int64Var(&r.cpuPercent, "cpu-percent", 0, "CPU percent (Windows only)")
	f.Var(&r.ioMaxBandwidth, "io-maxbandwidth", "Maximum IO bandwidth limit for the system drive (Windows only)")
	f.Uint64Var(&r.ioMaxIOps, "io-maxiops", 0, "Maximum IOps limit for the system drive (Windows only)")
	for _, windows := range windowsFlags {
		_ = f.MarkHidden(windows)
	}
}

func (r *resourceFlags) apply(o *engine.Options) error {
	h := o.HostConfig
	if r.swappiness < -1 || r.swappiness > 100 {
		return fmt.Errorf("invalid value: %d. Valid memory swappiness range is 0-100", r.swappiness)
	}
	r.limitFlags.apply(&h.Resources)
	h.BlkioWeightDevice = r.weightDevice.GetList()
	h.BlkioDeviceReadBps, h.BlkioDeviceWriteBps = r.readBps.GetList(), r.writeBps.GetList()
	h.BlkioDeviceReadIOps, h.BlkioDeviceWriteIOps = r.readIOps.GetList(), r.writeIOps.GetList()
	o.Cgroup = r.cgroup
	h.OomScoreAdj, h.CgroupParent = r.oomScoreAdj, r.cgroupParent
	h.DeviceRequests = append(h.DeviceRequests, r.gpus.Value()...)
	return nil
}

// windowsFlags are those that Docker's client refuses for a Linux engine.
var windowsFlags = []string{"cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"}

// cgroupFiles is --cgroup FILE=VALUE, repeatable. What is said of one file several times is written to it in that order, since some files
// take a line for each device (io.max, cgroup-v2.rst).
type cgroupFiles map[string]string

func (c *cgroupFiles) Set(v string) error {
	file, value, ok := strings.Cut(v, "=")
	if !ok || file == "" {
		return errors.New("not FILE=VALUE, such as memory.high=64M")
	}
	if *c == nil {
		*c = cgroupFiles{}
	}
	if before, said := (*c)[file]; said {
		value = before + "\n" + value
	}
	(*c)[file] = value
	return nil
}

func (c *cgroupFiles) String() string { return "" }
func (c *cgroupFiles) Type() string   { return "file=value" }
