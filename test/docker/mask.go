package docker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Mask replaces what differs between two runs of the same session: ids, hardware addresses and random ports by their order of
// appearance, times, durations. Digests and image ids are the same on both sides and stay, and so do addresses: each side is a
// host of its own with the same networks.
type Mask struct {
	root  string   // where this side keeps its data
	known []string // digests that both sides share
	ids   []string
	macs  []string
	ports []string
}

var (
	hexadecimal = regexp.MustCompile(`\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b`)
	moment      = regexp.MustCompile(`\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d\d:?\d\d(?: UTC)?)`)
	duration    = regexp.MustCompile(`Less than a second|About (?:a minute|an hour)|\b\d+ (?:second|minute|hour)s?\b`)
	mac         = regexp.MustCompile(`\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b`)
	linkLocal   = regexp.MustCompile(`\bfe80::[0-9a-f:]+`)           // made from the hardware address
	allBusy     = regexp.MustCompile(`Bind for (?::::|0\.0\.0\.0:)`) // Docker names either of the two that are busy
	roundTrip   = regexp.MustCompile(`\btime=\d+\.\d+ ms`)
	randomPort  = regexp.MustCompile(`(:|"HostPort": ?")(3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[45]\d{4}|60\d{3})\b`)
	escape      = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
	progress    = regexp.MustCompile(`(?m)^[0-9a-f]{12}: (?:Waiting|Verifying Checksum|Download complete)\n`)
	merged      = regexp.MustCompile(`<root>/overlay2/[0-9a-f]{64}/merged`)
	deprecated  = regexp.MustCompile(`(?s)DEPRECATED: The legacy builder .*?\n\n`) // ours is not
	// Docker has a container for each instruction that only changes the configuration, since what it commits is containers. Nothing runs in it.
	nothingRuns = regexp.MustCompile(`(?m)^(Step \d+/\d+ : (?i:arg|cmd|entrypoint|env|expose|healthcheck|label|maintainer|onbuild|shell|stopsignal|user|volume|workdir) .*\n(?:Note: .*\n)?)` +
		` ---> Running in [0-9a-f]{12}\n(?: ---> Removed intermediate container [0-9a-f]{12}\n)?`)
	padding = regexp.MustCompile(` {3,}`)
)

// Apply masks one output. A table with durations in it has columns as wide as they happen to be, so there only the order
// of columns is compared.
func (m *Mask) Apply(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if m.root != "" {
		text = strings.ReplaceAll(text, m.root, "<root>")
	}
	text = escape.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "error during container init: ", "") // runc says so from 1.2 on; Debian 12 has 1.1
	text = progress.ReplaceAllString(text, "")                           // shown when they last long enough to be seen
	text = merged.ReplaceAllString(text, "<merged>")
	text = deprecated.ReplaceAllString(text, "")
	text = nothingRuns.ReplaceAllString(text, "$1")
	text = hexadecimal.ReplaceAllStringFunc(text, m.id)
	text = moment.ReplaceAllString(text, "<time>")
	text = allBusy.ReplaceAllString(text, "Bind for 0.0.0.0:")
	text = linkLocal.ReplaceAllString(text, "<link-local>")
	text = roundTrip.ReplaceAllString(text, "time=<duration>")
	text = mac.ReplaceAllStringFunc(text, func(s string) string { return numbered(&m.macs, "mac", s) })
	text = randomPort.ReplaceAllStringFunc(text, func(s string) string {
		before := strings.LastIndexAny(s, `:"`) + 1
		return s[:before] + numbered(&m.ports, "port", s[before:])
	})
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

// numbered is the place of s among those seen.
func numbered(seen *[]string, what, s string) string {
	i := slices.Index(*seen, s)
	if i < 0 {
		i = len(*seen)
		*seen = append(*seen, s)
	}
	return fmt.Sprintf("<%s %d>", what, i+1)
}
