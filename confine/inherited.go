// Package confine is what is taken away from a container's process: capabilities, privileges to come, limits, and all that it would
// inherit from whoever started it.
package confine

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Inherited is what a child has from its parent although nobody asked for it. The table of everything inherited and the step that
// sets it:
//
//	signals blocked             program.Builder.Begin: rt_sigprocmask
//	signals with handlers        clone3 with CLONE_CLEAR_SIGHAND
//	signals ignored               Reset: rt_sigaction, one step for each that our parent ignored
//	session, terminal              Reset: setsid
//	session keyring                 Reset: keyctl(KEYCTL_JOIN_SESSION_KEYRING)
//	nice value                       Reset: setpriority
//	scheduling policy                 Reset: sched_setscheduler
//	io priority                        Reset: ioprio_set
//	personality                         Reset: personality
//	memory policy                        Reset: set_mempolicy
//	cpu affinity                        Reset: sched_setaffinity
//	oom score adjustment                 OOMScore: write to /proc/self/oom_score_adj
//	resource limits                       Rlimits: prlimit64
//	umask                                  Identity: umask
//	securebits                              Identity: prctl(PR_SET_SECUREBITS), where they are set
//	capabilities, ambient ones included      Identity: capset, prctl
//	parent death signal                       cleared by the kernel at clone, PR_SET_PDEATHSIG(2const)
//	timer slack                                Reset: prctl(PR_SET_TIMERSLACK)
//	working directory, root                     pivot_root, chdir
//	descriptors                                   dup3 and close_range
type Inherited struct {
	Ignored   uint64   // signals ignored, bit n-1 for signal n
	Nice      int      // of this process
	Policy    int      // scheduling policy, sched(7)
	IOPrio    int      // ioprio_get(2)
	Domain    int      // personality(2)
	Memory    int32    // mode of get_mempolicy(2)
	Slack     int      // timer slack in nanoseconds
	Affinity  bool     // bound to fewer CPUs than there are
	OOMAdj    int      // oom_score_adj
	Bounding  uint64   // capabilities that can still be had
	Secure    uint64   // securebits
	Ungrouped bool     // Ungroup has dropped the supplementary groups
	Rlimits   []Rlimit // by number
	CanGroup  bool     // CAP_SETGID: groups can be mapped without denying setgroups(2)
	CanMount  bool     // CAP_SYS_ADMIN: the host can take mounts for the child
	CanRaise  bool     // CAP_SYS_RESOURCE: hard limits can be raised, the oom score lowered
	Keyring   bool     // to be kept: the session keyring of whoever starts a container is the container's (--no-new-keyring)
}

// Rlimit is one resource limit, getrlimit(2).
type Rlimit struct{ Soft, Hard uint64 }

// Observe reads it from this process.
func Observe() (Inherited, error) {
	var in Inherited
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return in, fmt.Errorf("reading what a child would inherit: %w", err)
	}
	in.Ignored = hexField(status, "SigIgn:")
	in.Bounding = hexField(status, "CapBnd:")
	in.CanRaise = hexField(status, "CapEff:")&(1<<unix.CAP_SYS_RESOURCE) != 0
	in.CanGroup = hexField(status, "CapEff:")&(1<<unix.CAP_SETGID) != 0
	in.CanMount = hexField(status, "CapEff:")&(1<<unix.CAP_SYS_ADMIN) != 0
	if b, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil {
		in.OOMAdj, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
	if prio, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		in.Nice = 20 - prio // the raw call returns 20-nice, getpriority(2) NOTES
	}
	in.Policy = call(unix.SYS_SCHED_GETSCHEDULER, 0, 0)
	in.IOPrio = call(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0)
	in.Domain = call(unix.SYS_PERSONALITY, 0xffffffff, 0)
	unix.RawSyscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&in.Memory)), 0, 0, 0, 0, 0) // ENOSYS: a kernel without NUMA has no policy
	in.Secure = uint64(call(unix.SYS_PRCTL, unix.PR_GET_SECUREBITS, 0))
	in.Slack = call(unix.SYS_PRCTL, unix.PR_GET_TIMERSLACK, 0)
	in.Affinity = bound()
	for n := range rlimitCount {
		var l unix.Rlimit
		if err := unix.Prlimit(0, n, nil, &l); err != nil {
			return in, fmt.Errorf("reading resource limit %d: %w", n, err)
		}
		in.Rlimits = append(in.Rlimits, Rlimit{l.Cur, l.Max})
	}
	return in, nil
}

const ioprioWhoProcess = 1 // IOPRIO_WHO_PROCESS

func call(nr, a, b uintptr) int {
	r, _, errno := unix.RawSyscall(nr, a, b, 0)
	if errno != 0 {
		return 0
	}
	return int(r)
}

// bound reports whether this process may run on fewer CPUs than are online.
func bound() bool {
	var set unix.CPUSet
	online, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil || unix.SchedGetaffinity(0, &set) != nil {
		return false
	}
	return set.Count() < countCPUs(strings.TrimSpace(string(online)))
}

// countCPUs counts a list such as 0-3,8.
func countCPUs(list string) int {
	n := 0
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, _ := strconv.Atoi(from)
		b := a
		if isRange {
			b, _ = strconv.Atoi(to)
		}
		n += b - a + 1
	}
	return n
}

func hexField(status []byte, name string) uint64 {
	_, rest, found := strings.Cut(string(status), name)
	if !found {
		return 0
	}
	line, _, _ := strings.Cut(rest, "\n")
	v, _ := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return v
}

// Reset compiles the steps that undo what the parent left.
func (in Inherited) Reset(b *program.Builder) {
	b.From("")
	for n := 1; n <= 64; n++ {
		if in.Ignored&(1<<(n-1)) != 0 && n != int(unix.SIGKILL) && n != int(unix.SIGSTOP) {
			b.Call(unix.SYS_RT_SIGACTION, n, make([]byte, 32), nil, 8).Why("our parent ignored this signal: back to its default")
		}
	}
	b.Call(unix.SYS_SETSID).Why("a session of its own, without a controlling terminal")
	if !in.Keyring {
		b.Call(unix.SYS_KEYCTL, keyctlJoinSessionKeyring, nil, 0, 0, 0).Tolerate(unix.ENOSYS, unix.EPERM, unix.EDQUOT).
			Why("an empty session keyring without a name, by which others could join it: the caller's keys stay outside")
	}
	if in.Nice != 0 {
		b.Call(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, 0).Tolerate(unix.EACCES).Why("our parent was niced: back to 0")
	}
	if in.Policy != 0 {
		b.Call(unix.SYS_SCHED_SETSCHEDULER, 0, 0, make([]byte, 4)).Tolerate(unix.EPERM).Why("our parent had a scheduling policy of its own: back to SCHED_OTHER")
	}
	if in.IOPrio != 0 {
		b.Call(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, 0).Why("our parent had an io priority: back to none")
	}
	if in.Domain != 0 {
		b.Call(unix.SYS_PERSONALITY, 0).Why("our parent had a personality: back to that of Linux")
	}
	if in.Memory != 0 {
		b.Call(unix.SYS_SET_MEMPOLICY, 0, nil, 0).Why("our parent had a memory policy: back to the default")
	}
	if in.Slack != 0 && in.Slack != defaultSlack {
		b.Call(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, defaultSlack, 0, 0, 0).Why("our parent's timers were more or less exact: back to 50 microseconds")
	}
	if in.Affinity {
		every := make([]byte, 128)
		for i := range every {
			every[i] = 0xff
		}
		b.Call(unix.SYS_SCHED_SETAFFINITY, 0, len(every), every).Why("our parent was bound to some CPUs: any may be used, the cgroup decides")
	}
}

// defaultSlack is init's timer slack in nanoseconds (INIT_TASK, init/init_task.c).
const defaultSlack = 50000

const keyctlJoinSessionKeyring = 1

// Ungroup compiles the dropping of the supplementary groups by who is about to join a user namespace, which may forbid that
// (user_namespaces(7), /proc/PID/setgroups).
func (in Inherited) Ungroup(b *program.Builder) {
	drop := b.Call(unix.SYS_SETGROUPS, 0, nil).From("process.user.additionalGids").Why("our own supplementary groups stay here: the user namespace may forbid to drop them")
	if !in.CanGroup {
		drop.Tolerate(unix.EPERM) // we are not allowed to either
	}
}

// OOMScore compiles the write of oom_score_adj. Unlike all else it is inherited where nobody asks (config.md).
func (in Inherited) OOMScore(b *program.Builder, want *int) {
	if want == nil || *want == in.OOMAdj {
		return
	}
	b.From("process.oomScoreAdj")
	b.WriteFile("/proc/self/oom_score_adj", strconv.Itoa(*want), "how readily the kernel kills it when memory runs out")
}
