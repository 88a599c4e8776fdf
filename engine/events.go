package engine

import (
	"context"
	"errors"
	"time"

	"glassbox/event"

	"github.com/docker/docker/api/types/events"
	timestamp "github.com/docker/docker/api/types/time"
)

// Events is `events`: what happened from o.Since on, and goes on happening until o.Until or ctx's end. The times are as the API's client
// sends them: seconds, with or without a fraction. Without either of them nothing of the past is told.
func (s *System) Events(ctx context.Context, o events.ListOptions, each func(events.Message) error) error {
	p, err := readPeriod(o)
	if err != nil {
		return err
	}
	open := journal(s.root).Read
	if p.since.IsZero() && p.until.IsZero() {
		open = journal(s.root).Tail
	}
	r, err := open(s.containers.warn)
	if err != nil {
		return err
	}
	defer r.Close()
	if !p.until.IsZero() && !p.past {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, p.until, errOver)
		defer cancel()
	}
	err = p.tell(ctx, r, eventSieve{o.Filters}, each)
	if context.Cause(ctx) == errOver {
		return nil
	}
	return err
}

var errOver = errors.New("the time until which events were asked for has come")

// period is what of the time is asked for; zero ends are open.
type period struct {
	since, until time.Time
	past         bool // it was over when it was asked for
}

func readPeriod(o events.ListOptions) (p period, err error) {
	if p.since, err = eventTime(o.Since); err == nil {
		p.until, err = eventTime(o.Until)
	}
	if err != nil {
		return p, invalid("%w", err)
	}
	if p.until.IsZero() {
		return p, nil
	}
	if p.until.Before(p.since) {
		return p, invalid("`since` time (%s) cannot be after `until` time (%s)", o.Since, o.Until)
	}
	p.past = p.until.Before(time.Now())
	return p, nil
}

func eventTime(text string) (time.Time, error) {
	seconds, nanos, err := timestamp.ParseTimestamps(text, -1)
	if err != nil || seconds == -1 {
		return time.Time{}, err
	}
	return time.Unix(seconds, nanos), nil
}

// tell reads on until the period is over. Its ends are for what is past already when it is read first, as in Docker: what comes later is
// told of as it comes. An end at the beginning of time is none.
func (p period) tell(ctx context.Context, r *event.Reader, sieve eventSieve, each func(events.Message) error) error {
	for live := false; ; {
		e, ok, err := r.Next()
		switch {
		case err != nil:
			return err
		case !ok && p.past:
			return nil
		case !ok:
			live = true
			if err := r.Wait(ctx); err != nil {
				return err
			}
			continue
		case !live && (e.Time.Before(p.since) || p.until.UnixNano() > 0 && e.Time.After(p.until)):
			continue
		}
		if m := message(e); sieve.passes(m) {
			if err := each(m); err != nil {
				return err
			}
		}
	}
}

// message is an event in the API's type, with the members that it still has for clients of before 2016.
func message(e event.Event) events.Message {
	m := events.Message{
		Type: events.Type(e.Type), Action: events.Action(e.Action), Actor: events.Actor{ID: e.ID, Attributes: e.Attributes},
		Scope: "local", Time: e.Time.Unix(), TimeNano: e.Time.UnixNano(),
	}
	switch m.Type {
	case events.ContainerEventType:
		m.Status, m.ID, m.From = e.Action, e.ID, e.Attributes["image"] //nolint:staticcheck // Docker still sets them
	case events.ImageEventType:
		m.Status, m.ID = e.Action, e.ID //nolint:staticcheck // Docker still sets them
	}
	return m
}
