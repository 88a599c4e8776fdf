package lab

import (
	"slices"
	"strings"
)

// NextHint is the first paragraph that has not been given: those come first that are about what the check has said. It is empty when all
// that fit have been given.
func (t *Task) NextHint(said string, given []string) string {
	if fitting := t.fitting(said, given); len(fitting) > 0 {
		return fitting[0]
	}
	return ""
}

// left is how many are still to be given.
func (t *Task) left(said string, given []string) int { return len(t.fitting(said, given)) }

func (t *Task) fitting(said string, given []string) (texts []string) {
	said = flat(said)
	for _, conditional := range []bool{true, false} {
		for _, h := range t.Hints {
			if conditional == (h.When != "") && strings.Contains(said, flat(h.When)) && !slices.Contains(given, h.Text) {
				texts = append(texts, h.Text)
			}
		}
	}
	return texts
}
