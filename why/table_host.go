package why

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hostErrors are about what belongs to the whole machine.
var hostErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"sethostname", "hostname", "setdomainname"}, Manual: "uts_namespaces(7)",
		Causes: []Cause{
			noAdmin,
			{
				Name: "UTS namespace of another user namespace", Why: "the host name belongs to the UTS namespace, and the right to change it to the user namespace that owns that", Check: "readlink /proc/self/ns/user /proc/self/ns/uts", Fix: "make both together: unshare --user --map-root-user --uts; a container's name: --hostname", Learn: "uts-namespace",
				test: func(p *probe) verdict { return p.foreign("uts") },
			},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"reboot"}, Manual: "reboot(2), pid_namespaces(7)",
		Causes: []Cause{
			{Name: "no CAP_SYS_BOOT", Why: "the call wants CAP_SYS_BOOT; in a PID namespace of its own it would only end that namespace's init", Check: "grep CapEff /proc/self/status", Fix: "glassbox stop, from outside", Learn: "capabilities-seccomp", test: func(p *probe) verdict { return p.lacks(unix.CAP_SYS_BOOT) }},
			{Name: "PID namespace of another user namespace", Why: "the right counts in the user namespace that owns the PID namespace", Check: "readlink /proc/self/ns/user /proc/self/ns/pid", Fix: "glassbox stop, from outside", Learn: "pid-namespace", test: func(p *probe) verdict { return p.foreign("pid") }},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"settimeofday", "clock_settime", "adjtimex", "date"}, Manual: "capabilities(7), time_namespaces(7)",
		Causes: []Cause{
			{Name: "no CAP_SYS_TIME", Why: "the wall clock is the whole machine's: time namespaces have the monotonic and the boot-time clock only", Check: "grep CapEff /proc/self/status", Fix: "set it on the host", Learn: "time-namespace", test: func(p *probe) verdict { return p.lacks(unix.CAP_SYS_TIME) }},
			{Name: "user namespace", Why: "CAP_SYS_TIME counts in the first user namespace alone", Check: "readlink /proc/self/ns/user", Fix: "set it on the host", Learn: "time-namespace", test: userNamespace},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"syslog", "dmesg"}, Manual: "syslog(2)",
		Causes: []Cause{
			{Name: "no CAP_SYSLOG", Why: "with kernel.dmesg_restrict at 1 the kernel's log is for CAP_SYSLOG; it tells of the host", Check: "sysctl kernel.dmesg_restrict; grep CapEff /proc/self/status", Fix: "read it on the host", Learn: "capabilities-seccomp", test: restrictedLog},
			{Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp", test: func(p *probe) verdict {
				return p.filtered(unix.EPERM, func() error {
					_, _, errno := unix.Syscall(unix.SYS_SYSLOG, 99, 0, 0)
					return errno
				})
			}},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"ptrace", "strace", "gdb"}, Objects: "[PID]", Manual: "ptrace(2)",
		Causes: []Cause{
			{Name: "Yama", Why: "kernel.yama.ptrace_scope 1 lets one trace what one has started oneself, 2 wants CAP_SYS_PTRACE, 3 forbids it to everybody until the next boot", Check: "sysctl kernel.yama.ptrace_scope", Fix: "start the program under it: strace PROGRAM; or sudo strace -p PID", Learn: "capabilities-seccomp", test: yama},
			{Name: "no CAP_SYS_PTRACE", Why: "who traces another user's process, or one with more capabilities, needs CAP_SYS_PTRACE in its user namespace", Check: "grep CapEff /proc/self/status", Fix: "--cap-add SYS_PTRACE", Learn: "capabilities-seccomp", test: tracesAnother},
			{Name: "traced already", Why: "a process has one tracer", Check: "grep TracerPid /proc/PID/status", Fix: "end the other one", Learn: "capabilities-seccomp", test: traced},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"kill"}, Objects: "[PID]", Manual: "kill(2)",
		Causes: []Cause{
			{Name: "another user's process", Why: "without CAP_KILL one signals processes whose real or saved user is one's own", Check: "ps -o pid,user,comm -p PID; id", Fix: "sudo; in a container without --cap-drop KILL", Learn: "capabilities-seccomp", test: othersProcess},
		},
	},
	{
		Errno: unix.ENOSYS, Calls: []string{"clone3", "any", "syscall"}, Manual: "seccomp(2)",
		Causes: []Cause{
			{Name: "seccomp filter", Why: "a filter may answer ENOSYS, so that libraries take an older call: Docker's does so for clone3, whose flags it could not look at", Check: seccompCheck, Fix: "none is needed: the C library falls back to clone", Learn: "capabilities-seccomp", test: func(p *probe) verdict {
				return p.filtered(unix.ENOSYS, func() error {
					_, _, errno := unix.Syscall(unix.SYS_CLONE3, 0, 0, 0)
					return errno
				})
			}},
			{Name: "older kernel", Why: "the kernel does not have the call: a program for a newer one", Check: "uname -r; strace -f ...", Fix: "a newer kernel, or an older program", Learn: "capabilities-seccomp"},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"keyctl", "add_key", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "init_module", "swapon", "setrlimit"}, Manual: "capabilities(7), seccomp(2)",
		Causes: []Cause{
			{Name: "no capability for it", Why: "bpf wants CAP_BPF, perf_event_open CAP_PERFMON, init_module CAP_SYS_MODULE, swapon and keyctl of others' keys CAP_SYS_ADMIN, setrlimit above the hard limit CAP_SYS_RESOURCE", Check: "grep CapEff /proc/self/status; capsh --decode=HEX", Fix: "sudo; in a container: --cap-add NAME, and --ulimit for limits", Learn: "capabilities-seccomp", test: lacksItsCapability},
			{Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp", test: func(p *probe) verdict { return p.filtered(unix.EPERM, nil) }},
			{Name: "setting of the kernel", Why: "kernel.unprivileged_bpf_disabled, kernel.perf_event_paranoid, vm.unprivileged_userfaultfd and kernel.io_uring_disabled keep these calls for root", Check: "sysctl kernel.unprivileged_bpf_disabled kernel.perf_event_paranoid vm.unprivileged_userfaultfd kernel.io_uring_disabled", Fix: "as root of the host", Learn: "capabilities-seccomp", test: unprivileged},
		},
	},
}

func restrictedLog(p *probe) verdict {
	value, _ := sysctl("kernel.dmesg_restrict")
	lacks := p.lacks(unix.CAP_SYSLOG)
	if lacks.holds == Yes && p.lacks(capSysAdmin).holds == No {
		lacks.holds = No // which does as well
	}
	return verdict{when(value == "1" && lacks.holds == Yes, "").holds, append([]string{"kernel.dmesg_restrict = " + orElse(value, "not to be read")}, lacks.evidence...)}
}

func yama(p *probe) verdict {
	value, known := sysctl("kernel.yama.ptrace_scope")
	if !known {
		return no("there is no kernel.yama.ptrace_scope")
	}
	line := "kernel.yama.ptrace_scope = " + value
	lacks := p.lacks(unix.CAP_SYS_PTRACE)
	switch {
	case value == "3":
		return yes("%s", line)
	case value == "0", lacks.holds != Yes:
		return verdict{No, append(lacks.evidence, line)}
	case value == "1" && p.process().descends(p.status("Pid")):
		return no("%s, but process %s is a descendant of ours", line, p.process().pid)
	}
	return verdict{Yes, append(lacks.evidence, line)}
}

// descends says whether a process is among the ancestors.
func (p *probe) descends(ancestor string) bool {
	for q := p; q.pid != "0" && q.pid != ""; q = q.of(q.status("PPid")) {
		if q.pid == ancestor {
			return true
		}
	}
	return false
}

// tracesAnother follows kernel/ptrace.c, __ptrace_may_access: the same user in all its forms, and no capability that the tracer has not.
func tracesAnother(p *probe) verdict {
	lacks := p.lacks(unix.CAP_SYS_PTRACE)
	target := p.process()
	if lacks.holds != Yes || target.self() {
		return lacks
	}
	mine, theirs := strings.Fields(p.status("Uid")), strings.Fields(target.status("Uid"))
	if len(mine) != 4 || len(theirs) != 4 {
		return unknown("%s could not be read", target.proc("status"))
	}
	own, _ := strconv.ParseUint(p.status("CapPrm"), 16, 64)
	its, _ := strconv.ParseUint(target.status("CapPrm"), 16, 64)
	same := theirs[0] == mine[0] && theirs[1] == mine[0] && theirs[2] == mine[0]
	return verdict{when(!same || its&^own != 0, "").holds, append(lacks.evidence,
		fmt.Sprintf("Uid in %s: %s; ours: %s", target.proc("status"), theirs[0], mine[0]), fmt.Sprintf("CapPrm there: %016x; ours: %016x", its, own))}
}

func traced(p *probe) verdict {
	p = p.process()
	if p.self() {
		return unknown("name the process: why EPERM ptrace PID")
	}
	tracer := p.status("TracerPid")
	return when(tracer != "0" && tracer != "", "TracerPid in %s: %s", p.proc("status"), tracer)
}

func othersProcess(p *probe) verdict {
	target := p.process()
	if target.self() {
		return unknown("name the process: why EPERM kill PID")
	}
	lacks := p.lacks(unix.CAP_KILL)
	mine, theirs := p.status("Uid"), target.status("Uid")
	return verdict{when(mine != theirs && lacks.holds == Yes, "").holds, append([]string{"Uid in " + target.proc("status") + ": " + theirs + "; ours: " + mine}, lacks.evidence...)}
}

// guarded are calls with the capability that they want, and the setting that may keep them from who has it not, from a value on.
var guarded = [...]struct {
	call       string
	capability int
	setting    string
	from       int
}{
	{"bpf", unix.CAP_BPF, "kernel.unprivileged_bpf_disabled", 1},
	{"perf_event_open", unix.CAP_PERFMON, "kernel.perf_event_paranoid", 2},
	{"userfaultfd", unix.CAP_SYS_PTRACE, "vm.unprivileged_userfaultfd", -1},
	{"io_uring_setup", unix.CAP_SYS_ADMIN, "kernel.io_uring_disabled", 1},
	{"init_module", unix.CAP_SYS_MODULE, "kernel.modules_disabled", 1},
	{"setrlimit", unix.CAP_SYS_RESOURCE, "", 0},
}

func lacksItsCapability(p *probe) verdict {
	for _, g := range guarded {
		if g.call == p.call {
			return p.lacks(g.capability)
		}
	}
	return lacksAdmin(p)
}

func unprivileged(p *probe) verdict {
	for _, g := range guarded {
		if g.call != p.call || g.setting == "" {
			continue
		}
		value, known := sysctl(g.setting)
		n, err := strconv.Atoi(value)
		if !known || err != nil {
			return no("there is no %s", g.setting)
		}
		refuses := n >= g.from
		if g.from < 0 {
			refuses = n == 0
		}
		line := g.setting + " = " + value
		if v := p.lacks(g.capability); v.holds == No && !(n == 2 && p.call == "io_uring_setup") && p.call != "init_module" {
			return verdict{No, append(v.evidence, line)}
		}
		return when(refuses, "%s", line)
	}
	return no("%s has no setting that keeps it for root", p.call)
}
