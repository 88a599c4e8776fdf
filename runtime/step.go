package runtime

import "glassbox/program"

// stepping asks before each call of a start, the host's and the child's. Nil asks nobody.
type stepping struct {
	answer func(program.Stop) error
	gave   []program.Done // the host's requests that nobody has been told the outcome of
}

func newStepping(answer func(program.Stop) error) *stepping {
	if answer == nil {
		return nil
	}
	return &stepping{answer: answer}
}

// ask tells of what has come of the host's requests, too.
func (s *stepping) ask(stop program.Stop) error {
	stop.Gave = append(s.gave, stop.Gave...)
	s.gave = nil
	return s.answer(stop)
}

// plan is the plan with the child's questions in it.
func (s *stepping) plan(phases []program.Phase) []program.Phase {
	if s == nil {
		return phases
	}
	return program.Stepped(phases)
}

// request asks before one of the host's requests.
func (s *stepping) request(r program.Request) error {
	if s == nil {
		return nil
	}
	return s.ask(program.Stop{Next: []program.Done{{Call: r.Call, From: r.From, Why: r.Why}}})
}

// done keeps what has come of it for the next question.
func (s *stepping) done(r program.Request, err error) {
	if s != nil {
		s.gave = append(s.gave, r.Done(err, 0))
	}
}

// requests are the host's, each asked for before it is carried out.
func (s *stepping) requests(list []program.Request) []program.Request {
	if s == nil {
		return list
	}
	asked := make([]program.Request, len(list))
	for i, r := range list {
		asked[i] = r
		asked[i].Do = func() error {
			if err := s.request(r); err != nil {
				return err
			}
			err := r.Do()
			s.done(r, err)
			return err
		}
	}
	return asked
}
