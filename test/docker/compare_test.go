package docker

import (
	"strings"
	"testing"
)

const sample = `
# a remark
? !memory
$ docker run x
! glassbox says more
2> first
2> ...
2> last ... line
= 125
$tty docker exec -it x sh
@ $
< echo hi
^ P Q
; 20
-- file --
text
`

func TestParse(t *testing.T) {
	s, err := Parse("sample", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != 2 || len(s.Files) != 1 || s.Steps[0].Line != 4 || s.Needs != "!memory" || !s.Steps[1].TTY || len(s.Steps[1].Keys) != 4 {
		t.Errorf("parsed %+v", s)
	}
	w := s.Steps[0].Wanted
	if w.Stdout != nil || *w.Stderr != "first\n...\nlast ... line\n" || *w.Code != 125 {
		t.Errorf("wanted difference: %+v", w)
	}
	if s.Steps[1].Keys[2].Type != "\x10\x11" {
		t.Errorf("keys %+v", s.Steps[1].Keys)
	}
	for _, bad := range []string{"< before any command", "$ x\n1> without a reason", "$ x\n! reason\n= many", "$ x\n! reason\n?? unknown"} {
		if _, err := Parse("bad", []byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestCompare(t *testing.T) {
	s, err := Parse("sample", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	wanted, plain := s.Steps[0], s.Steps[1]
	docker := Outcome{Stdout: "out\n", Stderr: "usage: ARG...\n"}
	ours := Outcome{Stdout: "out\n", Stderr: "first\nmore\nlast of the line\n", Code: 125}
	for _, c := range []struct {
		what  string
		step  Step
		ours  Outcome
		finds string
	}{
		{"the same", plain, docker, ""},
		{"another code", plain, Outcome{Stdout: "out\n", Stderr: "usage: ARG...\n", Code: 1}, "exit code: want 0, glassbox 1"},
		{"another line", plain, Outcome{Stdout: "else\n", Stderr: "usage: ARG...\n"}, "+ else"},
		{"dots of Docker's own", plain, Outcome{Stdout: "out\n", Stderr: "usage: ARGUMENTS\n"}, "+ usage: ARGUMENTS"},
		{"a missing end of line", plain, Outcome{Stdout: "out", Stderr: "usage: ARG...\n"}, "stdout"},
		{"as wanted", wanted, ours, ""},
		{"the wanted difference gone", wanted, docker, "is gone"},
		{"less than wanted", wanted, Outcome{Stdout: "out\n", Stderr: "first\n", Code: 125}, "stderr"},
	} {
		d := Compare(c.step, docker, c.ours)
		if (c.finds == "") != (d == "") || !strings.Contains(d, c.finds) {
			t.Errorf("%s: %q", c.what, d)
		}
	}
}

func TestMask(t *testing.T) {
	id, other := strings.Repeat("0123456789ab", 6)[:64], strings.Repeat("f", 64)
	m := &Mask{known: []string{other}}
	for have, want := range map[string]string{
		id + " " + id[:12]:                        "<id 1 of 64 digits> <id 1 of 12 digits>",
		"sha256:" + other:                         "sha256:" + other,
		"Up 3 seconds     x":                      "Up <duration>   x",
		"2026-11-21T18:23:48.166582976Z out":      "<time> out",
		"2026-11-21 18:23:04 +0000 UTC":           "<time>",
		"NAME      at a fixed   width":            "NAME      at a fixed   width",
		"\x1b[6nprompt":                           "prompt",
		"Exited (137) Less than a second ago":     "Exited (137) <duration> ago",
		"172.17.0.2 02:42:ac:11:00:02 fe80::42:2": "172.17.0.2 <mac 1> <link-local>",
		"Bind for :::8080 failed":                 "Bind for 0.0.0.0:8080 failed",
		"0.0.0.0:32768->80/tcp, [::]:32768 :8080": "0.0.0.0:<port 1>->80/tcp, [::]:<port 1> :8080",
	} {
		if got := m.Apply(have); got != want {
			t.Errorf("%q became %q, not %q", have, got, want)
		}
	}
}
