package monitor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"glassbox/store"
)

func FuzzAppendJSON(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c", "<a href=\"x\">&</a>", "\x00\x01\x1f\x7f\b\f\n\r\t", "\xff\xfe", "é\u2028\u2029😀", "cut\xe2\x82", "\xed\xa0\x80"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		want, err := json.Marshal(string(s))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(store.AppendJSON([]byte{'"'}, s)) + `"`; got != string(want) {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	})
}

func TestLinesAreCutAsDockerDoes(t *testing.T) {
	long := strings.Repeat("x", longest)
	for _, c := range []struct {
		name string
		in   []string
		want []string
	}{
		{"lines", []string{"a\nb\n"}, []string{"a\n", "b\n"}},
		{"one line in pieces", []string{"a", "b", "c\n"}, []string{"abc\n"}},
		{"no newline at the end", []string{"a\nb"}, []string{"a\n", "b"}},
		{"empty lines", []string{"\n\n"}, []string{"\n", "\n"}},
		{"longest line", []string{long[1:] + "\n"}, []string{long[1:] + "\n"}},
		{"one byte longer", []string{long + "\n"}, []string{long, "\n"}},
		{"much longer", []string{long + long + "y\nz\n"}, []string{long, long, "y\n", "z\n"}},
		{"much longer, in pieces", []string{"a", long, "b\nc"}, []string{"a" + long[1:], "xb\n", "c"}},
		{"a character in two pieces", []string{"\xe2\x82", "\xac\n"}, []string{"€\n"}},
		{"not UTF-8", []string{"\xff\n"}, []string{"\ufffd\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := t.TempDir() + "/log"
			l, err := openLog(path)
			if err != nil {
				t.Fatal(err)
			}
			s := &lines{log: l, stream: "stdout"}
			now := time.Unix(1700000000, 5)
			for _, in := range c.in {
				s.write([]byte(in), now)
				now = now.Add(time.Second)
			}
			s.end()
			b := &box{t: t, config: Config{LogFile: path}}
			if got := b.entries(); strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("%.80q, want %.80q", got, c.want)
			}
		})
	}
}

// The pieces of a long line carry the time of its first one, as Docker's do.
func TestPiecesCarryOneTime(t *testing.T) {
	path := t.TempDir() + "/log"
	l, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &lines{log: l, stream: "stdout"}
	for i, in := range []string{strings.Repeat("x", longest+1), "y\n", "z\n"} {
		s.write([]byte(in), time.Unix(int64(i), 0))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var seconds string
	for line := range bytes.Lines(data) {
		var e struct{ Time time.Time }
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		seconds += fmt.Sprint(e.Time.Unix())
	}
	if seconds != "002" {
		t.Errorf("seconds %s, want 0, 0, 2", seconds)
	}
}

func BenchmarkLog(b *testing.B) {
	l, err := openLog(b.TempDir() + "/log")
	if err != nil {
		b.Fatal(err)
	}
	s := &lines{log: l, stream: "stdout"}
	chunk := bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog, 0123456789 times or so.\n"), 1000)[:largest]
	b.SetBytes(largest)
	for b.Loop() {
		s.write(chunk, time.Now())
	}
}
