package experiment

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"glassbox/store"
)

// Result is both halves of an experiment, compared.
type Result struct {
	Name     string   `json:"name"`
	What     string   `json:"what"`
	Missing  string   `json:"missing"`
	Manual   string   `json:"manual"`
	Files    []string `json:"files"`
	Lab      string   `json:"lab"`
	Risk     string   `json:"risk,omitempty"` // what the probe could do to the real host, and why it was let
	Changes  []Change `json:"changes"`
	Whole    Half     `json:"whole"`
	Without  Half     `json:"without"`
	requests [2]int
}

// Half is one run as it is shown.
type Half struct {
	Command string `json:"command"` // what one would type
	Note    string `json:"note,omitempty"`
	Output  []Line `json:"output"`
	Exit    int    `json:"exit"`
	Ended   string `json:"ended,omitempty"`
	Host    []Line `json:"host,omitempty"`
	run     *Run
}

// Do runs the experiment, whole and without, and compares. argv calls the command line that knows KeepWord and ActWord.
func Do(ctx context.Context, argv []string, r Request) (*Result, error) {
	e, _ := Of(r.Name)
	var halves [2]*Run
	for i, whole := range []bool{true, false} {
		var err error
		r.Whole = whole
		if halves[i], err = Play(ctx, argv, r); err != nil {
			return nil, fmt.Errorf("experiment %s, %s: %w", r.Name, []string{"whole", "without it"}[i], err)
		}
	}
	return e.compare(r, halves[0], halves[1]), nil
}

func (e Experiment) compare(r Request, whole, less *Run) *Result {
	res := &Result{
		Name: e.Name, What: e.What, Missing: e.Missing, Manual: e.Manual, Files: e.Files, Lab: e.Lab, Changes: gathered(changes(whole, less)),
		Whole:    Half{Command: e.whole.command(r), Note: e.whole.note, Exit: whole.Exit, Ended: whole.Ended, run: whole},
		Without:  Half{Command: e.without.command(r), Note: e.without.note, Exit: less.Exit, Ended: less.Ended, run: less},
		requests: [2]int{len(requests(whole)), len(requests(less))},
	}
	slices.SortStableFunc(res.Changes, func(a, b Change) int { return rank(b, e.Calls) - rank(a, e.Calls) })
	res.Whole.Output, res.Without.Output = lines(whole, less, func(r *Run) []string { return r.Output })
	res.Whole.Host, res.Without.Host = lines(whole, less, func(r *Run) []string { return r.Host })
	return res
}

// rank puts the essential changes first.
func rank(c Change, calls []string) int {
	if c.essential(calls) {
		return 1
	}
	return 0
}

// command is what one would type for a container like this.
func (s setting) command(r Request) string {
	words := []string{"run"}
	if !strings.Contains(s.flags, "--network") {
		words = append(words, "--network none")
	}
	if s.flags != "" {
		words = append(words, s.flags)
	}
	if !strings.Contains(s.flags, "--rootfs") {
		words = append(words, r.Image)
	}
	return strings.ReplaceAll(strings.Join(words, " "), stageDir, (&stage{root: store.Open()}).dir())
}
