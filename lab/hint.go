package lab

import (
	"slices"
	"strings"
)

// NextHint is the first paragraph that has not been given: those come first that are about what the check has said. It is empty when all
// that fit have been given.
func (t Task) NextHint(said string, given []string) string {
	said = flat(said)
	for _, conditional := range []bool{true, false} {
		for _, h := range t.Hints {
			if conditional == (h.When != "") && strings.Contains(said, flat(h.When)) && !slices.Contains(given, h.Text) {
				return h.Text
			}
		}
	}
	return ""
}
