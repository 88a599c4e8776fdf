package fields

import (
	"os/exec"
	"strings"
	"testing"

	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestProcess(t *testing.T) {
	need.SecondKernel(t)
	check(t, processRows)
}

// A container has a session keyring of its own, unless --no-new-keyring says otherwise.
func TestKeyring(t *testing.T) {
	need.SecondKernel(t)
	t.Parallel()
	b := newBox(t)
	ours := exec.Command(b.Root("bin/probe"), "keyring")
	out, err := ours.Output()
	if err != nil {
		t.Skipf("needs a kernel with keyrings: %v", err)
	}
	b.Spec.Process.Args = words("probe keyring")
	b.Write(t)
	keeps := glassrun(t, "run", "--no-new-keyring", "--bundle", b.Dir, b.ID)
	row{prints: strings.TrimSpace(string(out))}.judge(t, keeps)
	if own := glassrun(t, "run", "--bundle", b.Dir, b.ID); own.Code != 0 || own.Out == keeps.Out {
		t.Errorf("without --no-new-keyring: exit code %d, keyring %s, and ours is %s", own.Code, own.Out, keeps.Out)
	}
}

// process edits the process alone.
func process(edit func(*specs.Process)) func(*specs.Spec) {
	return func(s *specs.Spec) { edit(s.Process) }
}

func scheduler(c specs.Scheduler) func(*specs.Spec) {
	return process(func(p *specs.Process) { p.Scheduler = &c })
}

func ioPriority(class specs.IOPriorityClass, priority int) func(*specs.Spec) {
	return process(func(p *specs.Process) { p.IOPriority = &specs.LinuxIOPriority{Class: class, Priority: priority} })
}

func rlimits(l ...specs.POSIXRlimit) func(*specs.Spec) {
	return process(func(p *specs.Process) { p.Rlimits = l })
}

func rights(c specs.LinuxCapabilities, uid uint32) func(*specs.Spec) {
	return process(func(p *specs.Process) { p.Capabilities, p.User.UID, p.User.GID = &c, uid, uid })
}

func memory(p specs.LinuxMemoryPolicy) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.MemoryPolicy = &p }
}

func personality(p specs.LinuxPersonality) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.Personality = &p }
}

func affinity(initial, final string) func(*specs.Process) {
	return func(p *specs.Process) { p.ExecCPUAffinity = &specs.CPUAffinity{Initial: initial, Final: final} }
}

const sets = "probe status CapInh CapPrm CapEff CapBnd CapAmb"

var (
	chown    = []string{"CAP_CHOWN"}
	kill     = []string{"CAP_KILL"}
	nonsense = []string{"CAP_CHOWN", "CAP_NONSENSE"}
)

var processRows = []row{
	{name: "noNewPrivileges", edit: process(func(p *specs.Process) { p.NoNewPrivileges = true }), inside: "probe status NoNewPrivs", prints: "NoNewPrivs: 1"},
	{name: "noNewPrivileges unset", here: true, inside: "probe status NoNewPrivs Seccomp", prints: "NoNewPrivs: 0\nSeccomp: 0"},

	{name: "user", edit: process(func(p *specs.Process) { p.User = specs.User{UID: 1000, GID: 100, AdditionalGids: []uint32{7, 5}} }),
		inside: "probe status Uid Gid Groups", prints: "Uid: 1000 1000 1000 1000\nGid: 100 100 100 100\nGroups: 5 7"},
	{name: "user without additionalGids", here: true, edit: process(func(p *specs.Process) { p.User = specs.User{UID: 1000, GID: 100} }), inside: "probe status Groups", prints: "Groups:"},
	{name: "user.umask", edit: process(func(p *specs.Process) { p.User.Umask = new(uint32(0o77)) }), inside: "probe status Umask", prints: "Umask: 0077"},
	{name: "user.umask unset", here: true, inside: "probe status Umask", prints: "Umask: 0022"},
	{name: "user.username, which is of Windows", here: true, edit: process(func(p *specs.Process) { p.User.Username = "nobody" }), inside: "id -u", prints: "0"},
	{name: "commandLine, which is of Windows", here: true, edit: process(func(p *specs.Process) { p.CommandLine = "false" }), inside: "echo yes", prints: "yes"},

	{name: "what is of other platforms", here: true, edit: func(s *specs.Spec) {
		s.Windows, s.Solaris, s.VM, s.ZOS = &specs.Windows{LayerFolders: []string{"x"}}, &specs.Solaris{Milestone: "x"}, &specs.VM{}, &specs.ZOS{}
		s.FreeBSD = &specs.FreeBSD{}
	}, inside: "echo yes", prints: "yes"},

	{name: "capabilities", edit: rights(specs.LinuxCapabilities{Bounding: append(kill, chown...), Effective: chown, Permitted: append(kill, chown...)}, 0),
		inside: sets, prints: "CapInh: 0000000000000000\nCapPrm: 0000000000000021\nCapEff: 0000000000000021\nCapBnd: 0000000000000021\nCapAmb: 0000000000000000"},
	{name: "capabilities of a user", here: true, edit: rights(specs.LinuxCapabilities{Bounding: chown, Effective: chown, Permitted: chown}, 1000),
		inside: sets, prints: "CapInh: 0000000000000000\nCapPrm: 0000000000000000\nCapEff: 0000000000000000\nCapBnd: 0000000000000001\nCapAmb: 0000000000000000"},
	{name: "capabilities.ambient", edit: rights(specs.LinuxCapabilities{Bounding: chown, Effective: chown, Permitted: chown, Inheritable: chown, Ambient: chown}, 1000),
		inside: sets, prints: "CapInh: 0000000000000001\nCapPrm: 0000000000000001\nCapEff: 0000000000000001\nCapBnd: 0000000000000001\nCapAmb: 0000000000000001"},
	{name: "capabilities.ambient without inheritable", here: true, edit: rights(specs.LinuxCapabilities{Bounding: chown, Effective: chown, Permitted: chown, Ambient: chown}, 1000),
		inside: "probe status CapAmb", prints: "CapAmb: 0000000000000000", warns: "process.capabilities.ambient: ignoring what is not permitted and inheritable: [CAP_CHOWN]"},
	{name: "capabilities.effective without permitted", here: true, edit: rights(specs.LinuxCapabilities{Bounding: chown, Effective: chown}, 0), inside: "true",
		warns: "process.capabilities.effective: ignoring what is not permitted: [CAP_CHOWN]"},
	{name: "capabilities unknown", edit: rights(specs.LinuxCapabilities{Bounding: nonsense, Effective: nonsense, Permitted: nonsense}, 0),
		inside: "probe status CapBnd CapEff", prints: "CapBnd: 0000000000000001\nCapEff: 0000000000000001",
		warns: "process.capabilities: ignoring unknown or unavailable capabilities: [CAP_NONSENSE]"},
	{name: "capabilities missing", here: true, edit: process(func(p *specs.Process) { p.Capabilities = nil }), inside: "probe status CapBnd CapPrm",
		prints: "CapBnd: 0000000000000000\nCapPrm: 0000000000000000"},
	{name: "capabilities in a user namespace", prepare: func(t *testing.T, b *box) { b.mapped(t) },
		edit: rights(specs.LinuxCapabilities{Bounding: chown, Effective: chown, Permitted: chown}, 0), inside: sets,
		prints: "CapInh: 0000000000000000\nCapPrm: 0000000000000001\nCapEff: 0000000000000001\nCapBnd: 0000000000000001\nCapAmb: 0000000000000000"},

	{name: "rlimits", edit: rlimits(specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 77, Hard: 99}, specs.POSIXRlimit{Type: "RLIMIT_CORE", Soft: 0, Hard: 0}),
		inside: "ulimit -n; ulimit -Hn; ulimit -Hc", prints: "77\n99\n0"},
	{name: "rlimits unknown", edit: rlimits(specs.POSIXRlimit{Type: "RLIMIT_FUN"}), refused: `process.rlimits[0]: unknown limit "RLIMIT_FUN"`},
	{name: "rlimits twice", edit: rlimits(specs.POSIXRlimit{Type: "RLIMIT_CORE"}, specs.POSIXRlimit{Type: "RLIMIT_CORE"}), refused: "process.rlimits[1]: RLIMIT_CORE is listed twice"},
	{name: "rlimits soft above hard", edit: rlimits(specs.POSIXRlimit{Type: "RLIMIT_NOFILE", Soft: 2, Hard: 1}), refused: "process.rlimits[0]: RLIMIT_NOFILE: soft limit 2 is above hard limit 1"},

	{name: "oomScoreAdj", edit: process(func(p *specs.Process) { p.OOMScoreAdj = new(321) }), inside: "cat /proc/self/oom_score_adj", prints: "321"},

	{name: "scheduler SCHED_OTHER", edit: scheduler(specs.Scheduler{Policy: specs.SchedOther, Nice: 7}), inside: "probe scheduler",
		check: begins("policy 0 flags 0x0 nice 7 priority 0")},
	{name: "scheduler SCHED_BATCH", here: true, edit: scheduler(specs.Scheduler{Policy: specs.SchedBatch, Nice: -3, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}),
		inside: "probe scheduler", check: begins("policy 3 flags 0x1 nice -3 priority 0")},
	{name: "scheduler SCHED_IDLE", here: true, edit: scheduler(specs.Scheduler{Policy: specs.SchedIdle}), inside: "probe scheduler", check: begins("policy 5 ")},
	{name: "scheduler SCHED_FIFO", needs: []feature{realtime}, edit: scheduler(specs.Scheduler{Policy: specs.SchedFIFO, Priority: 3}), inside: "probe scheduler",
		check: begins("policy 1 flags 0x0 nice 0 priority 3")},
	{name: "scheduler SCHED_RR", here: true, needs: []feature{realtime}, edit: scheduler(specs.Scheduler{Policy: specs.SchedRR, Priority: 9}), inside: "probe scheduler",
		check: begins("policy 2 flags 0x0 nice 0 priority 9")},
	{name: "scheduler SCHED_DEADLINE", needs: []feature{deadline}, inside: "cut -d' ' -f41 /proc/self/stat",
		edit:   scheduler(specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 2e6, Deadline: 20e6, Period: 100e6, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}),
		prints: "6"}, // proc_pid_stat(5): policy
	{name: "scheduler of an exec", edit: scheduler(specs.Scheduler{Policy: specs.SchedOther, Nice: 7}), exec: func(*specs.Process) {}, inside: "probe scheduler",
		check: begins("policy 0 flags 0x0 nice 7")},
	{name: "scheduler of an exec's own", here: true, edit: scheduler(specs.Scheduler{Policy: specs.SchedOther, Nice: 7}), inside: "probe scheduler",
		exec: func(p *specs.Process) { p.Scheduler = &specs.Scheduler{Policy: specs.SchedIdle} }, check: begins("policy 5 ")},
	{name: "scheduler missing policy", edit: scheduler(specs.Scheduler{Nice: 1}), refused: "process.scheduler.policy: missing"},
	{name: "scheduler unknown policy", edit: scheduler(specs.Scheduler{Policy: "SCHED_FUN"}), refused: `process.scheduler.policy: unknown policy "SCHED_FUN"`},
	{name: "scheduler unknown flag", edit: scheduler(specs.Scheduler{Policy: specs.SchedOther, Flags: []specs.LinuxSchedulerFlag{"FUN"}}), refused: `process.scheduler.flags[0]: unknown flag "FUN"`},
	{name: "scheduler nice", edit: scheduler(specs.Scheduler{Policy: specs.SchedOther, Nice: 20}), refused: "process.scheduler.nice: 20 is not between -20 and 19"},
	{name: "scheduler priority", edit: scheduler(specs.Scheduler{Policy: specs.SchedOther, Priority: 1}), refused: "process.scheduler.priority: SCHED_OTHER has none"},
	{name: "scheduler runtime", edit: scheduler(specs.Scheduler{Policy: specs.SchedFIFO, Runtime: 1}), refused: "process.scheduler: runtime, deadline and period are for SCHED_DEADLINE"},
	{name: "scheduler the kernel does not know", here: true, edit: scheduler(specs.Scheduler{Policy: specs.SchedISO}), refused: "asked for by process.scheduler"},

	{name: "ioPriority best-effort", edit: ioPriority(specs.IOPRIO_CLASS_BE, 6), inside: "probe ioprio", prints: "best-effort 6"},
	{name: "ioPriority idle", here: true, edit: ioPriority(specs.IOPRIO_CLASS_IDLE, 0), inside: "probe ioprio", prints: "idle 0"},
	{name: "ioPriority realtime", here: true, edit: ioPriority(specs.IOPRIO_CLASS_RT, 1), inside: "probe ioprio", prints: "realtime 1"},
	{name: "ioPriority of an exec", here: true, edit: ioPriority(specs.IOPRIO_CLASS_BE, 5), exec: func(*specs.Process) {}, inside: "probe ioprio", prints: "best-effort 5"},
	{name: "ioPriority class", edit: ioPriority("IOPRIO_CLASS_FUN", 1), refused: `process.ioPriority.class: unknown class "IOPRIO_CLASS_FUN"`},
	{name: "ioPriority priority", edit: ioPriority(specs.IOPRIO_CLASS_BE, 8), refused: "process.ioPriority.priority: 8 is not between 0 and 7"},

	{name: "execCPUAffinity says nothing of the first process", here: true, edit: process(affinity("0", "0")), inside: "cat /sys/devices/system/cpu/online; probe affinity", check: lastLinesEqual},
	{name: "execCPUAffinity.final", needs: []feature{cpus(2)}, exec: affinity("", "1"), inside: "probe affinity", prints: "1"},
	{name: "execCPUAffinity.initial", needs: []feature{cpus(2), elsewhere("cpuset")}, exec: affinity("1", ""), inside: "probe affinity", prints: "1"},
	{name: "execCPUAffinity of the container", here: true, needs: []feature{cpus(2)}, edit: process(affinity("0-1", "1")), exec: func(*specs.Process) {}, inside: "probe affinity", prints: "1"},
	{name: "execCPUAffinity wrong", exec: affinity("", "1-0"), inside: "true", refused: `process.execCPUAffinity.final: "1-0" is no list such as 0-3,7`},
	{name: "execCPUAffinity.initial wrong", edit: process(affinity("x", "")), refused: `process.execCPUAffinity.initial: "x" is no list such as 0-3,7`},

	{name: "memoryPolicy", needs: []feature{numa}, edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}), inside: "probe mempolicy", prints: "mode 2 flags 0x0 nodes 0x1"},
	{name: "memoryPolicy flags", here: true, needs: []feature{numa}, inside: "probe mempolicy", prints: "mode 3 flags 0x8000 nodes 0x1",
		edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}})},
	{name: "memoryPolicy without nodes", here: true, needs: []feature{numa}, edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolLocal}), inside: "probe mempolicy", check: begins("mode 4 ")},
	{name: "memoryPolicy of an exec", here: true, needs: []feature{numa}, edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}), exec: func(*specs.Process) {},
		inside: "probe mempolicy", prints: "mode 2 flags 0x0 nodes 0x1"},
	{name: "memoryPolicy mode", edit: memory(specs.LinuxMemoryPolicy{Mode: "MPOL_FUN"}), refused: `linux.memoryPolicy.mode: unknown mode "MPOL_FUN"`},
	{name: "memoryPolicy needs nodes", edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolBind}), refused: "linux.memoryPolicy.nodes: MPOL_BIND needs at least one node"},
	{name: "memoryPolicy takes no nodes", edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolLocal, Nodes: "0"}), refused: "linux.memoryPolicy.nodes: MPOL_LOCAL takes no nodes"},
	{name: "memoryPolicy nodes", edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0,"}), refused: `linux.memoryPolicy.nodes: "0," is no list such as 0-3,7`},
	{name: "memoryPolicy flag", edit: memory(specs.LinuxMemoryPolicy{Mode: specs.MpolDefault, Flags: []specs.MemoryPolicyFlagType{"FUN"}}), refused: `linux.memoryPolicy.flags[0]: unknown flag "FUN"`},

	{name: "personality LINUX32", edit: personality(specs.LinuxPersonality{Domain: specs.PerLinux32}), inside: "probe personality", prints: "0x8"},
	{name: "personality LINUX", here: true, edit: personality(specs.LinuxPersonality{Domain: specs.PerLinux}), inside: "probe personality", prints: "0x0"},
	{name: "personality of an exec", here: true, edit: personality(specs.LinuxPersonality{Domain: specs.PerLinux32}), exec: func(*specs.Process) {}, inside: "probe personality", prints: "0x8"},
	{name: "personality domain", edit: personality(specs.LinuxPersonality{Domain: "SOLARIS"}), refused: `linux.personality.domain: unknown domain "SOLARIS"`},
	{name: "personality flags", edit: personality(specs.LinuxPersonality{Domain: specs.PerLinux, Flags: []specs.LinuxPersonalityFlag{"FUN"}}), refused: `linux.personality.flags[0]: unknown flag "FUN"`},

	{name: "apparmorProfile without AppArmor", needs: []feature{without("AppArmor", "/sys/module/apparmor/parameters/enabled")},
		edit: process(func(p *specs.Process) { p.ApparmorProfile = "x" }), refused: "process.apparmorProfile: x: apparmor: config provided but apparmor not supported"},
	{name: "selinuxLabel without SELinux", needs: []feature{without("SELinux", "/sys/fs/selinux/enforce")},
		edit:    process(func(p *specs.Process) { p.SelinuxLabel = "a:b:c" }),
		refused: "process.selinuxLabel: selinux label is specified in config, but selinux is disabled or not supported"},
}
