package conformance

import (
	"bufio"
	"regexp"
	"strings"
	"testing"
)

var (
	result     = regexp.MustCompile(`^(not )?ok\b[ 0-9]*(?:- )?(.*)$`)
	diagnostic = regexp.MustCompile(`^\s*"error": "(.+)",?$`)
)

// objections reads what a program printed, which is TAP, and returns what it has against the runtime: the name of each test that is
// "not ok", and each error in a diagnosis that follows no test. Several programs tell of a failure by that alone and print "1..0".
func objections(output string) []string {
	var list []string
	s := bufio.NewScanner(strings.NewReader(output))
	s.Buffer(nil, 1<<20)
	inside, tested := false, false // in a diagnosis; a test came after the last one, to which the next belongs
	for s.Scan() {
		line := s.Text()
		switch {
		case line == "  ---":
			inside = true
		case line == "  ...":
			inside, tested = false, false
		case inside:
			if m := diagnostic.FindStringSubmatch(line); m != nil && !tested {
				first, _, _ := strings.Cut(m[1], `\n`)
				list = append(list, first)
			}
		default:
			m := result.FindStringSubmatch(line)
			tested = tested || m != nil
			if m != nil && m[1] != "" {
				list = append(list, m[2])
			}
		}
	}
	return list
}

func TestObjections(t *testing.T) {
	for _, c := range []struct{ name, output, want string }{
		{"all well", "TAP version 13\nok 1 - a\nok 2 - b # SKIP not set\n1..2\n", ""},
		{"a test failed", "TAP version 13\nok 1 - a\nnot ok 2 - set namespace\n  ---\n  {\n    \"error\": \"exit status 1\"\n  }\n  ...\n1..2\n", "set namespace"},
		{"a name of two lines", "ok 1 - must fail\nRefer to: https\n  ---\n  {\n    \"error\": \"exit status 1\"\n  }\n  ...\n1..1\n", ""},
		{"an error that was expected", "ok 1 - must fail\n  ---\n  {\n    \"error\": \"exit status 1\",\n    \"stderr\": \"no\"\n  }\n  ...\n1..1\n", ""},
		{"a failure without a test", "TAP version 13\n  ---\n  {\n    \"error\": \"hooks MUST warn\\nRefer to: https\"\n  }\n  ...\n1..0\n", "hooks MUST warn"},
		{"a diagnosis before its test", "  ---\n  {\n    \"stdout\": \"not ok 3 - inside\"\n  }\n  ...\nnot ok 1 - propagation\n1..1\n", "propagation"},
	} {
		if got := strings.Join(objections(c.output), "; "); got != c.want {
			t.Errorf("%s: %q, not %q", c.name, got, c.want)
		}
	}
}
