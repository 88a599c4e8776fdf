package view

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"glassbox/screen"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// fixed is a real container's view, from which somebody has taken a volume and a default route, and whose name he has changed.
func fixed(t *testing.T) *View {
	t.Helper()
	data, err := os.ReadFile("testdata/web.json")
	if err != nil {
		t.Fatal(err)
	}
	v := &View{}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
	v.Started = time.Now().Add(-3 * time.Minute)
	return v
}

// The screens, at each width that a terminal may have.
func TestScreens(t *testing.T) {
	half := fixed(t)
	half.Waits = &Waits{Stepper: 4711, Phase: "files", Step: 62, Call: `pivot_root(".", ".")`}
	for i := range half.Differences {
		half.Differences[i].Mark = strings.Replace(half.Differences[i].Mark, "!=", "not yet", 1)
	}
	for name, v := range map[string]*View{"web": fixed(t), "half": half} {
		for _, width := range []int{40, 80, 100} {
			sections := []string{""}
			if name == "web" && width != 80 {
				sections = append(sections, All)
			}
			for _, section := range sections {
				var b bytes.Buffer
				s := screen.New(&b, screen.Style{Width: width})
				v.Draw(s, section, "glassbox")
				if err := s.Flush(); err != nil {
					t.Fatal(err)
				}
				when := strings.NewReplacer(v.Started.Format("2006-01-02"), "2026-01-02", v.Started.Format("15:04:05"), "03:04:05")
				compare(t, strings.TrimSuffix(fmt.Sprintf("testdata/%s-%d-%s", name, width, section), "-")+".golden", when.Replace(b.String()), width)
			}
		}
	}
}

func compare(t *testing.T, file, got string, width int) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: it is now\n%s", file, got)
	}
	lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
	for i, l := range lines {
		if words := strings.Fields(l); len([]rune(l)) > width && len(words) > 2 && i < len(lines)-3 {
			t.Errorf("%s:%d has more than %d columns: %s", file, i+1, width, l)
		}
	}
	if !strings.Contains(got, "\nNext: glassbox ") {
		t.Errorf("%s does not say what is next", file)
	}
	if width == 100 && strings.Count(got, "\n") > 42 && !strings.Contains(file, All) {
		t.Errorf("%s: %d lines are too many for a first screen", file, strings.Count(got, "\n"))
	}
}

// What is no change does not count as one.
func TestSteady(t *testing.T) {
	a, b := fixed(t), fixed(t)
	b.Processes[0].State, b.Cgroup.Limits[0].Used, b.Started = "R", "1", time.Now()
	if a.Steady() != b.Steady() {
		t.Error("a process that runs and a number that is used are changes")
	}
	b.Processes[0].State = "Z"
	if a.Steady() == b.Steady() {
		t.Error("a process that has ended is none")
	}
}
