package seccomp

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// condition is a comparison of one argument, 64 bits wide, without a sign.
type condition struct {
	index uint
	op    specs.LinuxSeccompOperator
	value uint64
	mask  uint64 // of SCMP_CMP_MASKED_EQ
}

// conditions reads a rule's args: all must hold. Several of one argument are alternatives, though: libseccomp, from which the format
// stems, takes one condition an argument, and runc makes several rules of what is more.
func conditions(field string, args []specs.LinuxSeccompArg) (alternatives [][]condition, err error) {
	var all []condition
	twice, seen := false, [6]bool{}
	for i, a := range args {
		c := condition{index: a.Index, op: a.Op, value: a.Value}
		if !slices.Contains(operators, a.Op) {
			return nil, fmt.Errorf("linux.seccomp.%s.args[%d].op: unknown operator %q", field, i, a.Op)
		}
		if a.Op == specs.OpMaskedEqual {
			c.mask, c.value = a.Value, a.ValueTwo
		}
		if a.Index > 5 {
			return nil, fmt.Errorf("linux.seccomp.%s.args[%d].index: %d, but a system call has the arguments 0 to 5", field, i, a.Index)
		}
		twice = twice || seen[a.Index]
		seen[a.Index] = true
		all = append(all, c)
	}
	if !twice {
		return [][]condition{all}, nil
	}
	for _, c := range all {
		alternatives = append(alternatives, []condition{c})
	}
	return alternatives, nil
}

// compile returns code that goes on behind itself when the condition holds, and jumps past further instructions when it does not.
// BPF compares 32 bits: the high halves decide, and where they are equal the low ones.
func (c condition) compile(past int) code {
	low := stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, uint32(dataArgs+8*c.index))
	high := stmt(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, uint32(dataArgs+8*c.index+4))
	h, l := uint32(c.value>>32), uint32(c.value)
	no := func(after int) uint8 { return uint8(past + after) } // from an instruction with so many of ours after it
	switch c.op {
	case specs.OpEqualTo:
		return code{high, jump(unix.BPF_JEQ, h, 0, no(2)), low, jump(unix.BPF_JEQ, l, 0, no(0))}
	case specs.OpNotEqual:
		return code{high, jump(unix.BPF_JEQ, h, 0, 2), low, jump(unix.BPF_JEQ, l, no(0), 0)}
	case specs.OpMaskedEqual:
		and := func(k uint32) unix.SockFilter { return stmt(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, k) }
		return code{
			high, and(uint32(c.mask >> 32)), jump(unix.BPF_JEQ, h, 0, no(3)),
			low, and(uint32(c.mask)), jump(unix.BPF_JEQ, l, 0, no(0)),
		}
	case specs.OpGreaterEqual:
		return code{high, jump(unix.BPF_JGT, h, 3, 0), jump(unix.BPF_JEQ, h, 0, no(2)), low, jump(unix.BPF_JGE, l, 0, no(0))}
	case specs.OpGreaterThan:
		return code{high, jump(unix.BPF_JGT, h, 3, 0), jump(unix.BPF_JEQ, h, 0, no(2)), low, jump(unix.BPF_JGT, l, 0, no(0))}
	case specs.OpLessThan:
		return code{high, jump(unix.BPF_JGT, h, no(3), 0), jump(unix.BPF_JEQ, h, 0, 2), low, jump(unix.BPF_JGE, l, no(0), 0)}
	default: // SCMP_CMP_LE
		return code{high, jump(unix.BPF_JGT, h, no(3), 0), jump(unix.BPF_JEQ, h, 0, 2), low, jump(unix.BPF_JGT, l, no(0), 0)}
	}
}
