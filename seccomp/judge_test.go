package seccomp

import (
	"math/rand/v2"
	"slices"
	"testing"

	"glassbox/linux"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What Judge says of a call is what an interpreter answers to it, whatever the arguments are.
func TestJudge(t *testing.T) {
	errno := uint(38)
	profile := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{native, "SCMP_ARCH_X86"}, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read", "write", "openat", "close"}, Action: specs.ActAllow},
		{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: &errno},
		{Names: []string{"kexec_load"}, Action: specs.ActKillProcess},
		{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 0x7e020000, Op: specs.OpMaskedEqual}}},
		{Names: []string{"personality"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 8, Op: specs.OpEqualTo}}},
		{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 40, Op: specs.OpGreaterThan}}},
	}}
	program := compiled(t, profile)
	sometimes := []string{"clone", "personality", "socket"}
	for _, c := range linux.Architectures[0].Calls {
		answers, err := Judge(program, unix.AUDIT_ARCH_X86_64, c.Number)
		if err != nil {
			t.Fatal(err)
		}
		if want := 1; slices.Contains(sometimes, c.Name) != (len(answers) > want) {
			t.Errorf("%s: answers %x", c.Name, answers)
		}
		for range 20 {
			q := call{number: c.Number, arch: unix.AUDIT_ARCH_X86_64}
			for i := range q.args {
				q.args[i] = rand.Uint64() >> rand.UintN(64)
			}
			if a := ask(t, program, q); !slices.Contains(answers, a) {
				t.Errorf("%s%x: answered %x, judged %x", c.Name, q.args, a, answers)
			}
		}
	}
	foreign, err := Judge(program, unix.AUDIT_ARCH_AARCH64, 0)
	if err != nil || !slices.Equal(foreign, []uint32{unix.SECCOMP_RET_KILL_PROCESS}) {
		t.Errorf("of another architecture: %x, %v", foreign, err)
	}
}

// A program that is cut off is refused: the kernel would not have taken it.
func TestJudgeCutOff(t *testing.T) {
	program := compiled(t, &specs.LinuxSeccomp{DefaultAction: specs.ActAllow})
	if _, err := Judge(program[:len(program)-8], unix.AUDIT_ARCH_AARCH64, 0); err == nil {
		t.Error("it was judged")
	}
}
