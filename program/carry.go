package program

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Carry carries out requests of the host in their order. Each is noted, and the way back of those that succeeded is added to undo.
// The first that the kernel refuses ends it, as a *HostFailure; nothing is taken back yet.
func Carry(requests []Request, note func(Request, error), undo *[]func() error) error {
	for _, r := range requests {
		err := r.Do()
		if ended := (*refusal)(nil); errors.As(err, &ended) {
			return ended.error
		}
		note(r, err)
		if errors.As(err, new(Tolerated)) || errors.As(err, new(NotMade)) {
			continue
		}
		if err != nil {
			return &HostFailure{Request: r, Err: err}
		}
		if r.Undo != nil {
			*undo = append(*undo, r.Undo)
		}
	}
	return nil
}

// HostFailure is a request of the host's half that the kernel refused.
type HostFailure struct {
	Request Request
	Err     error
}

func (f *HostFailure) Error() string {
	from := ""
	if f.Request.From != "" {
		from = " (asked for by " + f.Request.From + ")"
	}
	return fmt.Sprintf("host: %s%s: %s: %v", f.Request.Why, from, strings.TrimSpace(f.Request.Call), f.Err)
}

func (f *HostFailure) Unwrap() error { return f.Err }

// Ledger is the host's requests of one undertaking outside a container's start: what was asked of the kernel, and the way back.
// Its zero value is ready.
type Ledger struct {
	Step  *Stepping // asks before each; nil: nobody is asked
	Began time.Time // from when times are counted; zero: the first request

	told []Done
	undo []func() error
}

// Carry carries out requests; after a failure those of all earlier calls can be taken back with Back.
func (l *Ledger) Carry(requests ...Request) error {
	if l.Began.IsZero() {
		l.Began = time.Now()
	}
	return Carry(l.Step.Requests(requests), func(r Request, err error) { l.told = append(l.told, r.Done(err, time.Since(l.Began))) }, &l.undo)
}

// Back takes back what was done, last first.
func (l *Ledger) Back() error {
	var errs []error
	for i := len(l.undo) - 1; i >= 0; i-- {
		errs = append(errs, l.undo[i]())
	}
	l.undo = nil
	return errors.Join(errs...)
}

// Account is what was asked of the kernel, as one phase.
func (l *Ledger) Account(phase, why string) Account {
	return Account{Phase: phase, Why: why, Host: l.told}
}

// Intended is the account of requests that nobody carries out.
func Intended(phase, why string, requests []Request) Account {
	a := Account{Phase: phase, Why: why, Plan: true}
	for _, r := range requests {
		a.Host = append(a.Host, Done{Call: r.Call, From: r.From, Why: r.Why})
	}
	return a
}
