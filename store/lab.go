package store

import (
	"context"
	"os"
	"path/filepath"
)

// Labs is where lessons keep what a learner has reached.
type Labs struct{ dir, run string }

func (r Root) Labs() Labs { return Labs{filepath.Join(r.Data, "labs"), filepath.Join(r.Run, "labs")} }

// Progress is what was done of each lesson, Active the lesson that is under way, with what the machine had before it.
func (l Labs) Progress() string { return l.dir + "/progress.json" }
func (l Labs) Active() string   { return l.dir + "/active.json" }

// Scratch holds the script of a lesson that is being run.
func (l Labs) Scratch() string { return l.run }

// Lock orders the commands that work on a lesson.
func (l Labs) Lock(ctx context.Context) (*Lock, error) {
	if err := os.MkdirAll(l.dir, 0o711); err != nil {
		return nil, err
	}
	return Exclusive(ctx, l.dir)
}
