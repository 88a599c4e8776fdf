package seccomp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"glassbox/linux"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const native = "SCMP_ARCH_X86_64"

// call is a struct seccomp_data.
type call struct {
	number, arch uint32
	args         [6]uint64
}

// ask runs a compiled filter in golang.org/x/net's interpreter, which reads packets, big-endian: each word is turned round.
func ask(t testing.TB, program []byte, c call) uint32 {
	t.Helper()
	var raw []bpf.RawInstruction
	for at := 0; at < len(program); at += 8 {
		raw = append(raw, bpf.RawInstruction{Op: binary.NativeEndian.Uint16(program[at:]), Jt: program[at+2], Jf: program[at+3], K: binary.NativeEndian.Uint32(program[at+4:])})
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("an instruction is none")
	}
	vm, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	data := binary.BigEndian.AppendUint32(nil, c.number)
	data = binary.BigEndian.AppendUint32(data, c.arch)
	data = append(data, make([]byte, 8)...) // the instruction's address
	for _, a := range c.args {
		data = binary.BigEndian.AppendUint32(data, uint32(a))
		data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
	}
	answer, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(answer)
}

func compiled(t testing.TB, s *specs.LinuxSeccomp) []byte {
	t.Helper()
	program, _, err := Compile(s, linux.Architectures[0])
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func number(t testing.TB, arch, name string) (uint32, uint32) {
	t.Helper()
	for _, a := range linux.Architectures {
		if a.Name == arch {
			n, known := a.Of(name)
			if !known {
				t.Fatalf("%s has no %s", arch, name)
			}
			return n, a.Audit
		}
	}
	t.Fatalf("no architecture %s", arch)
	return 0, 0
}

const (
	allowed = unix.SECCOMP_RET_ALLOW
	killed  = unix.SECCOMP_RET_KILL_PROCESS
)

func denied(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }

func TestAnswers(t *testing.T) {
	forty := uint(unix.ENODATA)
	program := compiled(t, &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchMIPS},
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "write", "exit_group", "rt_sigaction", "bind", "shmat", "nosuchcall"}, Action: specs.ActAllow},
			{Names: []string{"mount"}, Action: specs.ActErrno, ErrnoRet: &forty},
			{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 0x7e020000, Op: specs.OpMaskedEqual}}},
			{Names: []string{"personality"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Value: 0, Op: specs.OpEqualTo}}},
			{Names: []string{"personality"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Value: 0xffffffff, Op: specs.OpEqualTo}}},
			{Names: []string{"kexec_load"}, Action: specs.ActKillProcess},
			{Names: []string{"fchmodat2"}, Action: specs.ActTrace},
		},
	})
	for _, c := range []struct {
		arch, name string
		args       [6]uint64
		want       uint32
	}{
		{native, "read", [6]uint64{}, allowed},
		{native, "open", [6]uint64{}, denied(unix.EPERM)},
		{native, "mount", [6]uint64{}, denied(unix.ENODATA)},
		{native, "clone", [6]uint64{0x1200011}, allowed},
		{native, "clone", [6]uint64{0x10000000}, denied(unix.EPERM)},
		{native, "clone", [6]uint64{1 << 40}, allowed},
		{native, "personality", [6]uint64{0xffffffff}, allowed},
		{native, "personality", [6]uint64{0x1ffffffff}, denied(unix.EPERM)},
		{native, "personality", [6]uint64{8}, denied(unix.EPERM)},
		{native, "kexec_load", [6]uint64{}, killed},
		{native, "fchmodat2", [6]uint64{}, unix.SECCOMP_RET_TRACE | uint32(unix.EPERM)},
		{native, "futex_wake", [6]uint64{}, denied(unix.ENOSYS)}, // 454, younger than fchmodat2
		{"SCMP_ARCH_X86", "read", [6]uint64{}, allowed},
		{"SCMP_ARCH_X86", "open", [6]uint64{}, denied(unix.EPERM)},
		{"SCMP_ARCH_X86", "bind", [6]uint64{}, allowed},
		{"SCMP_ARCH_X86", "socketcall", [6]uint64{2}, allowed},
		{"SCMP_ARCH_X86", "socketcall", [6]uint64{1}, denied(unix.EPERM)},
		{"SCMP_ARCH_X86", "ipc", [6]uint64{1<<16 | 21}, allowed},
		{"SCMP_ARCH_X86", "ipc", [6]uint64{2}, denied(unix.EPERM)},
		{"SCMP_ARCH_X32", "read", [6]uint64{}, allowed},
		{"SCMP_ARCH_X32", "rt_sigaction", [6]uint64{}, allowed},
		{"SCMP_ARCH_X32", "open", [6]uint64{}, denied(unix.EPERM)},
		{"SCMP_ARCH_AARCH64", "read", [6]uint64{}, killed},
	} {
		n, arch := number(t, c.arch, c.name)
		if have := ask(t, program, call{n, arch, c.args}); have != c.want {
			t.Errorf("%s %s%v is answered %#x, not %#x", c.arch, c.name, c.args, have, c.want)
		}
	}
	if have := ask(t, program, call{number: linux.X32Bit | 13, arch: unix.AUDIT_ARCH_X86_64}); have != denied(unix.EPERM) {
		t.Errorf("x32's number 13, which is only x86_64's rt_sigaction, is answered %#x", have)
	}
}

// Without x32 in the profile its numbers are a way around nothing.
func TestX32IsNoWayAround(t *testing.T) {
	program := compiled(t, &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mount"}, Action: specs.ActErrno}}})
	n, arch := number(t, native, "mount")
	for number, want := range map[uint32]uint32{n: denied(unix.EPERM), linux.X32Bit | n: killed, 0xffffffff: killed, 5000: allowed} {
		if have := ask(t, program, call{number: number, arch: arch}); have != want {
			t.Errorf("%#x is answered %#x, not %#x", number, have, want)
		}
	}
	if have := ask(t, program, call{number: 21, arch: unix.AUDIT_ARCH_I386}); have != killed {
		t.Errorf("a 32-bit mount is answered %#x", have)
	}
}

func TestErrors(t *testing.T) {
	one, large := uint(1), uint(70000)
	for want, s := range map[string]*specs.LinuxSeccomp{
		`linux.seccomp.defaultAction: unknown action ""`:                                          {},
		`linux.seccomp.defaultAction: errnoRet has no meaning for SCMP_ACT_ALLOW`:                 {DefaultAction: specs.ActAllow, DefaultErrnoRet: &one},
		`linux.seccomp.defaultAction: errnoRet 70000 is more than the 16 bits that a filter`:      {DefaultAction: specs.ActErrno, DefaultErrnoRet: &large},
		`linux.seccomp.architectures[1]: unknown architecture "SCMP_ARCH_Z80"`:                    {DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86, "SCMP_ARCH_Z80"}},
		`linux.seccomp.syscalls[0].names: empty`:                                                  {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Action: specs.ActErrno}}},
		`linux.seccomp.syscalls[0].action: unknown action "SCMP_ACT_PRAY"`:                        {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: "SCMP_ACT_PRAY"}}},
		`linux.seccomp.syscalls[0].args[0].op: unknown operator "SCMP_CMP_XX"`:                    conditional(specs.LinuxSeccompArg{Op: "SCMP_CMP_XX"}),
		`linux.seccomp.syscalls[0].args[0].index: 6, but a system call has the arguments 0 to 5`:  conditional(specs.LinuxSeccompArg{Index: 6, Op: specs.OpEqualTo}),
		`linux.seccomp: the filter has 6011 instructions, of which the kernel takes 4096 at most`: many(1200),
	} {
		if _, _, err := Compile(s, linux.Architectures[0]); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, have %v", want, err)
		}
	}
}

// A name that nobody knows is told; one of another architecture's is not.
func TestUnknownNames(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read", "no_such_call", "arm_fadvise64_64"}, Action: specs.ActErrno}, {Names: []string{"no_such_call", "socket"}, Action: specs.ActLog},
	}}
	if _, unknown, err := Compile(s, linux.Architectures[0]); !slices.Equal(unknown, []string{"no_such_call"}) || err != nil {
		t.Errorf("unknown are %q, %v", unknown, err)
	}
}

func conditional(args ...specs.LinuxSeccompArg) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActErrno, Args: args}}}
}

// many is a profile of so many alternatives for one call.
func many(n int) *specs.LinuxSeccomp {
	var args []specs.LinuxSeccompArg
	for i := range n {
		args = append(args, specs.LinuxSeccompArg{Value: uint64(i), Op: specs.OpEqualTo})
	}
	return conditional(args...)
}

// TestAsTheProfileSays holds random profiles against a plain reading of them.
func TestAsTheProfileSays(t *testing.T) {
	random := rand.New(rand.NewPCG(28, 5))
	for range 300 {
		s := randomProfile(random)
		program := compiled(t, s)
		for range 60 {
			a := linux.Architectures[random.IntN(3)]
			n, known := a.Of(randomName(random))
			if !known {
				continue
			}
			c := call{number: n, arch: a.Audit}
			for i := range c.args {
				c.args[i] = randomValue(random)
			}
			if have, want := ask(t, program, c), reading(s, linux.Architectures[0], c); have != want {
				t.Fatalf("%s %d %x is answered %#x, not %#x, by %+v", a.Name, n, c.args, have, want, s)
			}
		}
	}
}

var someNames = []string{"read", "write", "open", "clone", "mount", "umount2", "setns", "unshare", "bpf", "prctl", "ioctl", "execve", "socket", "shmat", "socketcall", "ipc"}

func randomName(r *rand.Rand) string { return someNames[r.IntN(len(someNames))] }

// randomValue is one of few, so that conditions meet.
func randomValue(r *rand.Rand) uint64 {
	return []uint64{0, 1, 2, 0xffffffff, 1 << 32, 1<<32 | 1, 1<<63 | 1, ^uint64(0)}[r.IntN(8)]
}

func randomProfile(r *rand.Rand) *specs.LinuxSeccomp {
	actions := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActErrno, specs.ActKillProcess, specs.ActLog}
	operators := []specs.LinuxSeccompOperator{specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpGreaterThan, specs.OpGreaterEqual, specs.OpMaskedEqual}
	s := &specs.LinuxSeccomp{DefaultAction: actions[r.IntN(len(actions))], Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}[r.IntN(3):]}
	for range r.IntN(12) {
		call := specs.LinuxSyscall{Names: []string{randomName(r), randomName(r)}, Action: actions[r.IntN(len(actions))]}
		for i := range r.IntN(4) {
			call.Args = append(call.Args, specs.LinuxSeccompArg{Index: uint(i), Value: randomValue(r), ValueTwo: randomValue(r), Op: operators[r.IntN(len(operators))]})
		}
		s.Syscalls = append(s.Syscalls, call)
	}
	return s
}

func holds(a specs.LinuxSeccompArg, v uint64) bool {
	switch a.Op {
	case specs.OpEqualTo:
		return v == a.Value
	case specs.OpNotEqual:
		return v != a.Value
	case specs.OpLessThan:
		return v < a.Value
	case specs.OpLessEqual:
		return v <= a.Value
	case specs.OpGreaterThan:
		return v > a.Value
	case specs.OpGreaterEqual:
		return v >= a.Value
	case specs.OpMaskedEqual:
		return v&a.Value == a.ValueTwo
	}
	panic(fmt.Sprint("operator ", a.Op))
}
