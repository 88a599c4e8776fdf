package experiment

import (
	"glassbox/engine"

	"github.com/docker/docker/api/types/container"
)

// limited is the whole container of the experiment limits.
func limited(h *container.HostConfig) {
	pids := int64(50)
	h.Memory, h.MemorySwap, h.PidsLimit = 24<<20, 24<<20, &pids
}

// rights are the experiments about what a container may do and use.
func rights() []Experiment {
	yes := true
	return []Experiment{
		{
			Mechanism: named("limits"), Seen: "a program gets 48 MiB where 24 are allowed", Danger: "what it takes, it takes from the real host: all memory and process ids",
			Probe: []string{"cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max", "dd if=/dev/zero of=/dev/null bs=48M count=1 2>/dev/null; echo ended with $?"},
			whole: setting{flags: "-m 24m --memory-swap 24m --pids-limit 50", apply: host(limited)},
		},
		{
			Mechanism: named("capabilities"), Seen: "root in the container configures what is only root's", Danger: "root in the container may do what root may: set the clock, load modules, write to disks",
			Probe: []string{
				"grep CapEff /proc/self/status", "hostname renamed-inside && echo renamed", "ip link add made-inside type bridge && echo made an interface",
				"nice -n -5 true && echo went before others",
			},
			whole:   setting{flags: unarmouredFlags, apply: host(unarmoured)},
			without: setting{flags: unarmouredFlags + " --cap-add ALL", apply: host(func(h *container.HostConfig) { unarmoured(h); h.CapAdd = append(h.CapAdd, "ALL") })},
		},
		{
			Mechanism: named("seccomp"), Seen: "the container makes a user namespace, in which it has every capability",
			Probe: []string{"grep Seccomp: /proc/self/status", "unshare -r grep CapEff /proc/self/status"},
			without: setting{flags: "--security-opt seccomp=unconfined", apply: host(func(h *container.HostConfig) {
				h.SecurityOpt = append(h.SecurityOpt, "seccomp=unconfined")
			})},
		},
		{
			Mechanism: named("init"), Seen: "an orphan that ends stays a zombie, and a signal to PID 1 is dropped",
			Probe: []string{
				"orphan() { sh -c 'sleep 0.1 &'; sleep 0.7; ps -o pid,ppid,stat,args; }",
				"signal() { kill -TERM 1; sleep 0.2; echo the signal was dropped: still here; }",
				"mkfifo /said; (orphan; signal) >/said & exec cat /said", // the shell would wait for orphans
			},
			whole: setting{flags: "--init", apply: func(_ *stage, o *engine.Options) { o.HostConfig.Init = &yes }},
		},
	}
}
