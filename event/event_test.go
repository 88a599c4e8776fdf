package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"

	"glassbox/store"
)

// TestMain is also the process that TestNothingIsLost starts several times.
func TestMain(m *testing.M) {
	if path := os.Getenv("EVENT_TEST_JOURNAL"); path != "" {
		writeMany(path, os.Getenv("EVENT_TEST_WRITER"))
		return
	}
	os.Exit(m.Run())
}

const each = 4000

func writeMany(path, writer string) {
	for i := range each {
		e := Event{Type: "container", Action: "exec_create: " + strings.Repeat("x", 200), ID: writer}
		e.Attributes = map[string]string{"n": strconv.Itoa(i)}
		if err := (Journal{path}).Append(e); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func journal(t *testing.T) Journal { return Journal{filepath.Join(t.TempDir(), "run", "events")} }

func reader(t *testing.T, j Journal, warn func(string)) *Reader {
	t.Helper()
	r, err := j.Read(warn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// all are the events that can be read at once.
func all(t *testing.T, r *Reader) (found []Event) {
	t.Helper()
	for {
		e, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return found
		}
		found = append(found, e)
	}
}

func actions(found []Event) string {
	var names []string
	for _, e := range found {
		names = append(names, e.Action)
	}
	return strings.Join(names, " ")
}

func add(t *testing.T, j Journal, actions ...string) {
	t.Helper()
	for _, a := range actions {
		if err := j.Append(Event{Type: "container", Action: a, ID: "c", Attributes: map[string]string{"name": "web"}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinesAreDockers(t *testing.T) {
	at := time.Unix(1700000000, 123456789)
	odd := "quotes \" \\, <tags> &, \n\t\x01 \u2028, \xff and ü"
	for _, e := range []Event{
		{Type: "container", Action: "die", ID: "abc", Attributes: map[string]string{"image": "bb", "name": "web", "exitCode": "3"}, Time: at},
		{Type: "container", Action: "exec_start: sh -c " + odd, ID: "abc", Attributes: map[string]string{odd: odd, "name": "n"}, Time: at},
		{Type: "container", Action: "prune", Attributes: map[string]string{"reclaimed": "0"}, Time: at},
		{Type: "image", Action: "tag", ID: "sha256:1", Attributes: map[string]string{"name": "new:tag", "image": "label"}, Time: at},
		{Type: "volume", Action: "prune", Attributes: map[string]string{"reclaimed": "0"}, Time: at},
		{Type: "network", Action: "create", ID: "n", Attributes: map[string]string{}, Time: at},
	} {
		var want bytes.Buffer
		if err := json.NewEncoder(&want).Encode(message(e)); err != nil {
			t.Fatal(err)
		}
		if got := e.append(nil); string(got) != want.String() {
			t.Errorf("wrote %swant  %s", got, &want)
		}
		back, err := decode(bytes.TrimSpace(e.append(nil)))
		clean := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
		same := back.Type == e.Type && back.Action == clean(e.Action) && back.ID == e.ID && back.Time.Equal(at)
		if err != nil || !same || len(back.Attributes) != len(e.Attributes) {
			t.Errorf("%+v came back as %+v, %v", e, back, err)
		}
	}
}

// message is the event as moby's events.Log makes it.
func message(e Event) events.Message {
	m := events.Message{
		Type: events.Type(e.Type), Action: events.Action(e.Action), Actor: events.Actor{ID: e.ID, Attributes: e.Attributes},
		Scope: "local", Time: e.Time.Unix(), TimeNano: e.Time.UnixNano(),
	}
	if e.Type == "container" || e.Type == "image" {
		m.Status, m.ID = e.Action, e.ID
	}
	if e.Type == "container" {
		m.From = e.Attributes["image"]
	}
	return m
}

// TestNotes: a line with notes is one JSON object, and gives them back.
func TestNotes(t *testing.T) {
	for _, notes := range []map[string]string{nil, {"by": "0"}, {"by": "0", "quote": `"}`}} {
		e := Event{Type: "container", Action: "kill", ID: "c", Attributes: Attributes("signal", "15"), Time: time.Unix(7, 8), Notes: notes}
		got, err := decode(bytes.TrimSuffix(e.append(nil), []byte("\n")))
		if err != nil || !maps.Equal(got.Notes, notes) || got.Attributes["signal"] != "15" || !got.Time.Equal(e.Time) {
			t.Errorf("%+v: %v, from %s", got, err, e.append(nil))
		}
	}
}

func TestReadAndTail(t *testing.T) {
	j := journal(t)
	early := reader(t, j, nil) // before there is a file
	add(t, j, "create", "start")
	tail, err := j.Tail(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	add(t, j, "die")
	for name, c := range map[string]struct {
		r    *Reader
		want string
	}{"early": {early, "create start die"}, "tail": {tail, "die"}, "late": {reader(t, j, nil), "create start die"}} {
		if got := actions(all(t, c.r)); got != c.want {
			t.Errorf("%s: read %q, want %q", name, got, c.want)
		}
	}
}

func TestTogetherAndInOrderOfTime(t *testing.T) {
	j := journal(t)
	add(t, j, "create")
	if err := j.Append(Event{Type: "network", Action: "connect"}, Event{Type: "container", Action: "start"}); err != nil {
		t.Fatal(err)
	}
	found := all(t, reader(t, j, nil))
	if got := actions(found); got != "create connect start" {
		t.Errorf("read %q", got)
	}
	for i := 1; i < len(found); i++ {
		if found[i].Time.Before(found[i-1].Time) {
			t.Errorf("%s at %v stands after %s at %v", found[i].Action, found[i].Time, found[i-1].Action, found[i-1].Time)
		}
	}
}

func TestDamagedLinesAreSkippedAndTold(t *testing.T) {
	j := journal(t)
	add(t, j, "one")
	garbage(t, j, "{\"Type\":\"cont\nnonsense\n{}\n\x00\x00\n[1]\n")
	add(t, j, "two")
	garbage(t, j, `{"Type":"container","Action":"cut`) // a full disk
	add(t, j, "three")
	var told []string
	got := actions(all(t, reader(t, j, func(m string) { told = append(told, m) })))
	if got != "one two three" {
		t.Errorf("read %q", got)
	}
	if len(told) != 6 || !strings.Contains(told[0], j.Path+": the line at byte ") {
		t.Errorf("told %q", told)
	}
}

func garbage(t *testing.T, j Journal, text string) {
	t.Helper()
	f, err := os.OpenFile(j.Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestTooLongLine(t *testing.T) {
	j := journal(t)
	add(t, j, "one")
	garbage(t, j, strings.Repeat("x", longest+200<<10)+"\n")
	var told []string
	r := reader(t, j, func(m string) { told = append(told, m) })
	if got := actions(all(t, r)); got != "one" {
		t.Errorf("read %q", got)
	}
	add(t, j, "two") // in a new file: that one is full
	if got := actions(all(t, r)); got != "two" {
		t.Errorf("then %q", got)
	}
	if len(told) != 1 || !strings.Contains(told[0], "too long") {
		t.Errorf("told %q", told)
	}
}

func TestTruncatedAndDeletedByHand(t *testing.T) {
	j := journal(t)
	add(t, j, "one")
	var told []string
	r := reader(t, j, func(m string) { told = append(told, m) })
	all(t, r)
	if err := os.Truncate(j.Path, 0); err != nil {
		t.Fatal(err)
	}
	add(t, j, "2") // shorter than what was there
	if got := actions(all(t, r)); got != "2" || len(told) != 1 || !strings.Contains(told[0], "truncated") {
		t.Errorf("read %q, told %q", got, told)
	}
	if err := os.WriteFile(j.predecessor(), []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(j.predecessor(), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(j.Path); err != nil {
		t.Fatal(err)
	}
	add(t, j, "three")
	if got := actions(all(t, r)); got != "three" {
		t.Errorf("after the file was deleted: %q", got)
	}
}

func TestWait(t *testing.T) {
	for name, without := range map[string]bool{"inotify": false, "no inotify": true} {
		t.Run(name, func(t *testing.T) {
			j := journal(t)
			r := reader(t, j, nil)
			if without {
				r.watch.Close()
				r.watch = &store.Watch{}
			}
			for _, action := range []string{"create", "start"} {
				go j.Append(Event{Type: "container", Action: action})
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				found := all(t, r)
				for len(found) == 0 {
					if err := r.Wait(ctx); err != nil {
						t.Fatal(err)
					}
					found = all(t, r)
				}
				cancel()
				if actions(found) != action {
					t.Errorf("read %q, want %q", actions(found), action)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			for ctx.Err() == nil {
				r.Wait(ctx)
			}
			if err := r.Wait(ctx); err != context.DeadlineExceeded {
				t.Errorf("waiting after the time: %v", err)
			}
		})
	}
}

// TestNothingIsLost: several processes append, files are renamed meanwhile, and a follower reads all.
func TestNothingIsLost(t *testing.T) {
	j := journal(t)
	r := reader(t, j, func(m string) { t.Error(m) })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	writers := []string{"a", "b", "c", "d"}
	for _, w := range writers {
		c := exec.Command(self)
		c.Env = append(os.Environ(), "EVENT_TEST_JOURNAL="+j.Path, "EVENT_TEST_WRITER="+w)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Wait()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	next := map[string]int{}
	var last time.Time
	for n := 0; n < len(writers)*each; {
		e, ok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			if err := r.Wait(ctx); err != nil {
				t.Fatalf("%d events came: %v", n, err)
			}
			continue
		}
		n++
		if want := strconv.Itoa(next[e.ID]); e.Attributes["n"] != want {
			t.Fatalf("event %s of writer %s, want %s", e.Attributes["n"], e.ID, want)
		}
		next[e.ID]++
		if e.Time.Before(last) {
			t.Fatalf("%v after %v", e.Time, last)
		}
		last = e.Time
	}
	if _, err := os.Stat(j.predecessor()); err != nil {
		t.Error("no file was renamed: ", err)
	}
	info, err := os.Stat(j.Path)
	if err != nil || info.Size() > limit+1000 {
		t.Errorf("the current file: %v, %v", info, err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(Event{Type: "container", Action: "die", ID: "x", Attributes: map[string]string{"a": "b"}, Time: time.Unix(1, 2)}.append(nil)))
	f.Add([]byte("{}\n\n{\"Type\":1}\n{\"Type\":\"a\",\"Action\":\"b\",\"timeNano\":1}"))
	path := filepath.Join(f.TempDir(), "events")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		told := 0
		r, err := Journal{path}.Read(func(string) { told++ })
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		found := all(t, r)
		lines := bytes.Count(data, []byte("\n"))
		if len(found)+told > lines {
			t.Errorf("%d lines, %d events and %d complaints", lines, len(found), told)
		}
		for _, e := range found { // what was read can be written and read again
			again, err := decode(bytes.TrimSpace(e.append(nil)))
			if err != nil || again.Action != e.Action || !again.Time.Equal(e.Time) || !maps.Equal(again.Attributes, e.Attributes) {
				t.Errorf("%+v came back as %+v, %v", e, again, err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j := Journal{filepath.Join(b.TempDir(), "events")}
	e := Event{Type: "container", Action: "start", ID: strings.Repeat("0123456789abcdef", 4)}
	e.Attributes = map[string]string{"image": "alpine", "name": "web", "com.example": "x"}
	for b.Loop() {
		if err := j.Append(e); err != nil {
			b.Fatal(err)
		}
	}
}
