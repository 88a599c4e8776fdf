package attendant

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"
)

// dig asks the room's resolver with the real dig(1) and returns what it printed.
func (r *room) dig(args ...string) string {
	r.t.Helper()
	dig := need.Program(r.t, "dig")
	all := append([]string{"@" + r.server.Addr().String(), "-p", port(r), "+time=5", "+tries=1"}, args...)
	out, err := exec.Command(dig, all...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("dig %s: %v\n%s", strings.Join(all, " "), err, out)
	}
	return string(out)
}

func port(r *room) string {
	_, p, _ := strings.Cut(r.server.String(), ":")
	return p
}

// short is what dig +short prints, as sorted words.
func (r *room) short(args ...string) string {
	r.t.Helper()
	words := strings.Fields(r.dig(append(args, "+short")...))
	slices.Sort(words)
	return strings.Join(words, " ")
}

func TestDig(t *testing.T) {
	r := newRoom(t)
	front, back := r.zone("front"), r.zone("my.back")
	front.host("a", "web", "www", "0123456789ab", "10.0.0.2", "fd00::2")
	front.host("b", "db", "10.0.0.3")
	back.host("a", "web", "inner", "10.0.1.2")
	back.host("c", "a.b", "10.0.1.3")
	r.start()
	for question, want := range map[string]string{
		"web A":              "10.0.0.2", // only the first network that knows the name
		"web AAAA":           "fd00::2",
		"0123456789ab A":     "10.0.0.2",
		"web.front A":        "10.0.0.2",
		"web.my.back A":      "10.0.1.2",
		"a.b A":              "10.0.1.3",
		"a.b.my.back A":      "10.0.1.3",
		"inner A":            "10.0.1.2",
		"db AAAA":            "",
		"db MX":              "",
		"-x 10.0.0.2":        "web.front.",
		"-x fd00::2":         "web.front.",
		"-x 10.0.1.3":        "a.b.my.back.",
		"WWW A":              "10.0.0.2",
		"web A +tcp":         "10.0.0.2",
		"web.front.my A":     "",
		"web A +noedns":      "10.0.0.2",
		"web A +bufsize=100": "10.0.0.2",
	} {
		if got := r.short(strings.Fields(question)...); got != want {
			t.Errorf("%s: %q, want %q", question, got, want)
		}
	}
	out := r.dig("wEb.FroNT", "A")
	for _, want := range []string{"status: NOERROR", "flags: qr rd ra;", "wEb.FroNT.\t\t600\tIN\tA\t10.0.0.2", "EDNS: version: 0, flags:; udp: 1232"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing:\n%s", want, out)
		}
	}
	for question, want := range map[string]string{"db AAAA": "NOERROR", "db MX": "NOERROR", "db TXT": "SERVFAIL", "nobody A": "SERVFAIL", "-x 10.9.9.9": "SERVFAIL",
		"web CH A": "SERVFAIL"} {
		if out := r.dig(strings.Fields(question)...); !strings.Contains(out, "status: "+want) {
			t.Errorf("%s: not %s:\n%s", question, want, out)
		}
	}
}
