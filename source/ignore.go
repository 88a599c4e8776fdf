package source

import (
	"fmt"
	"io"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Ignore is what a .dockerignore leaves out of a context, as Docker's client applies it when it packs one. Not for several goroutines at once.
type Ignore struct {
	matcher *patternmatcher.PatternMatcher
}

// ReadIgnore reads a .dockerignore.
func ReadIgnore(r io.Reader) (*Ignore, error) {
	patterns, err := ignorefile.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("error reading .dockerignore: %w", err)
	}
	return newIgnore(patterns)
}

func newIgnore(patterns []string) (*Ignore, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, err
	}
	return &Ignore{m}, nil
}

// Hides reports whether a file is left out, or a directory with all that it holds.
func (i *Ignore) Hides(name string, dir bool) bool {
	if i == nil || name == "." {
		return false
	}
	hidden, err := i.matcher.MatchesOrParentMatches(name)
	return err == nil && hidden && !(dir && i.keepsBelow(name))
}

// keepsBelow reports whether a directory that is left out may hold what an exception names. Docker looks for exceptions that begin
// with the directory's name, and for no others: those with a wildcard there have no effect.
func (i *Ignore) keepsBelow(dir string) bool {
	if !i.matcher.Exclusions() {
		return false
	}
	for _, p := range i.matcher.Patterns() {
		if p.Exclusion() && strings.HasPrefix(p.String()+"/", dir+"/") {
			return true
		}
	}
	return false
}
