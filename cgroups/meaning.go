package cgroups

// meaning is what a file of a group does, where config.json names the file itself: cgroup-v2.rst.
func meaning(file string) string {
	switch file {
	case "memory.high":
		return "above this much memory the kernel reclaims and slows the group down, but kills nobody"
	case "memory.max":
		return "above this much memory the kernel reclaims, then kills in this group"
	case "memory.min":
		return "memory below this is never reclaimed"
	case "memory.low":
		return "memory below this is reclaimed only when nothing else is left"
	case "memory.swap.max":
		return "this much of the group's memory may be in swap"
	case "memory.swap.high":
		return "with more than this in swap the group is slowed down"
	case "memory.oom.group":
		return "1: when the kernel kills for want of memory, it kills the whole group at once"
	case "cpu.weight":
		return "share of busy CPUs against other groups: 1..10000, where nothing is said 100"
	case "cpu.idle":
		return "1: this group runs only where nobody else wants to (SCHED_IDLE)"
	case "cpu.max":
		return "at most this many microseconds of CPU in every period of that many"
	case "pids.max":
		return "with this many processes and threads, fork fails with EAGAIN"
	case "io.max":
		return "at most this many bytes or operations per second, from or to this block device"
	case "cgroup.max.descendants", "cgroup.max.depth":
		return "how many groups can be made below this one, or how deep"
	}
	return "written as it was asked for: cgroup-v2.rst says what it does"
}
