package program

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Stop is a moment of a start, exec or stop that somebody steps through: the child, or the host in its half, asks whether to go on.
type Stop struct {
	Phase    string   `json:"phase"`
	Phases   []string `json:"phases"`             // all of this start, in their order
	Number   int      `json:"number,omitempty"`   // of the step that comes next, as a plan counts, from 1; 0: it is the host's request
	Steps    int      `json:"steps,omitempty"`    // how many the plan has
	Request  int      `json:"request,omitempty"`  // of the host's request that comes next, counted from 1 in its phase
	Requests int      `json:"requests,omitempty"` // how many come together, as far as is known
	Pid      int      `json:"pid,omitempty"`      // of the process that is in the making; 0: there is none yet
	Gave     []Done   `json:"gave,omitempty"`     // what has been answered since the stop before
	Next     []Done   `json:"next"`               // what comes then: one call, or several where nobody can ask in between
	Then     []Done   `json:"then,omitempty"`     // of a birth: the first steps of the child, which cannot ask yet
	Bound    string   `json:"bound,omitempty"`    // why what comes cannot be skipped without breaking the program; empty: it can

	Pidfd *os.File `json:"-"` // of the process: readable once it has ended; nil: there is none yet, or it is another process's to watch
}

// Answer is what becomes of the call that a stop shows.
type Answer uint8

// The answers. Ending the start is an error.
const (
	Go   Answer = iota // make it
	Skip               // leave it out, and go on
)

// Skipped is Done.Result of a call that was left out.
const Skipped = "skipped"

// NotMade is what Do returns of a request that was not made, and that is no failure: it says why.
type NotMade string

func (n NotMade) Error() string { return string(n) }

// Quit is an answer that ends a start.
type Quit struct {
	Where string // before which call
	By    string // the signal that said so; empty: whoever was asked
	Why   string // instead of all that
}

func (q *Quit) Error() string {
	if q.Why != "" {
		return q.Why
	}
	if q.By != "" {
		return "stopped by " + q.By + " before " + q.Where
	}
	return "stopped before " + q.Where + ", as you asked for"
}

// Stepping asks before each call of a start, the host's and the child's. A nil one asks nobody.
type Stepping struct {
	answer func(Stop) (Answer, error)
	phases []Phase // of the plan, without questions
	names  []string
	steps  int
	phase  string // of the host's requests
	pid    int
	pidfd  *os.File
	gave   []Done // the host's requests that nobody has been told the outcome of
}

// NewStepping is nil without an answer.
func NewStepping(answer func(Stop) (Answer, error)) *Stepping {
	if answer == nil {
		return nil
	}
	return &Stepping{answer: answer}
}

// Plan is the plan with the child's questions in it.
func (s *Stepping) Plan(phases []Phase) []Phase {
	if s == nil {
		return phases
	}
	s.phases, s.steps = phases, len(Whole(phases))
	for _, p := range phases {
		s.names = append(s.names, p.Name)
	}
	return Stepped(phases)
}

// In names the phase of the host's requests from now on.
func (s *Stepping) In(phase string) {
	if s == nil {
		return
	}
	if s.phase = phase; !slices.Contains(s.names, phase) {
		s.names = append(s.names, phase)
	}
}

// Watch answers the questions of the child, which was just made.
func (s *Stepping) Watch(p *Process) {
	if s == nil {
		return
	}
	s.pid, s.pidfd = p.Pid, p.Pidfd
	p.Ask(s.step)
}

// At names the process for which the host's requests are made. Its end, which pidfd tells, ends the waiting for an answer.
func (s *Stepping) At(pid int, pidfd *os.File) {
	if s != nil {
		s.pid, s.pidfd = pid, pidfd
	}
}

// step answers one of the child's questions.
func (s *Stepping) step(stop Stop) (Answer, error) {
	s.pid, s.pidfd = stop.Pid, stop.Pidfd // a second clone may have made it another one
	stop.Phase = s.phaseOf(stop.Number)
	return s.ask(stop)
}

// phaseOf is the phase of the child's step of that number.
func (s *Stepping) phaseOf(number int) string {
	for _, p := range s.phases {
		if number -= len(p.Child); number <= 0 {
			return p.Name
		}
	}
	return ""
}

// ask tells of what has come of the host's requests, too.
func (s *Stepping) ask(stop Stop) (Answer, error) {
	stop.Gave, stop.Phases, stop.Steps = append(s.gave, stop.Gave...), s.names, s.steps
	s.gave = nil
	return s.answer(stop)
}

// Before asks before one of the host's requests, number n of so many. Where its result is needed, bound says what for.
func (s *Stepping) Before(r Request, n, of int, bound string) (Answer, error) {
	if s == nil {
		return Go, nil
	}
	return s.before(r, Stop{Request: n, Requests: of, Bound: bound})
}

// Birth asks before the host's request that makes the child, the last of so many. It cannot be skipped.
func (s *Stepping) Birth(r Request, of int, bound string) error {
	if s == nil {
		return nil
	}
	_, err := s.before(r, Stop{Request: of, Requests: of, Bound: bound, Then: unasked(s.phases)})
	return err
}

func (s *Stepping) before(r Request, stop Stop) (Answer, error) {
	stop.Phase, stop.Pid, stop.Pidfd, stop.Next = s.phase, s.pid, s.pidfd, []Done{{Call: r.Call, From: r.From, Why: r.Why}}
	answer, err := s.ask(stop)
	switch {
	case errors.Is(err, ErrEnded):
		return Go, fmt.Errorf("the container's process was killed before the host's request %s", r.Call)
	case err == nil && answer == Skip && stop.Bound != "":
		return Go, fmt.Errorf("%s cannot be skipped: %s", r.Call, stop.Bound)
	}
	return answer, err
}

// After keeps what has come of a request for the next question.
func (s *Stepping) After(r Request, err error) {
	if s != nil {
		s.gave = append(s.gave, r.Done(err, 0))
	}
}

// Requests are the host's, each asked for before it is carried out.
func (s *Stepping) Requests(list []Request) []Request {
	if s == nil {
		return list
	}
	asked := make([]Request, len(list))
	for i, r := range list {
		asked[i] = r
		bound := ""
		if r.Gives != "" {
			bound = "a later request needs what it returns"
		}
		asked[i].Do = func() error {
			answer, err := s.Before(r, i+1, len(list), bound)
			if err != nil {
				return &refusal{err}
			}
			if err = NotMade(Skipped); answer == Go {
				err = r.Do()
			}
			s.After(r, err)
			return err
		}
	}
	return asked
}

// refusal is a start that was ended before a request, which the kernel has not seen.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }
