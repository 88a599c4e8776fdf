package fields

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"glassbox/linux"
	"glassbox/seccomp"
	"glassbox/test/need"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestSeccomp(t *testing.T) {
	need.SecondKernel(t)
	check(t, seccompRows)
	if runtime.GOARCH == "amd64" {
		check(t, otherWaysIn)
	}
}

// A filter as long as the kernel takes answers calls of all three ways in, the last of its rules too; the next longer one is refused.
func TestLongestSeccomp(t *testing.T) {
	need.SecondKernel(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("x32 and 32-bit calls are amd64's")
	}
	n := 1
	for ; ; n++ {
		if _, _, err := seccomp.Compile(long(n), linux.Native()); err != nil {
			break
		}
	}
	n--
	calls := fmt.Sprintf("read,%d,0,0 read,%d,0,0", first+n-1, first+n)
	both := func(way string) string { return way + strings.ReplaceAll(calls, " ", " "+way) }
	check(t, []row{
		{name: "longest", needs: []feature{i386}, edit: filtered(long(n)), inside: "probe call " + both("") + " " + both("i386:"),
			prints: "read ENODATA\nread EBADF\ni386:read ENODATA\ni386:read EBADF"},
		{name: "longest by x32", edit: filtered(long(n)), inside: fmt.Sprintf("probe call x32:read,%d,0,0", first+n-1), prints: "x32:read ENODATA"},
		{name: "longest in an exec", edit: filtered(long(n)), exec: func(*specs.Process) {}, inside: "probe call " + calls, prints: "read ENODATA\nread EBADF"},
		{name: "too long", edit: filtered(long(n + 1)), refused: "instructions, of which the kernel takes 4096 at most"},
	})
}

// long forbids reading of n descriptors, from the first on, by one rule each.
func long(n int) *specs.LinuxSeccomp {
	rule := errno(uint(unix.ENODATA), "read")
	for i := range n {
		rule.Args = append(rule.Args, specs.LinuxSeccompArg{Value: uint64(first + i), Op: specs.OpEqualTo})
	}
	s := profile(rule)
	s.Architectures = append(s.Architectures, specs.ArchX86, specs.ArchX32)
	return s
}

// first is a descriptor that nobody has.
const first = 5000

// profile allows all but what the rules say.
func profile(rules ...specs.LinuxSyscall) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.Arch(linux.Native().Name)}, Syscalls: rules}
}

func rule(action specs.LinuxSeccompAction, names ...string) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: names, Action: action}
}

func errno(number uint, names ...string) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: names, Action: specs.ActErrno, ErrnoRet: &number}
}

func filtered(f *specs.LinuxSeccomp) func(*specs.Spec) {
	return func(s *specs.Spec) { s.Linux.Seccomp = f }
}

func with(f *specs.LinuxSeccomp, edit func(*specs.LinuxSeccomp)) func(*specs.Spec) {
	edit(f)
	return filtered(f)
}

func flags(names ...specs.LinuxSeccompFlag) func(*specs.Spec) {
	return with(profile(errno(uint(unix.ENODATA), "getppid")), func(s *specs.LinuxSeccomp) { s.Flags = names })
}

// killed is the exit code of a container that SIGSYS ended.
const killed = 128 + int(unix.SIGSYS)

var seccompRows = []row{
	{name: "unset", here: true, inside: "probe status Seccomp Seccomp_filters", prints: "Seccomp: 0\nSeccomp_filters: 0"},
	{name: "in force", here: true, edit: filtered(profile()), inside: "probe status Seccomp Seccomp_filters", prints: "Seccomp: 2\nSeccomp_filters: 1"},
	{name: "in force in an exec", edit: filtered(profile(errno(uint(unix.ENODATA), "getppid"))), exec: func(*specs.Process) {}, inside: "probe status Seccomp + call getppid", prints: "Seccomp: 2\ngetppid ENODATA"},
	{name: "with noNewPrivileges", edit: func(s *specs.Spec) {
		s.Linux.Seccomp, s.Process.NoNewPrivileges = profile(errno(uint(unix.ENODATA), "getppid")), true
	}, inside: "probe status NoNewPrivs + call getppid getpid", prints: "NoNewPrivs: 1\ngetppid ENODATA\ngetpid ok"},
	{name: "leaves no capability behind", here: true, edit: filtered(profile()), inside: "probe status CapEff CapPrm", prints: "CapEff: 00000000a80425fb\nCapPrm: 00000000a80425fb"},

	{name: "SCMP_ACT_ERRNO", here: true, edit: filtered(profile(rule(specs.ActErrno, "getppid"))), inside: "probe call getppid", prints: "getppid EPERM"},
	{name: "SCMP_ACT_ERRNO with errnoRet", edit: filtered(profile(errno(uint(unix.ENODATA), "getppid"))), inside: "probe call getppid", prints: "getppid ENODATA"},
	{name: "SCMP_ACT_KILL", here: true, edit: filtered(profile(rule(specs.ActKill, "uname"))), inside: "uname", code: killed},
	{name: "SCMP_ACT_KILL_THREAD", here: true, edit: filtered(profile(rule(specs.ActKillThread, "uname"))), inside: "uname", code: killed},
	{name: "SCMP_ACT_KILL_PROCESS", edit: filtered(profile(rule(specs.ActKillProcess, "uname"))), inside: "uname", code: killed},
	{name: "SCMP_ACT_TRAP", edit: filtered(profile(rule(specs.ActTrap, "uname"))), inside: "uname", code: killed},
	{name: "SCMP_ACT_TRACE, and nobody traces", edit: filtered(profile(rule(specs.ActTrace, "getppid"))), inside: "probe call getppid", prints: "getppid ENOSYS"},
	{name: "SCMP_ACT_LOG", edit: filtered(profile(rule(specs.ActLog, "getppid"))), inside: "probe call getppid", prints: "getppid ok"},
	{name: "SCMP_ACT_ALLOW", here: true, edit: filtered(profile(rule(specs.ActAllow, "getppid"))), inside: "probe call getppid", prints: "getppid ok"},
	{name: "defaultAction", here: true, edit: with(profile(), func(s *specs.LinuxSeccomp) { s.DefaultAction = specs.ActLog }), inside: "probe call getppid", prints: "getppid ok"},
	{name: "args", inside: "probe call read,999,0,0 read,998,0,0", prints: "read ENODATA\nread EBADF",
		edit: filtered(profile(specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActErrno, ErrnoRet: new(uint(unix.ENODATA)),
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: 999, Op: specs.OpEqualTo}}}))},

	{name: "flags LOG", edit: flags(specs.LinuxSeccompFlagLog), inside: "probe call getppid", prints: "getppid ENODATA"},
	{name: "flags SPEC_ALLOW", edit: flags(specs.LinuxSeccompFlagSpecAllow), inside: "probe call getppid", prints: "getppid ENODATA"},
	{name: "flags TSYNC", here: true, edit: flags("SECCOMP_FILTER_FLAG_TSYNC"), inside: "probe call getppid", prints: "getppid ENODATA"},
	{name: "flags WAIT_KILLABLE_RECV", edit: flags(specs.LinuxSeccompFlagWaitKillableRecv), refused: "linux.seccomp.flags[0]: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV is for SCMP_ACT_NOTIFY"},
	{name: "flags unknown", edit: flags("SECCOMP_FILTER_FLAG_NEW_LISTENER"), refused: `linux.seccomp.flags[0]: unknown flag "SECCOMP_FILTER_FLAG_NEW_LISTENER"`},

	{name: "unknown action", edit: filtered(profile(rule("SCMP_ACT_FUN", "read"))), refused: `linux.seccomp.syscalls[0].action: unknown action "SCMP_ACT_FUN"`},
	{name: "no action", edit: with(profile(), func(s *specs.LinuxSeccomp) { s.DefaultAction = "" }), refused: `linux.seccomp.defaultAction: unknown action ""`},
	{name: "no name", edit: filtered(profile(rule(specs.ActErrno))), refused: "linux.seccomp.syscalls[0].names: empty"},
	{name: "unknown name", here: true, edit: filtered(profile(rule(specs.ActErrno, "no_such_call", "getppid"))), inside: "probe call getppid", prints: "getppid EPERM"},
	{name: "unknown architecture", edit: with(profile(), func(s *specs.LinuxSeccomp) { s.Architectures = []specs.Arch{"SCMP_ARCH_PDP11"} }),
		refused: `linux.seccomp.architectures[0]: unknown architecture "SCMP_ARCH_PDP11"`},
	{name: "errnoRet of an action that has none", edit: filtered(profile(specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActKill, ErrnoRet: new(uint(1))})),
		refused: "linux.seccomp.syscalls[0].action: errnoRet has no meaning for SCMP_ACT_KILL"},
	{name: "defaultErrnoRet of an action that has none", edit: with(profile(), func(s *specs.LinuxSeccomp) { s.DefaultErrnoRet = new(uint(1)) }),
		refused: "linux.seccomp.defaultAction: errnoRet has no meaning for SCMP_ACT_ALLOW"},
	{name: "SCMP_ACT_NOTIFY as default", edit: with(profile(), func(s *specs.LinuxSeccomp) { s.DefaultAction = specs.ActNotify }), refused: "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY"},
	{name: "SCMP_ACT_NOTIFY of write", edit: filtered(profile(rule(specs.ActNotify, "read", "write"))), refused: "linux.seccomp.syscalls[0]: SCMP_ACT_NOTIFY cannot be used for the write syscall"},
	{name: "SCMP_ACT_NOTIFY without listenerPath", edit: filtered(profile(rule(specs.ActNotify, "getppid"))), refused: "linux.seccomp.listenerPath: missing"},
	{name: "listenerPath without SCMP_ACT_NOTIFY", here: true, edit: with(profile(), func(s *specs.LinuxSeccomp) { s.ListenerPath = "/nobody" }), inside: "probe call getppid", prints: "getppid ok"},
	{name: "listenerPath where nobody listens", edit: with(profile(rule(specs.ActNotify, "getppid")), func(s *specs.LinuxSeccomp) { s.ListenerPath = "/nobody" }), refused: "linux.seccomp.listenerPath"},
	{name: "listenerMetadata without listenerPath", edit: with(profile(), func(s *specs.LinuxSeccomp) { s.ListenerMetadata = "x" }), refused: "linux.seccomp.listenerMetadata: set without listenerPath"},
}

// otherWaysIn are x32's and 32-bit x86's: other numbers for the same calls.
var otherWaysIn = []row{
	{name: "i386 where the profile has none", here: true, edit: filtered(profile()), inside: "probe call i386:getppid", code: killed},
	{name: "i386", edit: with(profile(errno(uint(unix.ENODATA), "getppid")), func(s *specs.LinuxSeccomp) {
		s.Architectures = append(s.Architectures, specs.ArchX86)
	}), needs: []feature{i386}, inside: "probe call i386:getppid i386:getpid getppid", prints: "i386:getppid ENODATA\ni386:getpid ok\ngetppid ENODATA"},
	{name: "i386 by socketcall", edit: with(profile(errno(uint(unix.ENODATA), "socket")), func(s *specs.LinuxSeccomp) {
		s.Architectures = append(s.Architectures, specs.ArchX86)
	}), needs: []feature{i386}, inside: "probe call i386:socketcall,1,0 i386:socketcall,2,0 i386:socket,1,1,0", prints: "i386:socketcall ENODATA\ni386:socketcall EFAULT\ni386:socket ENODATA"},
	{name: "x32 where the profile has none", here: true, edit: filtered(profile()), inside: "probe call x32:getppid", code: killed},
	{name: "x32", edit: with(profile(errno(uint(unix.ENODATA), "getppid")), func(s *specs.LinuxSeccomp) {
		s.Architectures = append(s.Architectures, specs.ArchX32)
	}), inside: "probe call x32:getppid getppid", prints: "x32:getppid ENODATA\ngetppid ENODATA"},
}
