package oci

import "glassbox/cgroups"

// Stats is what a container has used, with runc's names. What this host does not count is not there.
type Stats struct {
	CPU        CPU                  `json:"cpu"`
	CPUSet     struct{}             `json:"cpuset"` // counters of cgroup v1
	Memory     Memory               `json:"memory"`
	Pids       Pids                 `json:"pids"`
	Blkio      Blkio                `json:"blkio"`
	Hugetlb    map[string]HugePages `json:"hugetlb"`
	IntelRdt   struct{}             `json:"intel_rdt"`
	Interfaces []struct{}           `json:"network_interfaces"`
}

// CPU is processor time, in nanoseconds, and how often a quota has run out.
type CPU struct {
	Usage struct {
		Total  uint64 `json:"total,omitempty"`
		Kernel uint64 `json:"kernel"`
		User   uint64 `json:"user"`
	} `json:"usage"`
	Throttling struct {
		Periods          uint64 `json:"periods,omitempty"`
		ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
		ThrottledTime    uint64 `json:"throttledTime,omitempty"`
	} `json:"throttling"`
}

// Memory is in bytes.
type Memory struct {
	Cache     uint64            `json:"cache,omitempty"`
	Usage     Level             `json:"usage"`
	Swap      Level             `json:"swap"`
	Kernel    Level             `json:"kernel"`
	KernelTCP Level             `json:"kernelTCP"`
	Raw       map[string]uint64 `json:"raw,omitempty"` // memory.stat
}

// Level is how much there is of something, and how much there may be.
type Level struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// Pids counts processes and threads. A limit of 0 is none.
type Pids struct {
	Current uint64 `json:"current,omitempty"`
	Limit   uint64 `json:"limit,omitempty"`
}

// Blkio is the traffic of block devices.
type Blkio struct {
	Bytes      []Traffic `json:"ioServiceBytesRecursive,omitempty"`
	Operations []Traffic `json:"ioServicedRecursive,omitempty"`
}

// Traffic is what was read from, or written to, one device.
type Traffic struct {
	Major uint32 `json:"major,omitempty"`
	Minor uint32 `json:"minor,omitempty"`
	Op    string `json:"op,omitempty"`
	Value uint64 `json:"value,omitempty"`
}

// HugePages is what a container has of one size of pages.
type HugePages struct {
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

// Stats measures the container.
func (c *Container) Stats() (Stats, error) {
	var s Stats
	u, err := c.Cgroup().Stat()
	if err != nil {
		return s, err
	}
	if u.CPU != nil {
		s.CPU.Usage.Total, s.CPU.Usage.Kernel, s.CPU.Usage.User = u.CPU.Usage*1000, u.CPU.System*1000, u.CPU.User*1000
		s.CPU.Throttling.Periods, s.CPU.Throttling.ThrottledPeriods, s.CPU.Throttling.ThrottledTime = u.CPU.Periods, u.CPU.Throttled, u.CPU.ThrottledTime*1000
	}
	if m := u.Memory; m != nil {
		s.Memory = Memory{
			Cache: m.Stat["file"], Raw: m.Stat,
			Usage:  Level{Limit: m.Max, Usage: m.Current},
			Swap:   Level{Limit: m.SwapMax, Usage: m.Swap},
			Kernel: Level{Usage: m.Stat["kernel"]},
		}
	}
	if u.Pids != nil {
		s.Pids.Current = u.Pids.Current
		if u.Pids.Max != cgroups.Unlimited {
			s.Pids.Limit = u.Pids.Max
		}
	}
	s.Hugetlb = map[string]HugePages{}
	for size, h := range c.Cgroup().HugePages() {
		s.Hugetlb[size] = HugePages{Usage: h.Current, Failcnt: h.Failed}
	}
	for _, d := range u.IO {
		s.Blkio.Bytes = append(s.Blkio.Bytes, Traffic{d.Major, d.Minor, "Read", d.ReadBytes}, Traffic{d.Major, d.Minor, "Write", d.WriteBytes})
		s.Blkio.Operations = append(s.Blkio.Operations, Traffic{d.Major, d.Minor, "Read", d.Reads}, Traffic{d.Major, d.Minor, "Write", d.Writes})
	}
	return s, nil
}
