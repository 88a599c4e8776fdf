package program

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// question is the gate at which a stepped program asks whether it may go on.
const question = "?"

// Stepped puts a question before each step: the write and the read of a gate. So the program that is stepped is the program that runs, and
// strace shows the questions too. None stands before the child has closed its copy of the host's end, or it would wait for ever for a host that was
// killed; none before the halves of another gate, where the host waits for that one's letter, and none behind
// a seccomp filter, which would judge the question too.
func Stepped(phases []Phase) []Phase {
	var b Builder
	b.Gate(question, "wait until the next step may be made")
	ask, filtered, alone := b.Program(), false, false
	stepped := make([]Phase, len(phases))
	for i, phase := range phases {
		stepped[i] = phase
		stepped[i].Child = nil
		for j, s := range phase.Child {
			if alone && !filtered && !phase.Child.half(j) {
				stepped[i].Child = append(stepped[i].Child, ask...)
			}
			stepped[i].Child = append(stepped[i].Child, s)
			filtered = filtered || s.Call == unix.SYS_SECCOMP
			alone = alone || s.letsGo()
		}
	}
	return stepped
}

// letsGo: from here on the child does not hold the host's end of the gates.
func (s Step) letsGo() bool {
	return s.Call == unix.SYS_CLOSE && s.Args[0].Kind == KindHost && s.Args[0].Str == string(HostSync)
}

// unasked are the first steps of a program, before which no question can stand, as a plan shows them.
func unasked(phases []Phase) (first []Done) {
	p := Whole(phases)
	for i, s := range p {
		first = append(first, Done{Call: s.Text(planned(p[:i]), nil), From: s.From, Why: s.Why})
		if s.letsGo() {
			return first
		}
	}
	return nil
}

// half says whether step i is one of the two of a gate.
func (p Program) half(i int) bool {
	return p[i].Gate != "" || i+1 < len(p) && p[i+1].Gate != ""
}

// asks says whether step i is one of the two of a question.
func (p Program) asks(i int) bool {
	return p[i].Gate == question || i+1 < len(p) && p[i+1].Gate == question
}

// real is the first step from i on that is none of a question's.
func (p Program) real(i int) int {
	for i < len(p)-1 && p.asks(i) {
		i++
	}
	return i
}

// number is the index that step i has in the program without questions.
func (p Program) number(i int) int {
	n := 0
	for j := range p[:i] {
		if !p.asks(j) {
			n++
		}
	}
	return n
}

// ErrEnded is what who is asked returns when the child has ended while it waited for the answer.
var ErrEnded = errors.New("the container's process has ended")

// Ask has the questions of a stepped program answered. An error ends the start and is what Reach or Finish returns.
func (p *Process) Ask(answer func(Stop) (Answer, error)) { p.answer = answer }

// stop is called when the child asks: it waits in the read of a question, or is about to.
func (p *Process) stop() error {
	if err := p.settle(); err != nil {
		return err
	}
	here := p.frozen.reached()
	if p.program[here].Gate != question {
		here++ // we were told before the child has noted that its write is done
	}
	s := p.stopAt(here)
	answer, err := p.answer(s)
	switch {
	case errors.Is(err, ErrEnded):
		return p.end("your answer")
	case err != nil:
		return err
	case answer == Skip && s.Bound != "":
		return fmt.Errorf("step %d cannot be skipped: %s", s.Number, s.Bound)
	case answer == Skip:
		p.frozen.state.skip = uint32(here) + 2
	}
	return p.Pass()
}

// stopAt describes the stop at the question whose read is step here.
func (p *Process) stopAt(here int) Stop {
	ran, next := p.answers(here), here+1
	s := Stop{Number: p.program.number(next) + 1, Pid: p.Pid, Pidfd: p.Pidfd}
	for i := next; i < len(p.program) && !p.program.asks(i); i++ {
		s.Next = append(s.Next, Done{Call: p.program.Call(i, ran, p.hosts), From: p.program[i].From, Why: p.program[i].Why, Gate: p.program[i].Gate})
	}
	switch {
	case len(s.Next) > 1:
		s.Bound = "it comes with others, between which nobody can be asked"
	case p.program[next].Result != 0:
		s.Bound = "a later step needs the descriptor that it returns"
	}
	for i := p.asked(here); i < here; i++ {
		if !p.program.asks(i) {
			s.Gave = append(s.Gave, p.program[i].Done(resolved(p.program[:i], ran, p.hosts), &ran[i]))
		}
	}
	return s
}

// asked is the index of the question before the one at i, or the program's beginning.
func (p *Process) asked(i int) int {
	for i--; i > 0; i-- {
		if p.program[i].Gate == question {
			return i
		}
	}
	return 0
}
