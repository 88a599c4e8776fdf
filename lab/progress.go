package lab

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"glassbox/store"
)

// progress is what was reached of each lesson, by its name. It outlives resets.
type progress map[string]*record

// record is one lesson's.
type record struct {
	Digest string        `json:"digest"` // of the lesson as it was done; with another one the record begins anew
	Begun  string        `json:"begun"`  // RFC 3339
	Tasks  []*taskRecord `json:"tasks"`
}

// taskRecord is one task's.
type taskRecord struct {
	Done     string   `json:"done,omitempty"` // when, RFC 3339; the first time
	Attempts int      `json:"attempts"`       // checks that did not pass
	Hints    int      `json:"hints"`
	Said     []string `json:"said,omitempty"` // the last things that checks have said
}

// mostKept is how many messages of checks are kept for a task.
const mostKept = 5

func (r *record) done() (n int) {
	for _, t := range r.Tasks {
		if t.Done != "" {
			n++
		}
	}
	return n
}

// progress reads it. What is damaged is set aside and said.
func (d *Desk) progress() (progress, error) {
	p := progress{}
	err := store.Read(d.labs.Progress(), &p)
	var damaged *store.Corrupt
	switch {
	case errors.As(err, &damaged):
		d.tell("%v: progress begins anew", err)
		return progress{}, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	for id, r := range p {
		if r == nil || slices.Contains(r.Tasks, nil) {
			delete(p, id)
		}
	}
	return p, nil
}

// note changes a lesson's record.
func (d *Desk) note(l *Lesson, change func(r *record)) error {
	p, err := d.progress()
	if err != nil {
		return err
	}
	r := p[l.ID]
	if r == nil || r.Digest != l.Digest || len(r.Tasks) != len(l.Tasks) {
		r = &record{Digest: l.Digest, Begun: now(), Tasks: make([]*taskRecord, len(l.Tasks))}
		for i := range r.Tasks {
			r.Tasks[i] = &taskRecord{}
		}
		p[l.ID] = r
	}
	change(r)
	return store.Write(d.labs.Progress(), p)
}

// noteCheck notes a check of task n, which has said what is missing.
func (d *Desk) noteCheck(l *Lesson, n int, missing string) error {
	return d.note(l, func(r *record) {
		t := r.Tasks[n-1]
		switch {
		case missing == "" && t.Done == "":
			t.Done = now()
		case missing != "" && t.Done == "":
			t.Attempts++
			t.Said = append(t.Said, clipText(missing, 300))
			t.Said = t.Said[max(0, len(t.Said)-mostKept):]
		}
	})
}

func (d *Desk) noteHint(l *Lesson, n int) error {
	return d.note(l, func(r *record) {
		if t := r.Tasks[n-1]; t.Done == "" {
			t.Hints++
		}
	})
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// clipText is at most n bytes of text, in whole characters.
func clipText(text string, n int) string {
	if len(text) <= n {
		return text
	}
	end := 0
	for i := range text {
		if i > n {
			break
		}
		end = i
	}
	return text[:end] + "..."
}
