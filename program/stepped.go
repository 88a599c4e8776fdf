package program

import (
	"fmt"
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// question is the gate at which a stepped program asks whether it may go on.
const question = "?"

// Stepped puts a question before each step: the write and the read of a gate. So the program that is stepped is the program that runs, and
// strace shows the questions too. None stands before the halves of another gate, where the host waits for that one's letter, and none behind
// a seccomp filter, which would judge the question too.
func Stepped(phases []Phase) []Phase {
	var b Builder
	b.Gate(question, "wait until the next step may be made")
	ask, filtered := b.Program(), false
	stepped := make([]Phase, len(phases))
	for i, phase := range phases {
		stepped[i] = phase
		stepped[i].Child = nil
		for j, s := range phase.Child {
			if !filtered && !phase.Child.half(j) {
				stepped[i].Child = append(stepped[i].Child, ask...)
			}
			stepped[i].Child = append(stepped[i].Child, s)
			filtered = filtered || s.Call == unix.SYS_SECCOMP
		}
	}
	return stepped
}

// half says whether step i is one of the two of a gate.
func (p Program) half(i int) bool {
	return p[i].Gate != "" || i+1 < len(p) && p[i+1].Gate != ""
}

// asks says whether step i is one of the two of a question.
func (p Program) asks(i int) bool {
	return p[i].Gate == question || i+1 < len(p) && p[i+1].Gate == question
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

// Stop is a moment of a stepped start: the child, or the host in its half, asks whether to go on.
type Stop struct {
	Number int    // of the step that comes next, as a plan counts, from 1; 0: it is the host's request
	Gave   []Done // what has been answered since the stop before
	Next   []Done // what comes then: one call, or several where nobody can ask in between
}

// Write writes it for people: what the calls before returned, and which ones come next.
func (s Stop) Write(w io.Writer, style Style) error {
	out := newWriter(w, style)
	for _, d := range s.Gave {
		result := "= " + d.Result
		if d.Failed {
			result = out.paint(red, result)
		}
		fmt.Fprintf(out, "%*s%s\n", margin, "", result)
	}
	for i, d := range s.Next {
		number := "host"
		if s.Number > 0 {
			number = strconv.Itoa(s.Number + i)
		}
		out.done(number, d)
	}
	return out.Flush()
}

// Ask has the questions of a stepped program answered: nil lets it go on, an error ends the start and is what Reach or Finish returns.
func (p *Process) Ask(answer func(Stop) error) { p.answer = answer }

// stop is called when the child asks: it waits in the read of a question, or is about to.
func (p *Process) stop() error {
	if err := p.settle(); err != nil {
		return err
	}
	here := p.frozen.reached()
	if p.program[here].Gate != question {
		here++ // we were told before the child has noted that its write is done
	}
	ran := p.answers(here)
	next := here + 1
	s := Stop{Number: p.program.number(next) + 1}
	for i := next; i < len(p.program) && !p.program.asks(i); i++ {
		s.Next = append(s.Next, Done{Call: p.program.Call(i, ran, p.hosts), From: p.program[i].From, Why: p.program[i].Why, Gate: p.program[i].Gate})
	}
	for i := p.asked(here); i < here; i++ {
		if !p.program.asks(i) {
			s.Gave = append(s.Gave, p.program[i].Done(resolved(p.program[:i], ran, p.hosts), &ran[i]))
		}
	}
	if err := p.answer(s); err != nil {
		return err
	}
	return p.Pass()
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
