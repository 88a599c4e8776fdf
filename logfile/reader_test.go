package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// follower reads what is there again and again.
type follower struct {
	t     *testing.T
	r     *Reader
	texts []string
}

func follow(t *testing.T, c Config, tail int) *follower {
	t.Helper()
	r, err := Open(c, tail, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return &follower{t: t, r: r}
}

func (f *follower) read() []string {
	f.t.Helper()
	err := f.r.Each(false, func(e *Entry) error {
		f.texts = append(f.texts, string(e.Text))
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.texts
}

func (f *follower) wants(texts []string) {
	f.t.Helper()
	if got := f.read(); !slices.Equal(got, texts) {
		f.t.Errorf("%q, want %q", got, texts)
	}
}

func TestFollowAcrossRotations(t *testing.T) {
	for _, c := range []Config{
		{Driver: JSON, MaxSize: 1000, MaxFile: 9},
		{Driver: JSON, MaxSize: 1000, MaxFile: 9, Compress: true},
		{Driver: Local, MaxSize: 300, MaxFile: 20},
		{Driver: Local, MaxSize: 300, MaxFile: 20, Compress: true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			w := newWriter(t, c)
			s := w.Stream("stdout", Rest{})
			fill(s, 0, 5)
			all, some, none := follow(t, w.Config, -1), follow(t, w.Config, 2), follow(t, w.Config, 0)
			// One at a time, and so many at once that several files are begun between two looks.
			for _, upTo := range []int{5, 6, 15, 16, 40, 41, 80} {
				fill(s, 5+len(none.texts), upTo)
				all.wants(lines(0, upTo))
				some.wants(lines(3, upTo))
				none.wants(lines(5, upTo)[:upTo-5])
			}
		})
	}
}

// What was deleted before it could be read is gone; the rest comes, once and in order.
func TestFollowTooSlowly(t *testing.T) {
	w := newWriter(t, Config{MaxSize: 1000, MaxFile: 3})
	s := w.Stream("stdout", Rest{})
	fill(s, 0, 5)
	f := follow(t, w.Config, -1)
	f.read()
	fill(s, 5, 200)
	got := f.read()
	// The file that was open is still read to its end.
	first := slices.Index(got, "line 199\n") - len(got) + 1
	if first != 0 || !slices.IsSortedFunc(got, func(a, b string) int { return number(a) - number(b) }) || !slices.Equal(got[:8], lines(0, 8)) {
		t.Errorf("%q", got)
	}
}

func number(line string) (n int) {
	fmt.Sscanf(line, "line %d", &n)
	return n
}

func TestFollowWhatSomebodyEmpties(t *testing.T) {
	for _, driver := range drivers {
		w := newWriter(t, Config{Driver: driver})
		s := w.Stream("stdout", Rest{})
		fill(s, 0, 9)
		f := follow(t, w.Config, -1)
		f.read()
		os.Truncate(w.File, 0)
		f.read()
		fill(s, 9, 12)
		f.wants(lines(0, 12))
	}
}

// An entry of which only a part is there yet is no garbage.
func TestFollowHalfAnEntry(t *testing.T) {
	for _, driver := range drivers {
		w := newWriter(t, Config{Driver: driver})
		fill(w.Stream("stdout", Rest{}), 0, 3)
		whole, _ := os.ReadFile(w.File)
		for cut := range len(whole) {
			os.WriteFile(w.File, whole[:cut], 0o600)
			f := follow(t, w.Config, -1)
			f.read()
			os.WriteFile(w.File, whole, 0o600)
			f.wants(lines(0, 3))
			if f.r.Unread > 0 {
				t.Errorf("%s cut at %d: %d bytes unread", driver, cut, f.r.Unread)
			}
		}
	}
}

func TestGarbage(t *testing.T) {
	garbage := map[string]string{
		"text": "garbage {\n", "a line without end": "garbage", "zeros": strings.Repeat("\x00", 100), "empty lines": "\n\n", "an object": "{}\n", "null": "null\n", "no stream": `{"log":"x\n"}` + "\n",
		"random": "\x93\x00\x10\x00\x00\x00\x05abcde\x00\x00\x00\x05\n", "a cut entry": `{"log":"line 7\n","stre`, "a wrong time": `{"log":"x\n","stream":"stdout","time":"yesterday"}` + "\n",
		"lengths": "\x00\x00\x00\x09123456789\x00\x00\x00\x09",
	}
	for name, bytes := range garbage {
		for _, driver := range drivers {
			t.Run(name+" "+driver, func(t *testing.T) {
				w := newWriter(t, Config{Driver: driver})
				s := w.Stream("stdout", Rest{})
				fill(s, 0, 3)
				f, _ := os.OpenFile(w.File, os.O_APPEND|os.O_WRONLY, 0)
				f.WriteString(bytes)
				f.Close()
				fill(s, 3, 6)
				got, unread := read(t, w.Config, -1)
				if !slices.Equal(got, lines(0, 6)) {
					t.Errorf("%q", got)
				}
				if unread == 0 && !(driver == JSON && bytes[len(bytes)-1] != '\n') {
					t.Error("nothing said")
				}
				if got, _ := read(t, w.Config, 2); !slices.Equal(got, lines(4, 6)) {
					t.Errorf("the last two: %q", got)
				}
			})
		}
	}
}

func TestDamagedArchive(t *testing.T) {
	w := newWriter(t, Config{MaxSize: 1000, MaxFile: 5, Compress: true})
	fill(w.Stream("stdout", Rest{}), 0, 60)
	middle := w.numbered(2) + zipped
	data, err := os.ReadFile(middle)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{data[:len(data)/2], nil, []byte("garbage")} {
		os.WriteFile(middle, damaged, 0o600)
		got, unread := read(t, w.Config, -1)
		if unread == 0 || got[0] != "line 0\n" || got[len(got)-1] != "line 59\n" {
			t.Errorf("%d bytes unread, %q", unread, got)
		}
		if got, _ := read(t, w.Config, 50); !slices.Contains(got, "line 59\n") {
			t.Errorf("the last 50: %q", got)
		}
	}
}

func TestSinceSkipsArchives(t *testing.T) {
	w := newWriter(t, Config{MaxSize: 1000, MaxFile: 9, Compress: true})
	s := w.Stream("stdout", Rest{})
	for i := range 60 {
		s.Write(fmt.Appendf(nil, "line %d\n", i), time.Unix(1700000000+int64(i), 0))
	}
	r, err := Open(w.Config, -1, time.Unix(1700000040, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got []string
	r.Each(true, func(e *Entry) error { got = append(got, string(e.Text)); return nil })
	if first := number(got[0]); first < 25 || first > 40 || !slices.Equal(got, lines(first, 60)) {
		t.Errorf("%q", got)
	}
}

func TestNoLog(t *testing.T) {
	for _, driver := range drivers {
		c := Config{Driver: driver, File: t.TempDir() + "/log", MaxFile: 3}
		if _, err := Open(c, -1, time.Time{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("none: %v", err)
		}
		os.Mkdir(c.File, 0o700)
		if _, err := Open(c, 3, time.Time{}); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
			t.Errorf("a directory: %v", err)
		}
		if _, err := Create(c); err == nil || !strings.HasSuffix(err.Error(), "is a directory") {
			t.Errorf("writing to a directory: %v", err)
		}
	}
}

// Whatever the bytes: decoding ends, takes no more than there is, and finds the entry that follows them.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("garbage"))
	f.Add([]byte(`{"log":"a\u0009b\n","stream":"stderr","attrs":{"a":"b"},"time":"2026-11-22T02:25:39Z"}` + "\n"))
	f.Add([]byte("\x00\x00\x00\x17\x0a\x06stdout\x10\xc6\x95\xa2\xef\x8a\x9c\x8f\xf5\x18\x1a\x03out\x00\x00\x00\x17"))
	f.Add([]byte("\x00\x00\x00\x03\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x03"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, driver := range drivers {
			format := Config{Driver: driver}.format()
			after := format.encode(nil, &piece{stream: "stdout", text: []byte("after"), ends: true, nanos: 5})
			all := append(append(bytes.Clone(b), format.mend(0)...), after...)
			if driver == Local && swallows(all, after) {
				continue
			}
			if format.tail(bytes.NewReader(b), int64(len(b)), 3); !finds(t, format, all, "after\n") {
				t.Errorf("%s: %q", driver, all)
			}
		}
	})
}

// swallows: the garbage is an entry that has the next one in it.
func swallows(all, after []byte) bool {
	var e Entry
	for i := range len(all) - len(after) {
		if n, ok := frame(all[i:], &e); ok && i+n > len(all)-len(after) {
			return true
		}
	}
	return false
}

func finds(t *testing.T, f format, b []byte, text string) bool {
	var e Entry
	for len(b) > 0 {
		n, ok := f.decode(b, true, &e)
		if n <= 0 || n > len(b) {
			t.Fatalf("%d of %d bytes taken", n, len(b))
		}
		b = b[n:]
		if ok && len(b) == 0 && string(e.Text) == text {
			return true
		}
	}
	return false
}

func BenchmarkReader(b *testing.B) {
	for _, driver := range drivers {
		b.Run(driver, func(b *testing.B) {
			w := newWriter(b, Config{Driver: driver})
			line := []byte("The quick brown fox jumps over the lazy dog, 0123456789 times or so, and more.\n")
			w.Stream("stdout", Rest{}).Write(bytes.Repeat(line, 100000), time.Now())
			b.SetBytes(int64(100000 * len(line)))
			for b.Loop() {
				r, err := Open(w.Config, -1, time.Time{})
				if err != nil {
					b.Fatal(err)
				}
				r.Each(true, func(*Entry) error { return nil })
				r.Close()
			}
		})
	}
}
