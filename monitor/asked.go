package monitor

import (
	"context"

	"glassbox/program"
)

// Asker answers before each call of a start or exec that somebody steps through. The context ends when the answer has come too late, because
// the process or its monitor was killed. An error ends the start, which then ends with it.
type Asker func(context.Context, program.Stop) (program.Answer, error)

// converse waits for a reply, and answers the questions that come before it.
func (c *conn) converse(ask Asker) (reply, error) {
	r, err := c.hear()
	for err == nil && r.Stop != nil {
		r, err = c.answer(ask, *r.Stop)
	}
	return r, err
}

// answer answers one question and returns what comes next. The monitor is listened to meanwhile: it may have more to say before we have.
func (c *conn) answer(ask Asker, s program.Stop) (reply, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type word struct {
		reply
		error
	}
	next := make(chan word, 1)
	go func() {
		r, err := c.hear()
		cancel()
		next <- word{r, err}
	}()
	answer, refusal := ask(ctx, s)
	if ctx.Err() != nil {
		w := <-next
		return w.reply, w.error
	}
	r := request{Do: "go"}
	switch {
	case refusal != nil:
		r = request{Do: "quit", Text: refusal.Error()}
	case answer == program.Skip:
		r.Do = "skip"
	}
	if err := c.say(r); err != nil && refusal == nil {
		return reply{}, err
	}
	w := <-next
	if refusal != nil && w.error != nil {
		return w.reply, &ended{refusal, w.error}
	}
	return w.reply, w.error
}

// ended is a start that ended by an answer: with the error of whoever was asked, and what the monitor says of it.
type ended struct{ answer, reply error }

func (e *ended) Error() string   { return e.answer.Error() }
func (e *ended) Unwrap() []error { return []error{e.answer, e.reply} }
