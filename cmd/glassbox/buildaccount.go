package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"glassbox/dockerfile"

	"github.com/docker/go-units"
)

// writeBuildAccount prints what came of each step, or what would come of it.
func writeBuildAccount(w io.Writer, a *dockerfile.Account, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(a.Steps)
	}
	var t buildTotal
	for _, s := range a.Steps {
		put(w, "Step %d/%d : %s\n", s.Step, s.Steps, oneLine(s.Text))
		put(w, "  %s\n", outcome(s))
		for _, why := range s.Why {
			put(w, "  because %s\n", why)
		}
		t.add(s)
	}
	put(w, "%s\n", t)
	return nil
}

// outcome is a line on what came of a step.
func outcome(s dockerfile.StepAccount) string {
	id := "nothing"
	if s.Image != "" {
		id = s.Image.Encoded()[:12]
	}
	layer := "no layer"
	if s.Layer != "" {
		layer = units.HumanSize(float64(s.Bytes)) + " in " + s.Layer
	}
	switch s.Outcome {
	case dockerfile.Cached:
		return fmt.Sprintf("cached: %s, made %s ago in %s; %s", id, units.HumanDuration(time.Since(s.Made)), brief(s.Took), layer)
	case dockerfile.Made:
		return fmt.Sprintf("made: %s in %s; %s", id, brief(s.Took), layer)
	case dockerfile.Failed:
		return fmt.Sprintf("failed after %s", brief(s.Took))
	case dockerfile.Due:
		return "to be carried out"
	}
	if s.Bytes > 0 {
		return fmt.Sprintf("begins with %s, %s", id, units.HumanSize(float64(s.Bytes)))
	}
	return "begins with " + id
}

func brief(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Microsecond)
}

// buildTotal sums up.
type buildTotal struct {
	cached, made, due int
	saved, took       time.Duration
	bytes             int64
}

func (t *buildTotal) add(s dockerfile.StepAccount) {
	switch s.Outcome {
	case dockerfile.Cached:
		t.cached++
		t.saved += s.Took
	case dockerfile.Made:
		t.made++
		t.took, t.bytes = t.took+s.Took, t.bytes+s.Bytes
	case dockerfile.Due:
		t.due++
	}
}

func (t buildTotal) String() string {
	text := fmt.Sprintf("%d cached, which saved %s; ", t.cached, brief(t.saved))
	if t.due > 0 {
		return text + fmt.Sprintf("%d to be carried out", t.due)
	}
	return text + fmt.Sprintf("%d made in %s, %s", t.made, brief(t.took), units.HumanSize(float64(t.bytes)))
}
