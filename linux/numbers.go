package linux

import (
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

//go:generate go run ../test/tools/numbers

// CallNumbers are the system calls of one architecture, sorted by name.
type CallNumbers []CallNumber

// CallNumber is a system call's name and its number.
type CallNumber struct {
	Name   string
	Number uint32
}

// Of is the number of a call; there is none where the architecture has no such call.
func (n CallNumbers) Of(name string) (number uint32, known bool) {
	i, known := slices.BinarySearchFunc(n, name, func(c CallNumber, name string) int { return strings.Compare(c.Name, name) })
	if !known {
		return 0, false
	}
	return n[i].Number, true
}

// Architecture is a set of system calls that a kernel offers, of which it may offer several: the 32-bit ones to old programs.
type Architecture struct {
	Name  string // as in config.json: SCMP_ARCH_X86_64
	Audit uint32 // seccomp_data.arch
	Calls CallNumbers
	X32   bool // Audit and Calls are x86_64's, X32Bit is added to each number: arch/x86/entry/syscalls/syscall_64.tbl
}

// X32Bit marks the calls of programs with 32-bit pointers on x86_64.
const X32Bit = 0x40000000

// Architectures are those of amd64 and arm64 machines.
var Architectures = []Architecture{
	{Name: "SCMP_ARCH_X86_64", Audit: unix.AUDIT_ARCH_X86_64, Calls: callsX86_64},
	{Name: "SCMP_ARCH_X86", Audit: unix.AUDIT_ARCH_I386, Calls: callsX86},
	{Name: "SCMP_ARCH_X32", Audit: unix.AUDIT_ARCH_X86_64, Calls: callsX86_64, X32: true},
	{Name: "SCMP_ARCH_AARCH64", Audit: unix.AUDIT_ARCH_AARCH64, Calls: callsARM64},
	{Name: "SCMP_ARCH_ARM", Audit: unix.AUDIT_ARCH_ARM, Calls: callsARM},
}

// Native is the architecture of this machine's own programs.
func Native() Architecture {
	if runtime.GOARCH == "arm64" {
		return Architectures[3]
	}
	return Architectures[0]
}

// Of is the number by which a program of the architecture makes the call.
func (a Architecture) Of(name string) (number uint32, known bool) {
	if !a.X32 {
		return a.Calls.Of(name)
	}
	number, known = a.Calls.Of(name)
	if i := slices.Index(x32Own[:], uint16(number)); i >= 0 {
		number = x32First + uint32(i)
	}
	return X32Bit | number, known
}

// x32Own are x86_64's numbers of the calls that have another for x32, from x32First on, since they are handed structures with pointers.
var x32Own = [...]uint16{
	13, 15, 16, 19, 20, 45, // rt_sigaction, rt_sigreturn, ioctl, readv, writev, recvfrom
	46, 47, 59, 101, 127, 128, // sendmsg, recvmsg, execve, ptrace, rt_sigpending, rt_sigtimedwait
	129, 131, 222, 244, 246, 247, // rt_sigqueueinfo, sigaltstack, timer_create, mq_notify, kexec_load, waitid
	273, 274, 278, 279, 295, 296, // set_robust_list, get_robust_list, vmsplice, move_pages, preadv, pwritev
	297, 299, 307, 310, 311, 54, // rt_tgsigqueueinfo, recvmmsg, sendmmsg, process_vm_readv, process_vm_writev, setsockopt
	55, 206, 209, 322, 327, 328, // getsockopt, io_setup, io_submit, execveat, preadv2, pwritev2
}

const x32First = 512

// CallName is the call that a program of the architecture makes by this number.
func (a Architecture) CallName(number uint32) string {
	for _, c := range a.Calls {
		if c.Number == number {
			return c.Name
		}
	}
	return "syscall_" + Hex(uint64(number))
}
