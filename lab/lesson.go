// Package lab plays lessons: text files (package labs, or a directory of one's own) with tasks, and checks that look at what the kernel and
// glassbox's records hold. It keeps what a learner has reached, brings the machine back to what it was before, and makes a class's table.
package lab

import (
	"fmt"
	"strings"
	"time"
)

// Lesson is one file.
type Lesson struct {
	ID      string // the file's name without .txtar
	File    string // where it was read; for the built-in ones the name within package labs
	Foreign bool   // from a directory, not built in
	Digest  string // SHA-256 of the file: another digest is another version of the lesson

	Title   string
	Order   int
	Minutes int
	Needs   []string // words that package doctor knows
	Uses    []Object // what it makes by hand
	Bound   time.Duration

	Why, Setup, Explanation, Reset string
	Tasks                          []Task
}

// Task is one thing to do.
type Task struct {
	Text     string
	Check    string
	Hints    []Hint
	Solution string
	Wrong    Attempt
}

// Hint is one paragraph of a hint.
type Hint struct {
	When string // the check must have said this; empty: it always fits
	Text string
}

// Attempt is a plausible wrong solution, and what comes of it.
type Attempt struct {
	Script string
	Undo   string // takes it back
	Says   string // a piece of what the check says to it
	Hint   string // a piece of the hint that is given first then
}

// Object is a thing on the machine that a lesson makes by hand, as a word of `uses:`, KIND:NAME.
type Object struct{ Kind, Name string }

func (o Object) String() string { return o.Kind + ":" + o.Name }

// Problem is what is wrong with a lesson's file.
type Problem struct {
	File string
	Line int // 0: the file as a whole
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Invalid is the error for a lesson that cannot be played.
type Invalid []Problem

func (e Invalid) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}
