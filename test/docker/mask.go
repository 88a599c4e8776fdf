package docker

import (
	"fmt"
	"regexp"
	"strings"
)

// Mask replaces what differs between two runs of the same session: ids by their order of appearance, times, durations,
// addresses. Digests and image ids are the same on both sides and stay.
type Mask struct {
	known []string // digests that both sides share
	ids   []string
}

var (
	hexadecimal = regexp.MustCompile(`\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b`)
	moment      = regexp.MustCompile(`\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d\d:?\d\d(?: UTC)?)`)
	duration    = regexp.MustCompile(`Less than a second|About (?:a minute|an hour)|\b\d+ (?:second|minute|hour)s?\b`)
	address     = regexp.MustCompile(`\b172\.17\.0\.\d+\b`)
	escape      = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	progress    = regexp.MustCompile(`(?m)^[0-9a-f]{12}: (?:Waiting|Verifying Checksum|Download complete)\n`)
	padding     = regexp.MustCompile(` {3,}`)
)

// Apply masks one output. A table with durations in it has columns as wide as they happen to be, so there only the order
// of columns is compared.
func (m *Mask) Apply(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = escape.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "error during container init: ", "") // runc says so from 1.2 on; Debian 12 has 1.1
	text = progress.ReplaceAllString(text, "")                           // shown when they last long enough to be seen
	text = hexadecimal.ReplaceAllStringFunc(text, m.id)
	text = moment.ReplaceAllString(text, "<time>")
	text = address.ReplaceAllString(text, "<address>")
	if duration.MatchString(text) {
		text = duration.ReplaceAllString(text, "<duration>")
		text = padding.ReplaceAllString(text, "   ")
	}
	return text
}

func (m *Mask) id(s string) string {
	for _, known := range m.known {
		if strings.HasPrefix(known, s) {
			return s
		}
	}
	for i, id := range m.ids {
		if strings.HasPrefix(id, s) || strings.HasPrefix(s, id) {
			return fmt.Sprintf("<id %d of %d digits>", i+1, len(s))
		}
	}
	m.ids = append(m.ids, s)
	return fmt.Sprintf("<id %d of %d digits>", len(m.ids), len(s))
}
