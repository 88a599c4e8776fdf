package lab

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"glassbox/screen"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// TestScreens compares each screen, at three widths and in colour, with testdata/screens.txtar.
func TestScreens(t *testing.T) {
	const file = "testdata/screens.txtar"
	var have txtar.Archive
	for _, width := range []int{100, 80, 40} {
		for _, s := range shown() {
			text := drawn(t, screen.Style{Width: width}, s.draw)
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "printf") && !strings.Contains(line, "/root/") {
					t.Errorf("%s at %d columns has a line of %d: %s", s.name, width, n, line)
				}
			}
			if !strings.Contains(text[strings.LastIndex(text, "\n\n")+1:], "Next: glassbox lab ") {
				t.Errorf("%s does not end with the next command:\n%s", s.name, text)
			}
			have.Files = append(have.Files, txtar.File{Name: fmt.Sprintf("%s %d", s.name, width), Data: []byte(text)})
		}
	}
	for _, s := range shown() {
		coloured := drawn(t, screen.Style{Width: 100, Colour: true}, s.draw)
		if plain := withoutColour(coloured); plain != drawn(t, screen.Style{Width: 100}, s.draw) || plain == coloured {
			t.Errorf("%s says something else in colour", s.name)
		}
	}
	text := txtar.Format(&have)
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || !bytes.Equal(want, text) {
		t.Errorf("screens differ from %s (-update writes them): %v\n%s", file, err, text)
	}
}

func drawn(t *testing.T, style screen.Style, draw func(Screens)) string {
	t.Helper()
	var b bytes.Buffer
	s := Screens{screen.New(&b, style), "glassbox"}
	draw(s)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func withoutColour(text string) string {
	for _, sequence := range []string{"\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[m"} {
		text = strings.ReplaceAll(text, sequence, "")
	}
	return text
}

type shownScreen struct {
	name string
	draw func(Screens)
}

func shown() []shownScreen {
	pid := &Lesson{
		ID: "pid-namespace", Title: "Number one: the PID namespace", Order: 5, Minutes: 15,
		Why:         "A process has one number for each PID namespace that it is in.\nThe first one in a namespace is its init.",
		Explanation: "clone3(2) with CLONE_NEWPID made it:\n  printf 'a line that is shown as it is, and too long for a narrow terminal'\npid_namespaces(7)",
		Tasks:       []Task{{Text: "Make a PID namespace by hand, with a shell in it.", Hints: []Hint{{Text: "unshare(1)"}, {When: "x", Text: "y"}}}, {Text: "Now let glassbox do it."}},
	}
	memory := &Lesson{ID: "memory-limit", Title: "The OOM kill", Order: 12, Minutes: 20, Tasks: make([]Task, 4)}
	mine := &Lesson{ID: "mine", File: "/srv/labs/mine.txtar", Foreign: true, Title: "A lesson of one's own \x1b[2J", Order: 40, Minutes: 5, Tasks: make([]Task, 1)}
	at := func(done int) *Where {
		return &Where{Lesson: pid, Number: 5, Dir: "/root/glassbox-labs/pid-namespace", Done: done}
	}
	list := []Listed{{Lesson: pid, Done: 1, Active: true}, {Lesson: memory, Lacks: []string{"cgroup:memory"}}, {Lesson: mine, Done: 1}}
	idle := []Listed{{Lesson: pid, Done: 2}, {Lesson: memory}}
	long := "process 4711 has a PID namespace of its own, but its /proc is still the host's: it shows 210 processes\n\x1b[31mand a line from a container"
	report := &Report{Student: "ann@vm1", Lessons: []ReportedLesson{{"pid-namespace", record{Tasks: []*taskRecord{{Done: "x", Hints: 1}, {}}}}}}
	return []shownScreen{
		{"list", func(s Screens) { s.List(list, true, []Problem{{"/srv/labs/other.txtar", 3, `unknown field "author"`}}) }},
		{"list idle", func(s Screens) { s.List(idle, true, nil) }},
		{"list of a user", func(s Screens) { s.List(idle, false, nil) }},
		{"start", func(s Screens) { s.Where(at(0), true) }},
		{"start again", func(s Screens) { w := at(1); w.Again = true; s.Where(w, false) }},
		{"check missing", func(s Screens) { s.Checked(&Checked{Where: at(0), Missing: long, Hints: 1}) }},
		{"check missing without hints", func(s Screens) { s.Checked(&Checked{Where: at(0), Missing: "no"}) }},
		{"check passed", func(s Screens) { s.Checked(&Checked{Where: at(1), Passed: []int{1}}) }},
		{"check finished", func(s Screens) { s.Checked(&Checked{Where: at(2), Passed: []int{2}}) }},
		{"hint", func(s Screens) { s.Hinted(&Hinted{Where: at(0), Text: "unshare(1) has --pid and --fork.", Left: 1}) }},
		{"no hint", func(s Screens) { s.Hinted(&Hinted{Where: at(0), Given: []string{"One.", "Two."}}) }},
		{"reset", func(s Screens) {
			s.Cleaned(&Cleaned{Lesson: "pid-namespace", Removed: []string{"container isle", "process 77 (sleep)"}})
		}},
		{"reset with remains", func(s Screens) {
			s.Cleaned(&Cleaned{Lesson: "pid-namespace", Removed: []string{"container isle"}, Remains: []Remaining{{"interface br7", "ip link delete br7"}, {"volume data was there before the lesson, and is gone", ""}}})
		}},
		{"reset of nothing", func(s Screens) { s.Cleaned(&Cleaned{Idle: true}) }},
		{"report", func(s Screens) { s.Reported(report, "ann.json") }},
	}
}
