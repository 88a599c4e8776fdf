package seccomp

import (
	"slices"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// span is the calls from one number up to the next span's, all answered alike.
type span struct {
	from   uint32
	answer answer
}

// answer is the number of a piece of code, of which each is kept once.
type answer int

// answers are the pieces of code that answer calls.
type answers []code

// plainly is the answer that is the same whatever the arguments.
func (a *answers) plainly(action uint32) answer {
	for i, known := range *a {
		if len(known) == 1 && known[0].K == action {
			return answer(i)
		}
	}
	*a = append(*a, code{ret(action)})
	return answer(len(*a) - 1)
}

func (a *answers) of(c code) answer {
	for i, known := range *a {
		if slices.Equal(known, c) {
			return answer(i)
		}
	}
	*a = append(*a, c)
	return answer(len(*a) - 1)
}

// private is where Arm's own calls begin, far behind all others.
const private = 0xf0000

// shared are the spans of all architectures that have this audit number in common. x86_64's calls end where x32's begin.
func (p *profile) shared(archs []linux.Architecture, audit uint32) []span {
	var all []span
	for _, a := range archs {
		if a.Audit == audit && !a.X32 {
			all = append(all, p.spans(a)...)
		}
	}
	if audit != unix.AUDIT_ARCH_X86_64 {
		return all
	}
	for _, a := range archs {
		if a.X32 {
			return join(append(all, p.spans(a)...))
		}
	}
	return join(append(all, span{linux.X32Bit, p.answers.plainly(unix.SECCOMP_RET_KILL_PROCESS)}))
}

// spans answers every number that a call of the architecture can have.
func (p *profile) spans(a linux.Architecture) []span {
	first := uint32(0)
	if a.X32 {
		first = linux.X32Bit
	}
	other := p.answers.plainly(p.fallback)
	out := []span{{first, other}}
	youngest := first
	for mentions := p.mentions(a); len(mentions) > 0; {
		n := mentions[0].call()
		rest := slices.IndexFunc(mentions, func(m mention) bool { return m.call() != n })
		if rest < 0 {
			rest = len(mentions)
		}
		if n >= first+private && youngest < first+private {
			out = append(out, p.stubs(youngest, other)...)
		}
		out = append(out, span{n, p.answer(mentions[:rest])}, span{n + 1, other})
		youngest, mentions = n+1, mentions[rest:]
	}
	if youngest < first+private {
		out = append(out, p.stubs(youngest, other)...)
	}
	return join(out)
}

// stubs answers the calls after the youngest that the profile names.
func (p *profile) stubs(from uint32, other answer) []span {
	if !p.stub {
		return []span{{from, other}}
	}
	return []span{{from, p.answers.plainly(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))}}
}

// mention is that a rule names a call: the call's number, and the rule's, so that sorting puts them in order.
type mention uint64

func (m mention) call() uint32 { return uint32(m >> 32) }
func (m mention) rule() int    { return int(uint32(m)) }

// mentions are in the order of the calls. A call that the architecture does not have cannot be made.
func (p *profile) mentions(a linux.Architecture) []mention {
	var out []mention
	for i, r := range p.rules {
		if r.multiplexed && a.Audit != unix.AUDIT_ARCH_I386 {
			continue
		}
		for j, name := range r.names {
			if n, known := a.Of(name); known {
				if !r.multiplexed {
					r.found[j] = true
				}
				out = append(out, mention(uint64(n)<<32|uint64(i)))
			}
		}
	}
	slices.Sort(out)
	return out
}

// answer is that of one call: rules with conditions first, then one without, or the default.
func (p *profile) answer(mentions []mention) answer {
	var rules []rule
	last, always := p.fallback, false
	for _, m := range mentions {
		switch r := p.rules[m.rule()]; {
		case len(r.conditions) > 0:
			rules = append(rules, r)
		case !always:
			last, always = r.action, true
		}
	}
	for len(rules) > 0 && rules[len(rules)-1].action == last {
		rules = rules[:len(rules)-1]
	}
	if len(rules) == 0 {
		return p.answers.plainly(last)
	}
	var c code
	for _, r := range rules {
		c = append(c, r.compile()...)
	}
	return p.answers.of(append(c, ret(last)))
}

// compile returns the action where all conditions hold, and goes on behind itself where one does not.
func (r rule) compile() code {
	c := code{ret(r.action)}
	for i := len(r.conditions) - 1; i >= 0; i-- {
		c = append(r.conditions[i].compile(len(c)), c...)
	}
	return c
}

// join makes one of neighbours that are answered alike. Of spans from the same number the last one counts.
func join(all []span) []span {
	var out []span
	for i, s := range all {
		if i+1 < len(all) && all[i+1].from == s.from {
			continue
		}
		if len(out) == 0 || out[len(out)-1].answer != s.answer {
			out = append(out, s)
		}
	}
	return out
}

// search appends what finds, by halving, the span that the number loaded is in.
func (a answers) search(c code, spans []span) code {
	if len(spans) == 1 {
		return append(c, a[spans[0].answer]...)
	}
	middle := len(spans) / 2
	from, left := spans[middle].from, spans[:middle]
	at := len(c)
	if a.short(left) {
		c = a.search(append(c, unix.SockFilter{}), left)
		c[at] = jump(unix.BPF_JGE, from, uint8(len(c)-at-1), 0)
	} else {
		c = a.search(append(c, jump(unix.BPF_JGE, from, 0, 1), unix.SockFilter{}), left)
		c[at+1] = stmt(unix.BPF_JMP|unix.BPF_JA, uint32(len(c)-at-2))
	}
	return a.search(c, spans[middle:])
}

// short: a conditional jump, which reaches 255 instructions, leads past the spans' code, with two jumps each at the most.
func (a answers) short(spans []span) bool {
	length := 0
	for _, s := range spans {
		if length += len(a[s.answer]) + 2; length > 255 {
			return false
		}
	}
	return true
}
