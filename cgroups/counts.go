package cgroups

// Counts is what a group has counted in its life: what is known of it once it is gone, to who asks before. A number whose controller is not ours
// is 0.
type Counts struct {
	OOMKills     int    // memory.events: oom_kill, and those of the groups below
	MemoryPeak   uint64 // memory.peak, in bytes, which kernels have since Linux 5.19
	MemoryMax    uint64 // memory.max, in bytes; Unlimited
	ForksRefused uint64 // pids.events: max, how often fork(2) was refused
	PidsMax      uint64 // pids.max; Unlimited
}

// Counts reads them.
func (g Group) Counts() Counts {
	var c Counts
	c.OOMKills, _ = g.OOMKills()
	c.MemoryPeak, _ = g.number("memory.peak")
	c.MemoryMax, _ = g.number("memory.max")
	c.ForksRefused = g.table("pids.events")["max"]
	c.PidsMax, _ = g.number("pids.max")
	return c
}
