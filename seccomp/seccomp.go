// Package seccomp compiles linux.seccomp of a config.json into the classic BPF program that the kernel runs before each system call, seccomp(2).
package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"glassbox/linux"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Where struct seccomp_data has what, seccomp(2). Both architectures are little-endian: the low half of an argument comes first.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

// longest is BPF_MAXINSNS.
const longest = 4096

// Compile returns the program, and the names in the profile that no architecture has a call of: as with runc they mean nothing, since profiles are
// written for younger kernels and other machines too. native is the architecture of the machine's own programs, whose calls are filtered whether the
// profile names it or not.
//
// The program first looks which architecture's call it is, since each has its own numbers; calls of one that is not in the profile
// end the process. Then it finds the number by halving: calls in a row that are answered alike are one range, so that a profile of
// four hundred names costs eight comparisons. Rules with conditions are tried before one without, in the profile's order.
func Compile(s *specs.LinuxSeccomp, native linux.Architecture) (filter []byte, unknown []string, err error) {
	p, err := read(s)
	if err != nil {
		return nil, nil, err
	}
	archs, err := architectures(s.Architectures, native)
	if err != nil {
		return nil, nil, err
	}
	program := code{stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, dataArch)}
	for _, audit := range audits(archs) {
		spans := p.shared(archs, audit)
		body := p.answers.search(code{stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, dataNumber)}, spans)
		program = append(program, unless(audit, len(body))...)
		program = append(program, body...)
	}
	program = append(program, ret(unix.SECCOMP_RET_KILL_PROCESS))
	if len(program) > longest {
		return nil, nil, fmt.Errorf("linux.seccomp: the filter has %d instructions, of which the kernel takes %d at most", len(program), longest)
	}
	return program.bytes(), p.unknown(), nil
}

// architectures are the machine's own, as with libseccomp, and those of the profile that this program knows the calls of. Calls of
// others are none that this machine has.
func architectures(names []specs.Arch, native linux.Architecture) ([]linux.Architecture, error) {
	out := []linux.Architecture{native}
	for i, name := range names {
		if !slices.Contains(specified, name) {
			return nil, fmt.Errorf("linux.seccomp.architectures[%d]: unknown architecture %q", i, name)
		}
		for _, a := range linux.Architectures {
			if a.Name == string(name) && !slices.ContainsFunc(out, func(o linux.Architecture) bool { return o.Name == a.Name }) {
				out = append(out, a)
			}
		}
	}
	return out, nil
}

// audits are the values of seccomp_data.arch, each once: x32's is x86_64's.
func audits(archs []linux.Architecture) []uint32 {
	var out []uint32
	for _, a := range archs {
		if !slices.Contains(out, a.Audit) {
			out = append(out, a.Audit)
		}
	}
	return out
}

// code is a program, or a part of one that is entered at its beginning.
type code []unix.SockFilter

func stmt(op uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: op, K: k} }

func ret(action uint32) unix.SockFilter { return stmt(unix.BPF_RET|unix.BPF_K, action) }

func jump(test uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

// unless skips a part when the value loaded is not k. Conditional jumps reach 255 instructions only, others any.
func unless(k uint32, part int) code {
	return code{jump(unix.BPF_JEQ, k, 1, 0), stmt(unix.BPF_JMP|unix.BPF_JA, uint32(part))}
}

func (c code) bytes() []byte {
	b := make([]byte, 0, 8*len(c))
	for _, i := range c {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return b
}

// Flags are linux.seccomp.flags as seccomp(2) takes them, for a filter that notifies or not. A start has one thread: TSYNC is for more, and the
// kernel does not take it together with notifications.
func Flags(names []specs.LinuxSeccompFlag, notifies bool) (set uint64, err error) {
	for i, name := range names {
		if !slices.Contains(flags, name) {
			return 0, fmt.Errorf("linux.seccomp.flags[%d]: unknown flag %q", i, name)
		}
		if name == specs.LinuxSeccompFlagWaitKillableRecv && !notifies {
			return 0, fmt.Errorf("linux.seccomp.flags[%d]: %s is for SCMP_ACT_NOTIFY, which no rule has", i, name)
		}
		flag, _ := linux.SeccompFlags.Value(string(name))
		set |= flag
	}
	if notifies {
		set = set&^unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	return set, nil
}
