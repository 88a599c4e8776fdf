package program

import (
	"strings"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// filter writes struct sock_fprog with all its instructions.
func (p *printer) filter(i int) string {
	a := p.step.Args[i]
	if a.Kind != KindProg {
		return memory
	}
	var list []string
	for at := 0; at+8 <= len(a.Bytes); at += 8 {
		list = append(list, instructionText(u16(a.Bytes, at), a.Bytes[at+2], a.Bytes[at+3], u32(a.Bytes, at+4)))
	}
	return "{len=" + unsigned(uint64(len(list))) + ", filter=[" + strings.Join(list, ", ") + "]}"
}

// instructionText is one struct sock_filter as linux/filter.h's macros write it.
func instructionText(code uint16, jt, jf byte, k uint32) string {
	if jt != 0 || jf != 0 {
		return "BPF_JUMP(" + filterCode(code) + ", " + linux.Hex(uint64(k)) + ", " + linux.Hex(uint64(jt)) + ", " + linux.Hex(uint64(jf)) + ")"
	}
	operand := linux.Hex(uint64(k))
	if code&7 == unix.BPF_RET {
		operand = filterAction(k)
	}
	return "BPF_STMT(" + filterCode(code) + ", " + operand + ")"
}

func filterAction(k uint32) string {
	text := linux.SeccompActions.Pick(uint64(k&unix.SECCOMP_RET_ACTION_FULL), "SECCOMP_RET_???")
	if data := k &^ unix.SECCOMP_RET_ACTION_FULL; data != 0 {
		text += "|" + linux.Hex(uint64(data))
	}
	return text
}

func filterCode(code uint16) string {
	const unknown = "BPF_???"
	v := uint64(code)
	class := linux.FilterClasses.Pick(v&7, unknown)
	switch code & 7 {
	case unix.BPF_LD, unix.BPF_LDX:
		return class + "|" + linux.FilterSizes.Pick(v&0x18, unknown) + "|" + linux.FilterModes.Pick(v&0xe0, unknown)
	case unix.BPF_ST, unix.BPF_STX:
		return class + filterRest(v&^7)
	case unix.BPF_ALU:
		return class + "|" + linux.FilterSources.Pick(v&8, unknown) + "|" + linux.FilterArithmetic.Pick(v&0xf0, unknown)
	case unix.BPF_JMP:
		return class + "|" + linux.FilterSources.Pick(v&8, unknown) + "|" + linux.FilterJumps.Pick(v&0xf0, unknown)
	case unix.BPF_RET:
		return class + "|" + linux.FilterReturns.Pick(v&0x18, unknown) + filterRest(v&^0x1f)
	}
	return class + "|" + linux.FilterMisc.Pick(v&0xf8, unknown) + filterRest(v&^0xff)
}

// filterRest writes bits that have no meaning in this class.
func filterRest(v uint64) string {
	if v == 0 {
		return ""
	}
	return "|" + linux.Hex(v) + " /* BPF_??? */"
}
