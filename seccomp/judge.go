package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Judge tells what a filter, in the form that Compile gives it, answers to a system call of an architecture (AUDIT_ARCH_*): all answers that
// the call's arguments may lead to, in rising order, which is the kernel's order of precedence but for SECCOMP_RET_KILL_PROCESS. One
// answer: whatever the arguments are. Filters have no loops, so every way through one ends.
func Judge(filter []byte, arch, number uint32) ([]uint32, error) {
	j := judge{arch: arch, number: number, seen: map[stand]bool{}}
	for at := 0; at+8 <= len(filter); at += 8 {
		j.code = append(j.code, unix.SockFilter{
			Code: binary.NativeEndian.Uint16(filter[at:]), Jt: filter[at+2], Jf: filter[at+3], K: binary.NativeEndian.Uint32(filter[at+4:]),
		})
	}
	if err := j.follow(stand{}); err != nil {
		return nil, err
	}
	slices.Sort(j.answers)
	return slices.Compact(j.answers), nil
}

// stand is where the filter stands: at an instruction, with what it has in its registers as far as that is known.
type stand struct {
	at   int
	a, x word
}

// word is a value that may not be known, since it comes from the call's arguments.
type word struct {
	value   uint32
	unknown bool
}

type judge struct {
	code         code
	arch, number uint32
	seen         map[stand]bool
	answers      []uint32
}

// follow goes on from s, on both ways where the way is not known.
func (j *judge) follow(s stand) error {
	for {
		if s.at < 0 || s.at >= len(j.code) {
			return fmt.Errorf("a filter's instruction %d leads out of it", s.at)
		}
		if j.seen[s] {
			return nil
		}
		j.seen[s] = true
		in := j.code[s.at]
		s.at++
		switch in.Code & 7 { // BPF_CLASS
		case unix.BPF_RET:
			answer := in.K
			if in.Code&0x18 == bpfA {
				if s.a.unknown {
					return fmt.Errorf("instruction %d returns what is not known", s.at-1)
				}
				answer = s.a.value
			}
			j.answers = append(j.answers, answer)
			return nil
		case unix.BPF_LD:
			s.a = j.load(in)
		case unix.BPF_LDX:
			s.x = word{value: in.K, unknown: in.Code&0xe0 != unix.BPF_IMM}
		case unix.BPF_ALU:
			s.a = calculate(in, s.a, s.x)
		case unix.BPF_MISC:
			if in.Code&0xf8 == unix.BPF_TAX {
				s.x = s.a
			} else {
				s.a = s.x
			}
		case unix.BPF_JMP:
			if err := j.branch(&s, in); err != nil {
				return err
			}
		}
	}
}

// bpfA is BPF_A of linux/bpf_common.h: a return gives the accumulator.
const bpfA = 0x10

// load reads a word of struct seccomp_data; what comes from memory (BPF_MEM) is taken for unknown.
func (j *judge) load(in unix.SockFilter) word {
	switch {
	case in.Code&0xe0 == unix.BPF_IMM:
		return word{value: in.K}
	case in.Code&0xe0 != unix.BPF_ABS:
		return word{unknown: true}
	case in.K == dataNumber:
		return word{value: j.number}
	case in.K == dataArch:
		return word{value: j.arch}
	}
	return word{unknown: true}
}

// operand is the constant, or the register X.
func operand(in unix.SockFilter, x word) word {
	if in.Code&unix.BPF_X != 0 {
		return x
	}
	return word{value: in.K}
}

func calculate(in unix.SockFilter, a, x word) word {
	b := operand(in, x)
	if a.unknown || b.unknown {
		return word{unknown: true}
	}
	switch in.Code & 0xf0 {
	case unix.BPF_ADD:
		a.value += b.value
	case unix.BPF_SUB:
		a.value -= b.value
	case unix.BPF_MUL:
		a.value *= b.value
	case unix.BPF_AND:
		a.value &= b.value
	case unix.BPF_OR:
		a.value |= b.value
	case unix.BPF_XOR:
		a.value ^= b.value
	case unix.BPF_LSH:
		a.value <<= b.value
	case unix.BPF_RSH:
		a.value >>= b.value
	case unix.BPF_NEG:
		a.value = -a.value
	default: // a division
		return word{unknown: true}
	}
	return a
}

// branch leaves s where the filter goes on; of two ways that are both possible, it follows the other one itself.
func (j *judge) branch(s *stand, in unix.SockFilter) error {
	b := operand(in, s.x)
	switch {
	case in.Code&0xf0 == unix.BPF_JA:
		s.at += int(in.K)
		return nil
	case s.a.unknown || b.unknown:
		other := *s
		other.at += int(in.Jf)
		s.at += int(in.Jt)
		return j.follow(other)
	}
	holds := false
	switch in.Code & 0xf0 {
	case unix.BPF_JEQ:
		holds = s.a.value == b.value
	case unix.BPF_JGT:
		holds = s.a.value > b.value
	case unix.BPF_JGE:
		holds = s.a.value >= b.value
	case unix.BPF_JSET:
		holds = s.a.value&b.value != 0
	}
	if holds {
		s.at += int(in.Jt)
	} else {
		s.at += int(in.Jf)
	}
	return nil
}
