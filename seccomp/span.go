package seccomp

import (
	"cmp"
	"slices"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// span is the calls from one number up to the next span's, all answered alike.
type span struct {
	from   uint32
	answer code
}

func (s span) like(o span) bool { return slices.Equal(s.answer, o.answer) }

// answers are those of all architectures that have this number in common. x86_64's calls end where x32's begin.
func (p *profile) answers(archs []linux.Architecture, audit uint32) []span {
	var all []span
	if audit == unix.AUDIT_ARCH_X86_64 {
		all = append(all, span{linux.X32Bit, code{ret(unix.SECCOMP_RET_KILL_PROCESS)}})
	}
	for _, a := range archs {
		if a.Audit == audit {
			all = append(all, p.spans(a)...)
		}
	}
	return join(all)
}

// spans answers every number that a call of the architecture can have.
func (p *profile) spans(a linux.Architecture) []span {
	named := p.named(a)
	numbers := make([]uint32, 0, len(named))
	for n := range named {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	first := uint32(0)
	if a.X32 {
		first = linux.X32Bit
	}
	other := code{ret(p.fallback)}
	out := []span{{first, other}}
	for _, n := range numbers {
		out = append(out, span{n, p.answer(named[n])}, span{n + 1, other})
	}
	if p.stub {
		out = append(out, span{younger(numbers, first), code{ret(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))}})
	}
	return join(out)
}

// younger is the first number after all that the profile names, but for Arm's private ones, which stand far behind.
func younger(numbers []uint32, first uint32) uint32 {
	const private = 0xf0000
	for _, n := range slices.Backward(numbers) {
		if n&^linux.X32Bit < private {
			return n + 1
		}
	}
	return first
}

// named are the rules for each number. A call that the architecture does not have cannot be made.
func (p *profile) named(a linux.Architecture) map[uint32][]rule {
	out := map[uint32][]rule{}
	add := func(n uint32, r rule) { out[n] = append(out[n], r) }
	for _, r := range p.rules {
		for _, name := range r.names {
			if n, known := a.Of(name); known {
				add(n, r)
			}
			if a.Audit != unix.AUDIT_ARCH_I386 || len(r.conditions) > 0 {
				continue
			}
			if call, function, is := multiplexed(name); is {
				n, _ := a.Of(call)
				add(n, rule{action: r.action, conditions: []condition{function}})
			}
		}
	}
	return out
}

// answer is the code for a call: rules with conditions first, then one without, or the default.
func (p *profile) answer(rules []rule) code {
	last := p.fallback
	if i := slices.IndexFunc(rules, rule.always); i >= 0 {
		last = rules[i].action
	}
	rules = slices.DeleteFunc(slices.Clone(rules), rule.always)
	for len(rules) > 0 && rules[len(rules)-1].action == last {
		rules = rules[:len(rules)-1]
	}
	var c code
	for _, r := range rules {
		c = append(c, r.compile()...)
	}
	return append(c, ret(last))
}

func (r rule) always() bool { return len(r.conditions) == 0 }

// compile returns the action where all conditions hold, and goes on behind itself where one does not.
func (r rule) compile() code {
	c := code{ret(r.action)}
	for i := len(r.conditions) - 1; i >= 0; i-- {
		c = append(r.conditions[i].compile(len(c)), c...)
	}
	return c
}

// join sorts spans and makes one of neighbours that are answered alike. Of spans from the same number the last one counts.
func join(all []span) []span {
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []span
	for i, s := range all {
		if i+1 < len(all) && all[i+1].from == s.from {
			continue
		}
		if len(out) == 0 || !out[len(out)-1].like(s) {
			out = append(out, s)
		}
	}
	return out
}

// search finds the span that the number loaded is in, by halving.
func search(spans []span) code {
	if len(spans) == 1 {
		return spans[0].answer
	}
	middle := len(spans) / 2
	left, right := search(spans[:middle]), search(spans[middle:])
	from := spans[middle].from
	var c code
	if len(left) <= 255 {
		c = code{jump(unix.BPF_JGE, from, uint8(len(left)), 0)}
	} else {
		c = code{jump(unix.BPF_JGE, from, 0, 1), stmt(unix.BPF_JMP|unix.BPF_JA, uint32(len(left)))}
	}
	return append(append(c, left...), right...)
}
