package seccomp

import (
	"slices"

	"glassbox/linux"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// actions are what a filter can answer, seccomp(2).
var actions = map[specs.LinuxSeccompAction]uint32{
	specs.ActAllow:       unix.SECCOMP_RET_ALLOW,
	specs.ActErrno:       unix.SECCOMP_RET_ERRNO,
	specs.ActKill:        unix.SECCOMP_RET_KILL_THREAD,
	specs.ActKillProcess: unix.SECCOMP_RET_KILL_PROCESS,
	specs.ActKillThread:  unix.SECCOMP_RET_KILL_THREAD,
	specs.ActLog:         unix.SECCOMP_RET_LOG,
	specs.ActNotify:      unix.SECCOMP_RET_USER_NOTIF,
	specs.ActTrace:       unix.SECCOMP_RET_TRACE,
	specs.ActTrap:        unix.SECCOMP_RET_TRAP,
}

// operators are the comparisons of an argument.
var operators = []specs.LinuxSeccompOperator{
	specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpLessEqual, specs.OpLessThan, specs.OpMaskedEqual, specs.OpNotEqual,
}

// specified are the architectures of the specification, config-linux.md.
var specified = []specs.Arch{
	specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64, specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32,
	specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32, specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390,
	specs.ArchS390X, specs.ArchPARISC, specs.ArchPARISC64, specs.ArchRISCV64, specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

// flags are those that a profile may name. NEW_LISTENER, which is in the kernel's list too, goes without saying where a rule notifies.
var flags = []specs.LinuxSeccompFlag{
	"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv,
}

// Known is the words that a profile may hold, each list sorted.
type Known struct{ Actions, Operators, Architectures, Flags []string }

// Words are those that Compile and Flags understand.
func Words() Known {
	var k Known
	for a := range actions {
		k.Actions = append(k.Actions, string(a))
	}
	for _, o := range operators {
		k.Operators = append(k.Operators, string(o))
	}
	for _, a := range specified {
		k.Architectures = append(k.Architectures, string(a))
	}
	for _, f := range flags {
		k.Flags = append(k.Flags, string(f))
	}
	for _, list := range [][]string{k.Actions, k.Operators, k.Architectures, k.Flags} {
		slices.Sort(list)
	}
	return k
}

// Supported are the flags that this kernel takes. Without a filter it complains of the missing filter (EFAULT) only after it has looked at the
// flags (EINVAL). One of them it takes only with a listener.
func Supported() []string {
	var list []string
	for _, name := range Words().Flags {
		flag, _ := linux.SeccompFlags.Value(name)
		if flag == unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV {
			flag |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		}
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flag), 0)
		if errno == unix.EFAULT {
			list = append(list, name)
		}
	}
	return list
}
