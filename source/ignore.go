package source

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// Ignore is what a .dockerignore leaves out of a context, as Docker's client applies it when it packs one.
type Ignore struct {
	mu      sync.Mutex // a matcher compiles its patterns when it first needs them
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
		return nil, fmt.Errorf("checking context: %w", err)
	}
	return &Ignore{matcher: m}, nil
}

// Hides reports whether a file is left out, or a directory with all that it holds.
func (i *Ignore) Hides(name string, dir bool) bool {
	if i == nil || name == "." {
		return false
	}
	return i.matches(name) && !(dir && i.keepsBelow(name))
}

// matches reports whether the patterns name a file or a directory in which it is, and no exception does.
func (i *Ignore) matches(name string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	hidden, err := i.matcher.MatchesOrParentMatches(name)
	return err == nil && hidden
}

// below is matches for who knows already what the patterns say of the directory.
func (i *Ignore) below(name string, dir patternmatcher.MatchInfo) (bool, patternmatcher.MatchInfo, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.matcher.MatchesUsingParentResults(name, dir)
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
