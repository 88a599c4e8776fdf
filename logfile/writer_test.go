package logfile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/daemon/logger/jsonfilelog/jsonlog"
	"golang.org/x/sys/unix"
)

// newWriter writes a log in a directory of its own. What it complains of is an error, until the test takes over.
func newWriter(t testing.TB, c Config) *Writer {
	t.Helper()
	if c.Driver == "" {
		c.Driver = JSON
	}
	c.File = t.TempDir() + "/log"
	w, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	w.Complain = func(err error) { t.Error(err) }
	w.Start = func(fd int, path string, newest time.Time) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return Compress(f, path, newest)
	}
	t.Cleanup(w.Close)
	return w
}

// read reads the whole log.
func read(t testing.TB, c Config, tail int) (texts []string, unread int64) {
	t.Helper()
	r, err := Open(c, tail, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = r.Each(true, func(e *Entry) error {
		texts = append(texts, string(e.Text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts, r.Unread
}

func want(t testing.TB, c Config, texts ...string) {
	t.Helper()
	got, unread := read(t, c, -1)
	if !slices.Equal(got, texts) || unread > 0 {
		t.Errorf("%d bytes unread, %.200q, want %.200q", unread, got, texts)
	}
}

var drivers = []string{JSON, Local}

func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c", "12345678", "1234567<", "<a href=\"x\">&</a>", "\x00\x01\x1f\x7f\b\f\n\r\t", "\xff\xfe", "é\u2028\u2029😀",
		"cut\xe2\x82", "\xed\xa0\x80", "=!#%'();:?[]^ 1234567890"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		var docker bytes.Buffer
		at := time.Unix(1700000000, 120)
		if err := (&jsonlog.JSONLogs{Log: append(bytes.Clone(s), '\n'), Stream: "stdout", Created: at.UTC()}).MarshalJSONBuf(&docker); err != nil {
			t.Fatal(err)
		}
		ours := newJSON(nil).encode(nil, &piece{stream: "stdout", text: s, ends: true, nanos: at.UnixNano()})
		if string(ours) != docker.String()+"\n" {
			t.Errorf("%q:\n%s, Docker\n%s", s, ours, &docker)
		}
		var e Entry
		n, ok := newJSON(nil).decode(ours, true, &e)
		if n != len(ours) || !ok || string(e.Text) != string([]rune(string(s)))+"\n" || !e.Time.Equal(at) {
			t.Errorf("%q: %d %v %q", s, n, ok, e.Text)
		}
	})
}

func TestTimes(t *testing.T) {
	var c clock
	for _, nanos := range []int64{0, 1, 10, 999999999, 1e9, 1700000000123456789, 1700000000000000000, 1700000000100000000, 1700000001120000000} {
		if got, want := string(c.append(nil, nanos)), time.Unix(0, nanos).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%d: %s, want %s", nanos, got, want)
		}
	}
}

func TestAttributes(t *testing.T) {
	c := Config{Attrs: map[string]string{"b": `<"&>`, "a": "é", "tag": "x y"}}
	w := newWriter(t, c)
	w.Stream("stdout", Rest{}).Write([]byte("hello\n"), time.Unix(1700000000, 0))
	b, _ := os.ReadFile(w.File)
	want := `{"log":"hello\n","stream":"stdout","attrs":{"a":"é","b":"\u003c\"\u0026\u003e","tag":"x y"},"time":"2023-11-14T22:13:20Z"}` + "\n"
	if string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
	r, err := Open(w.Config, -1, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Each(true, func(e *Entry) error {
		if e.Attrs["b"] != `<"&>` || len(e.Attrs) != 3 {
			t.Errorf("attributes %v", e.Attrs)
		}
		return nil
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
	} {
		for _, driver := range drivers {
			t.Run(c.name+" "+driver, func(t *testing.T) {
				w := newWriter(t, Config{Driver: driver})
				s := w.Stream("stdout", Rest{})
				for i, in := range c.in {
					s.Write([]byte(in), time.Unix(1700000000+int64(i), 5))
				}
				s.End()
				want(t, w.Config, c.want...)
			})
		}
	}
}

// The pieces of a long line carry the time of its first one, as Docker's do; else no two entries have the same.
func TestTimesOfEntries(t *testing.T) {
	for _, driver := range drivers {
		w := newWriter(t, Config{Driver: driver})
		s := w.Stream("stdout", Rest{})
		for i, in := range []string{strings.Repeat("x", longest+1), "y\n", "a\nb\n", "c\n"} {
			s.Write([]byte(in), time.Unix(1+int64(i), 0))
		}
		s.Write([]byte("d\n"), time.Unix(4, 0)) // no later than the one before
		r, err := Open(w.Config, -1, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var times []string
		r.Each(true, func(e *Entry) error {
			times = append(times, fmt.Sprint(e.Time.UnixNano()))
			return nil
		})
		r.Close()
		if got := strings.Join(times, " "); got != "1000000000 1000000000 3000000000 3000000001 4000000000 4000000001" {
			t.Errorf("%s: %s", driver, got)
		}
	}
}

// The bytes are what Docker 28.5.2 wrote for sh -c 'echo out; echo err >&2; printf partial'.
const dockers = `000000170a067374646f757410c695a2ef8a9c8ff5181a036f75740000001700000017
0a0673746465727210fc87bbef8a9c8ff5181a03657272000000170000006
30a067374646f75741099b1f4818b9c8ff5181a077061727469616c20012a4412403436613866663436336365653139646363346661373237626132613332
3762313037646533353261373332643065323265666337343562383036373461633261180100000063`

func TestLocalIsDockers(t *testing.T) {
	data, err := hex.DecodeString(strings.ReplaceAll(dockers, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	var again []byte
	for rest := data; len(rest) > 0; {
		var e Entry
		n, ok := local{}.decode(rest, false, &e)
		if !ok {
			t.Fatalf("%x is not read", rest)
		}
		rest = rest[n:]
		text, ends := bytes.CutSuffix(e.Text, []byte{'\n'})
		p := piece{stream: e.Stream, text: text, ends: ends, nanos: e.Time.UnixNano()}
		if !ends {
			p.id, p.ordinal = "46a8ff463cee19dcc4fa727ba2a327b107de352a732d0e22efc745b80674ac2a", 1
		}
		again = local{}.encode(again, &p)
	}
	if !bytes.Equal(again, data) {
		t.Errorf("\n%x, want\n%x", again, data)
	}
}

// fill writes numbered lines one by one.
func fill(s *Lines, from, to int) {
	for i := from; i < to; i++ {
		s.Write(fmt.Appendf(nil, "line %d\n", i), time.Now())
	}
}

func lines(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprintf("line %d\n", i))
	}
	return texts
}

func TestRotation(t *testing.T) {
	for _, c := range []Config{
		{Driver: JSON, MaxSize: 1000, MaxFile: 1},
		{Driver: JSON, MaxSize: 1000, MaxFile: 3},
		{Driver: JSON, MaxSize: 1000, MaxFile: 4, Compress: true},
		{Driver: Local, MaxSize: 300, MaxFile: 3},
		{Driver: Local, MaxSize: 300, MaxFile: 4, Compress: true},
		{Driver: Local, MaxSize: 1, MaxFile: 5, Compress: true},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			w := newWriter(t, c)
			s := w.Stream("stdout", Rest{})
			fill(s, 0, 100)
			got, unread := read(t, w.Config, -1)
			if unread > 0 || len(got) == 0 || !slices.Equal(got, lines(100-len(got), 100)) {
				t.Fatalf("%d bytes unread, %q", unread, got)
			}
			for n := range len(got) + 3 {
				if tail, _ := read(t, w.Config, n); !slices.Equal(tail, lines(100-min(n, len(got)), 100)) {
					t.Errorf("the last %d: %q", n, tail)
				}
			}
			names(t, w.Config)
			sizes(t, w.Config)
		})
	}
}

// names: there are as many files as there may be, called as Docker calls them.
func names(t *testing.T, c Config) {
	t.Helper()
	for i := range c.MaxFile + 1 {
		name := c.File
		if i > 0 {
			name = c.numbered(i)
		}
		if i > 0 && c.Compress {
			name += zipped
		}
		if _, err := os.Stat(name); err == nil != (i < c.MaxFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if files, _ := os.ReadDir(strings.TrimSuffix(c.File, "/log")); len(files) != c.MaxFile {
		t.Errorf("files: %v", files)
	}
}

// sizes: a file ends with the entry that makes it MaxSize long.
func sizes(t *testing.T, c Config) {
	t.Helper()
	for i := 1; i < c.MaxFile && !c.Compress; i++ {
		info, err := os.Stat(c.numbered(i))
		if err != nil || info.Size() < c.MaxSize || info.Size() > c.MaxSize+100 {
			t.Errorf("%s: %d bytes, %v", c.numbered(i), info.Size(), err)
		}
	}
}

// What is written by others is no longer than what is written at once.
func TestRotationInTheMiddleOfABatch(t *testing.T) {
	w := newWriter(t, Config{MaxSize: 1000, MaxFile: 3})
	w.Stream("stdout", Rest{}).Write([]byte(strings.Join(lines(0, 100), "")), time.Now())
	sizes(t, w.Config)
	got, _ := read(t, w.Config, -1)
	if !slices.Equal(got, lines(100-len(got), 100)) {
		t.Errorf("%q", got)
	}
}

// The next file waits until the last one is compressed; meanwhile the container waits, or what it writes is dropped.
func TestCompressorIsSlow(t *testing.T) {
	for _, spare := range []int64{0, 2000} {
		w := newWriter(t, Config{MaxSize: 1000, MaxFile: 9, Compress: true, Spare: spare})
		var held int
		w.Start = func(fd int, _ string, _ time.Time) (err error) {
			held, err = unix.Dup(fd)
			return err
		}
		s := w.Stream("stdout", Rest{})
		fill(s, 0, 100)
		if w.Waits() == (spare > 0) || w.RetryAt(time.Now()).IsZero() {
			t.Fatalf("spare %d: waits %v", spare, w.Waits())
		}
		unix.Close(held)
		w.Retry()
		if w.Waits() || !w.RetryAt(time.Now()).IsZero() {
			t.Fatal("it still waits")
		}
		fill(s, 100, 110)
		got, _ := read(t, w.Config, -1)
		if spare == 0 && !slices.Equal(got, lines(0, 110)) {
			t.Errorf("%q", got)
		}
		if spare > 0 && (len(got) >= 100 || !strings.Contains(strings.Join(got, ""), "are missing here: the log was too slow")) {
			t.Errorf("%q", got)
		}
	}
}

// A compressor that was killed has left its file as it was.
func TestCompressorIsKilled(t *testing.T) {
	w := newWriter(t, Config{MaxSize: 1000, MaxFile: 9, Compress: true})
	w.Start = func(int, string, time.Time) error { return nil }
	fill(w.Stream("stdout", Rest{}), 0, 60)
	want(t, w.Config, lines(0, 60)...)
}

func TestWriterGoesOn(t *testing.T) {
	for _, driver := range drivers {
		w := newWriter(t, Config{Driver: driver, MaxSize: 1000, MaxFile: 2})
		s := w.Stream("stdout", Rest{})
		fill(s, 0, 3)
		s.Write([]byte("begun "), time.Now())
		b, err := json.Marshal([]any{w.Kept, s.Rest})
		if err != nil {
			t.Fatal(err)
		}
		var kept Kept
		var rest Rest
		both := []any{&kept, &rest}
		if err := json.Unmarshal(b, &both); err != nil {
			t.Fatal(err)
		}
		next := Resume(w.Config, kept)
		next.Stream("stdout", rest).Write([]byte("and ended\n"), time.Now())
		want(t, w.Config, append(lines(0, 3), "begun and ended\n")...)
		if next.Size == 0 {
			t.Error("the size is lost")
		}
	}
}

// A writer that was killed in the middle of an entry does not spoil the next one.
func TestAfterACut(t *testing.T) {
	for _, driver := range drivers {
		w := newWriter(t, Config{Driver: driver})
		fill(w.Stream("stdout", Rest{}), 0, 3)
		os.Truncate(w.File, w.Size-10)
		next, err := Create(w.Config)
		if err != nil {
			t.Fatal(err)
		}
		fill(next.Stream("stdout", Rest{}), 3, 6)
		next.Close()
		got, unread := read(t, w.Config, -1)
		if !slices.Equal(got, append(lines(0, 2), lines(3, 6)...)) || unread == 0 {
			t.Errorf("%s: %d bytes unread, %q", driver, unread, got)
		}
	}
}

// Somebody empties the file while it is written: it goes on at its beginning, and a new one is not begun too early.
func TestEmptied(t *testing.T) {
	for _, driver := range drivers {
		w := newWriter(t, Config{Driver: driver, MaxSize: 2000, MaxFile: 2})
		s := w.Stream("stdout", Rest{})
		fill(s, 0, 20)
		os.Truncate(w.File, 0)
		fill(s, 20, 40)
		want(t, w.Config, lines(20, 40)...)
	}
}

// untold is the first of these entries before which lines are missing without a note. Where a long write found no room, a
// shorter one may have found some: there can be several notes.
func untold(entries []string) string {
	next, noted := 0, false
	for _, e := range entries {
		if strings.Contains(e, "bytes of the log are missing here: no space left on device") {
			noted = true
			continue
		}
		var at int
		if _, err := fmt.Sscanf(e, "line %d\n", &at); err != nil || at < next || at > next && !noted {
			return e
		}
		next, noted = at+1, false
	}
	return ""
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("mounting a small tmpfs: ", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	for _, c := range []Config{{Driver: JSON}, {Driver: Local}, {Driver: JSON, MaxSize: 20000, MaxFile: 9}, {Driver: Local, MaxSize: 20000, MaxFile: 9, Compress: true}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			c.File = dir + "/log"
			w, err := Create(c)
			if err != nil {
				t.Fatal(err)
			}
			var told []error
			w.Complain = func(err error) { told = append(told, err) }
			w.Start = func(int, string, time.Time) error { return nil }
			hog := dir + "/hog"
			os.WriteFile(hog, make([]byte, 40<<10), 0o600)
			s := w.Stream("stdout", Rest{})
			fill(s, 0, 3000)
			if len(told) != 1 || !strings.Contains(told[0].Error(), "the container goes on, its output is lost") {
				t.Fatalf("told %v", told)
			}
			os.Remove(hog)
			fill(s, 3000, 3003)
			got, unread := read(t, c, -1)
			n := len(got)
			if unread > 0 || n < 10 || !slices.Equal(got[n-3:], lines(3000, 3003)) {
				t.Errorf("%d bytes unread, %d entries ending in %q", unread, n, got[max(0, n-5):])
			}
			if gap := untold(got); gap != "" {
				t.Errorf("nothing is said of what is missing before %q", gap)
			}
			w.Close()
			matches, _ := os.ReadDir(dir)
			for _, m := range matches {
				os.Remove(dir + "/" + m.Name())
			}
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	for _, driver := range drivers {
		b.Run(driver, func(b *testing.B) {
			w := newWriter(b, Config{Driver: driver, MaxSize: 100 << 20, MaxFile: 1})
			s := w.Stream("stdout", Rest{})
			chunk := bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog, 0123456789 times or so, and more.\n"), 1000)[:full]
			b.SetBytes(full)
			for b.Loop() {
				s.Write(chunk, time.Now())
			}
		})
	}
}
