package dockerfile

import (
	"fmt"
	"strings"

	"glassbox/source"
)

// cause says why a step is not in the cache: the very inputs that are others than at the last build of this context.
func (s *stage) cause(key string, a action) []string {
	if s.NoCache {
		return []string{"--no-cache"}
	}
	if r, _ := s.cache.read(key); r.Image != "" {
		return []string{fmt.Sprintf("the image %s that it gave is gone", short(r.Image))}
	}
	past, known := s.past.after(s.id, s.number)
	if known && past.Key == key {
		return []string{"its note in the cache is gone"}
	}
	if known {
		return s.differences(past, a)
	}
	base, had := s.past.base(s.number)
	switch {
	case s.missed:
		return []string{"the step before it gave another image"}
	case had && s.id == s.begun && base.Image != s.begun && base.Image != "":
		return []string{fmt.Sprintf("%s is another image: %s, was %s", s.SourceCode, shortOrNone(s.begun), short(base.Image))}
	case len(s.past.was) == 0:
		return []string{"no earlier build of this context is known"}
	}
	return []string{"no earlier build of this context did anything with the image before it"}
}

// differences are the inputs that are not as they were.
func (s *stage) differences(past pastStep, a action) (all []string) {
	was := map[string]string{}
	for _, in := range past.Inputs {
		was[in.Name] = in.Value
	}
	for _, in := range a.inputs {
		old, had := was[in.Name]
		delete(was, in.Name)
		switch {
		case had && old == in.Value || in.Name == "command" && len(all) > 0:
		case in.Name == "instruction":
			all = append(all, fmt.Sprintf("it was: %s", oneLine(old)))
		case had && strings.HasPrefix(in.Name, "files"):
			all = append(all, changes(s.cache.files(past.Key), a.files)...)
		case strings.HasPrefix(in.Name, "files"):
		case had:
			all = append(all, fmt.Sprintf("%s is %s, was %s", in.Name, worth(in.Value), worth(old)))
		default:
			all = append(all, fmt.Sprintf("%s is new: %s", in.Name, worth(in.Value)))
		}
	}
	for _, in := range past.Inputs {
		if _, gone := was[in.Name]; gone && in.Name != "command" && in.Name != "files" {
			all = append(all, in.Name+" is not there any more")
		}
	}
	return all
}

// changes are the files that are not as they were. Both lists are sorted by name.
func changes(was, is []source.Entry) (all []string) {
	if was == nil {
		return []string{"the files are others"}
	}
	const shown = 5
	n := 0
	tell := func(name, what string) {
		if n++; n <= shown {
			all = append(all, name+what)
		}
	}
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(was) == 0 || len(is) > 0 && is[0].Name < was[0].Name:
			tell(is[0].Name, " is new")
			is = is[1:]
		case len(is) == 0 || was[0].Name < is[0].Name:
			tell(was[0].Name, " is gone")
			was = was[1:]
		default:
			if was[0].Digest != is[0].Digest {
				tell(is[0].Name, fmt.Sprintf(" changed (%s, was %s)", short(is[0].Digest), short(was[0].Digest)))
			}
			was, is = was[1:], is[1:]
		}
	}
	if n > shown {
		all = append(all, fmt.Sprintf("and %d more files", n-shown))
	}
	return all
}

// worth is a value as people read it: digests are short, and so is what is long.
func worth(v string) string {
	if hex, is := strings.CutPrefix(v, "sha256:"); is && len(hex) == 64 {
		return hex[:12]
	}
	return fmt.Sprintf("%q", oneLine(v))
}

// oneLine is the beginning of a text that may have several lines.
func oneLine(text string) string {
	text = strings.ReplaceAll(text, "\n", " ")
	if r := []rune(text); len(r) > 80 {
		return string(r[:79]) + "…"
	}
	return text
}
