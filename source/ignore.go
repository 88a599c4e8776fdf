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
	for _, p := range m.Patterns() {
		// A matcher finds out late that it cannot make anything of a pattern, and of an exception only where there is something to except.
		alone, err := patternmatcher.New([]string{p.String()})
		if err == nil {
			_, err = alone.MatchesOrParentMatches("name")
		}
		if err != nil {
			return nil, fmt.Errorf("checking context: %w", err)
		}
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

// matches reports whether a file or directory is left out itself.
func (i *Ignore) matches(name string) bool {
	hidden, _ := i.descend(name)
	return hidden
}

// descend asks about a path as whoever walks to it does, directory by directory: the matcher remembers of a directory what was asked about it, and
// says other things of a file in it than when it is asked about the file alone.
func (i *Ignore) descend(name string) (hidden bool, known patternmatcher.MatchInfo) {
	if name == "." {
		return false, known
	}
	for end := range len(name) + 1 {
		if end < len(name) && name[end] != '/' {
			continue
		}
		var err error
		if hidden, known, err = i.below(name[:end], known); err != nil {
			return false, known
		}
		if hidden && end < len(name) && !i.keepsBelow(name[:end]) {
			return true, known // nobody goes further
		}
	}
	return hidden, known
}

// below says what the patterns say of a file, by what they said of its directory.
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
