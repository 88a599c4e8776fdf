package source

import (
	"path"
	"strings"

	"github.com/moby/patternmatcher"
)

// sieve says what a walk leaves out: what .dockerignore names, what --exclude names, and with --parents what the path does not name.
type sieve struct {
	ignore  *Ignore
	exclude *patternmatcher.PatternMatcher
	include *patternmatcher.PatternMatcher
	fixed   []string // the components with which everything that include matches begins
	asked   string   // what include was made of
	deep    int      // how many directories deep there may be something; 0: any
}

// strain is what the matchers know of a directory.
type strain struct{ ignore, exclude, include patternmatcher.MatchInfo }

// strain decides about a file. What lies below a directory that is left out may not be: then it is entered.
func (s *sieve) strain(at *frame, f *found) (err error) {
	f.keep, f.enter = true, f.isDir()
	if s.ignore != nil {
		hidden := false
		hidden, f.strain.ignore, err = s.ignore.below(f.name, at.strain.ignore)
		if err != nil {
			return err
		}
		if hidden {
			f.keep, f.bare = false, true
			f.enter = f.isDir() && s.ignore.keepsBelow(f.name)
		}
	}
	if s.exclude != nil {
		out := false
		out, f.strain.exclude, err = s.exclude.MatchesUsingParentResults(f.inside, at.strain.exclude)
		if err != nil {
			return err
		}
		if out {
			f.keep = false
			f.enter = f.enter && s.exclude.Exclusions()
		}
	}
	if s.include != nil {
		in := false
		in, f.strain.include, err = s.include.MatchesUsingParentResults(f.inside, at.strain.include)
		if err != nil {
			return err
		}
		f.keep = f.keep && in
		f.enter = f.enter && (in || s.leads(f.inside))
	}
	// Of a directory that is left out one must know whether all in it is.
	if s.deep > 0 && !f.bare && strings.Count(f.inside, "/")+1 >= s.deep {
		f.enter = false
	}
	return nil
}

// leads reports whether a directory lies on the way to what include names.
func (s *sieve) leads(name string) bool {
	for i, part := range strings.Split(name, "/") {
		if i >= len(s.fixed) {
			return true
		}
		if s.fixed[i] != part {
			return false
		}
	}
	return true
}

// only lets through what a path of --parents names.
func (s *sieve) only(pattern string) (err error) {
	s.include, err = patternmatcher.New([]string{pattern})
	for _, part := range strings.Split(path.Clean(pattern), "/") {
		if wild(part) || strings.Contains(part, `\`) {
			break
		}
		s.fixed = append(s.fixed, part)
	}
	return err
}

// wild reports wildcards that are not escaped, path.Match.
func wild(name string) bool {
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}
