package recording

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"glassbox/doctor"
	"glassbox/program"
	"glassbox/screen"
	"glassbox/why"
)

// whole is a recording by hand, with output that is no text, and that would move a cursor.
const whole = `{"glassbox recording":1,"glassbox":"0.1.0","date":"2026-11-22T12:00:00Z","command":["glassbox","run","--rm","tiny","sh","-c","echo it's \u001b[2J"],"machine":{"hostname":"vm1\u001b]0;x\u0007","kernel":"6.1.0","architecture":"x86_64","system":"Debian","glassbox":"0.1.0","user":0,"date":"2026-11-22T12:00:00Z"},"checks":{"pass":70,"warn":1,"fail":2,"troubles":["cgroups/memory: held","cgroups/cpu: held"]}}
{"kind":"account","at_ns":100000000,"title":"namespaces: A process in new namespaces.","text":"   1  sethostname(\"c\", 1) = 0\n"}
{"kind":"view","at_ns":200000000,"title":"the container after its start","text":"Container c: running\n"}
{"kind":"output","at_ns":300000000,"text":"hello\n"}
{"kind":"output","at_ns":350000000,"text":"\u001b[31mred\u001b[m\rover\n","stderr":true}
{"kind":"output","at_ns":400000000,"bytes":"//4K"}
{"kind":"note","at_ns":450000000,"text":"the container could not be viewed"}
{"kind":"end","at_ns":500000000,"title":"exit code 3","text":"Its program ended by itself, with 3.\n","code":3}
`

func read(t *testing.T, text string) *Reader {
	t.Helper()
	r, err := Read(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func replayed(t *testing.T, r *Reader, width int) string {
	t.Helper()
	var b bytes.Buffer
	p := &Player{Reader: r, Out: &b, Style: screen.Style{Width: width}, Version: "0.2.0"}
	if err := p.All(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestScreens(t *testing.T) {
	for _, width := range []int{100, 40} {
		got := replayed(t, read(t, whole), width)
		golden := fmt.Sprintf("testdata/whole-%d.txt", width)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%v\n%s", err, got)
		}
		harmless(t, got)
	}
}

// harmless: nothing in it moves a cursor.
func harmless(t *testing.T, text string) {
	t.Helper()
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }); i >= 0 {
		t.Errorf("what moves a cursor at %d: %q", i, text[max(0, i-20):min(len(text), i+20)])
	}
}

func TestCutShortAnywhere(t *testing.T) {
	header := strings.IndexByte(whole, '\n') + 1
	ends := strings.LastIndex(whole, "}\n") + 1
	for n := range len(whole) + 1 {
		r, err := Read(strings.NewReader(whole[:n]), int64(n))
		if n < header-1 {
			if err == nil {
				t.Fatalf("%d bytes are no recording", n)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		text := replayed(t, r, 100)
		if cut := n < ends; r.Cut != cut || strings.Contains(text, "cut short") != cut {
			t.Fatalf("%d bytes: cut short: %v\n%s", n, r.Cut, text)
		}
		if n > header && n < len(whole)-1 && whole[n-1] != '\n' && whole[n] != '\n' && !strings.Contains(text, "was not written to its end") {
			t.Fatalf("%d bytes: the last line's half is not named\n%s", n, text)
		}
	}
}

func TestDamagedLinesAreNamed(t *testing.T) {
	lines := strings.SplitAfter(whole, "\n")
	lines[2] = "{\"kind\":\x00}\n"
	lines[4] = "garbage\n"
	lines[5] = "[]\n"
	text := replayed(t, read(t, strings.Join(lines, "")), 100)
	for _, want := range []string{"Line 3 of the recording is no entry", "Lines 5 to 6 of the recording: each is no entry", "hello", "exit code 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	unknown := strings.Replace(whole, `"kind":"note"`, `"kind":"smell"`, 1)
	if text := replayed(t, read(t, unknown), 100); !strings.Contains(text, `Line 7 is of a kind that this version does not know: "smell"`) {
		t.Error(text)
	}
}

func TestOthersAreRefused(t *testing.T) {
	var other *OtherFormat
	text := strings.Replace(whole, `recording":1`, `recording":7`, 1)
	if _, err := Read(strings.NewReader(text), int64(len(text))); !errors.As(err, &other) || other.Format != 7 {
		t.Error(err)
	}
	for _, text := range []string{"", "\n", "{}\n", "hello\n", `{"glassbox recording":"x"}`, strings.Repeat("x", 1<<20)} {
		if _, err := Read(strings.NewReader(text), int64(len(text))); err == nil || errors.As(err, &other) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// endless is a recording of so many lines of output, made as it is read.
type endless struct {
	line  string
	count int64
}

func (e endless) size() int64 { return int64(len(header())) + e.count*int64(len(e.line)) }

func header() string { return whole[:strings.IndexByte(whole, '\n')+1] }

func (e endless) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	for n < len(b) && at < e.size() {
		h, part := int64(len(header())), ""
		if at < h {
			part = header()[at:]
		} else {
			part = e.line[(at-h)%int64(len(e.line)):]
		}
		c := copy(b[n:], part)
		n, at = n+c, at+int64(c)
	}
	return n, nil
}

func TestMemoryIsBounded(t *testing.T) {
	e := endless{line: `{"kind":"output","at_ns":1,"text":"` + strings.Repeat("x", 1000) + `\n"}` + "\n", count: 100_000} // 100 MB
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := Read(e, e.size())
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("%d bytes are held for 100 MB", grown)
	}
	var b bytes.Buffer
	p := &Player{Reader: r, Out: &b}
	if err := p.One(r.Screens()); err != nil || b.Len() > 2*mostOnPage || !strings.Contains(b.String(), "xxx") {
		t.Errorf("%v, %d bytes", err, b.Len())
	}
	long := header() + `{"kind":"note","text":"` + strings.Repeat("y", mostLine) + "\"}\n" + whole[len(header()):]
	if text := replayed(t, read(t, long), 100); !strings.Contains(text, "Line 2 of the recording has more than 16 MiB") || !strings.Contains(text, "hello") {
		t.Errorf("%.2000s", text)
	}
}

func TestStepping(t *testing.T) {
	r := read(t, whole)
	for _, c := range []struct{ in, want, not string }{
		{"\n\nq\n", "[3 of 6]", "[4 of 6]"},
		{"5\nb\nq\n", "[4 of 6]", "[6 of 6]"},
		{"b\n99\nx\nq\n", "[1 of 6]", "[2 of 6]"},
		{"", "[1 of 6]", "[2 of 6]"},
		{strings.Repeat("\n", 6), "the same on this machine", "zzz"},
	} {
		var b bytes.Buffer
		p := &Player{Reader: r, Out: &b}
		if err := p.Step(strings.NewReader(c.in)); err != nil || !strings.Contains(b.String(), c.want) || strings.Contains(b.String(), c.not) {
			t.Errorf("%q: %v\n%s", c.in, err, b.String())
		}
	}
	var b bytes.Buffer
	p := &Player{Reader: r, Out: &b, Height: 5}
	if err := p.Step(strings.NewReader("\nq\n")); err != nil || strings.Count(b.String(), "[1 of 6 (more)]") != 2 {
		t.Errorf("%v\n%s", err, b.String())
	}
	for _, n := range []int{0, -1, 7} {
		if err := p.One(n); err == nil {
			t.Errorf("screen %d", n)
		}
	}
}

func TestRawIsOnlyTheOutput(t *testing.T) {
	var b bytes.Buffer
	p := &Player{Reader: read(t, whole), Out: &b, Raw: true}
	if err := p.One(4); err != nil || b.String() != "hello\n\x1b[31mred\x1b[m\rover\n\xff\xfe\n" {
		t.Errorf("%v %q", err, b.String())
	}
	b.Reset()
	if err := p.One(1); err != nil {
		t.Error(err)
	}
	harmless(t, b.String())
}

func TestWriterAndReaderAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.rec")
	w, err := Create(path, false)
	if err != nil {
		t.Fatal(err)
	}
	w.Begin([]string{"glassbox", "run"}, true, doctor.Report{Checks: []doctor.Check{{Area: "kernel", Name: "x", Result: doctor.Fail, Found: "y"}}, Fail: 1})
	var out, errs bytes.Buffer
	fmt.Fprint(w.Tee(&out, false), "early\n")
	w.Account([]program.Account{
		{Phase: "one", Why: "first", Child: []program.Done{{Call: "getpid()", Result: "1", Why: "why"}}},
		{Phase: "two", Why: "then", Child: []program.Done{{Call: "getppid()", Result: "0", Why: "why"}}},
	})
	fmt.Fprint(w.Tee(&errs, true), "later \xff\n")
	w.Ended(7, "", &why.Report{ID: "0123456789abcdef", Name: "c", State: "exited (7)", Verdict: "its program ended"})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "early\n" || errs.String() != "later \xff\n" {
		t.Errorf("handed on: %q %q", out.String(), errs.String())
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := read(t, string(text))
	shown := replayed(t, r, 100)
	at := 0
	for _, want := range []string{"kernel/x", "Start, one", "1 ", "getpid()", "Start, two", "2 ", "getppid()", "early", `! later \xff`, "exit code 7", "its program ended"} {
		i := strings.Index(strings.ToLower(shown[at:]), strings.ToLower(want))
		if i < 0 {
			t.Fatalf("lacks %q behind %d:\n%s", want, at, shown)
		}
		at += i
	}
	if r.Cut || !r.Terminal {
		t.Errorf("%+v", r.Header)
	}
	if _, err := Create(path, false); !errors.Is(err, os.ErrExist) {
		t.Errorf("written over: %v", err)
	}
	w, err = Create(path, true)
	if err != nil {
		t.Fatal(err)
	}
	w.Begin(nil, false, doctor.Report{})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a recording of nothing is left")
	}
}

func TestFullDiskEndsTheRecordingNotTheRun(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{file: f, entries: 1}
	var out bytes.Buffer
	if n, err := w.Tee(&out, false).Write([]byte("on\n")); n != 3 || err != nil || out.String() != "on\n" {
		t.Errorf("%d %v", n, err)
	}
	w.Note("x")
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Error(err)
	}
}

// FuzzRead: whatever the file holds, it is refused or shown, and moves no cursor.
func FuzzRead(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(whole[:700]))
	f.Add([]byte(strings.ReplaceAll(whole, "output", "end")))
	f.Add([]byte(header() + "\n\n{}\n{\"kind\":\"view\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return
		}
		harmless(t, replayed(t, r, 80))
	})
}
