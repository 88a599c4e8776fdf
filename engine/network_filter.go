package engine

import (
	"errors"

	"github.com/docker/docker/api/types/filters"
)

// networkSieve is the filters of `network ls`.
type networkSieve struct {
	args filters.Args
	used map[string]bool // ids of networks that somebody is on
}

func (s *networkSieve) pass(all []*networkRecord) ([]*networkRecord, error) {
	var passed []*networkRecord
	for _, r := range all {
		if s.matches(r) {
			passed = append(passed, r)
		}
	}
	passed, err := s.dangling(passed)
	if err != nil || !s.args.Contains("type") {
		return passed, err
	}
	return s.byType(passed)
}

func (s *networkSieve) matches(r *networkRecord) bool {
	exactly := func(key, value string) bool { return !s.args.Contains(key) || s.args.ExactMatch(key, value) }
	like := func(key, value string) bool { return !s.args.Contains(key) || s.args.Match(key, value) }
	return exactly("driver", r.Driver) && like("name", r.Name) && like("id", r.ID) && exactly("scope", "local") &&
		(!s.args.Contains("label") || s.args.MatchKVList("label", r.Labels))
}

// dangling networks are those that nobody is on, and that are not always there.
func (s *networkSieve) dangling(all []*networkRecord) ([]*networkRecord, error) {
	values := s.args.Get("dangling")
	if len(values) == 0 {
		return all, nil
	}
	if len(values) > 1 {
		return nil, invalid(`got more than one value for filter key "dangling"`)
	}
	var want bool
	switch values[0] {
	case "1", "true":
		want = true
	case "0", "false":
	default:
		return nil, invalid(`invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`)
	}
	var passed []*networkRecord
	for _, r := range all {
		if dangles := !r.predefined() && !s.used[r.ID]; dangles == want {
			passed = append(passed, r)
		}
	}
	return passed, nil
}

func (s *networkSieve) byType(all []*networkRecord) ([]*networkRecord, error) {
	var passed []*networkRecord
	err := s.args.WalkValues("type", func(value string) error {
		if value != "builtin" && value != "custom" {
			return errors.New("invalid filter: 'type'='" + value + "'")
		}
		for _, r := range all {
			if r.predefined() == (value == "builtin") {
				passed = append(passed, r)
			}
		}
		return nil
	})
	return passed, err
}
