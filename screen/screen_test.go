package screen

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func drawn(s Style) string {
	var w strings.Builder
	p := New(&w, s)
	p.Title("Container web: two processes")
	p.Section("Namespaces")
	p.Table([]string{"KIND", "HOST", "CONTAINER", ""}, [][]Cell{
		Row("pid", "4026531836", "4026532201", "a number of its own for each process"),
		{{Text: "uts"}, {Text: "4026531838"}, {Text: "4026531838", Tone: Notice}, {Text: "same", Tone: Notice}},
	})
	p.Section("Limits")
	p.Fields(Field{Label: "memory", Value: "64 MiB"}, Field{"tasks", "no limit: the group's pids.max is max, as it is for every group without one", Bad})
	p.Blank()
	p.Verbatim(4, "a \x1b[2J line\n")
	p.Next("glassbox view --watch web", "the same, as it changes")
	p.Flush()
	return w.String()
}

const wide = `Container web: two processes

Namespaces
  KIND  HOST        CONTAINER
  pid   4026531836  4026532201  a number of its own for each process
  uts   4026531838  4026531838  same

Limits
  memory  64 MiB
  tasks   no limit: the group's pids.max is max, as it is for every group without one

    "a \x1b[2J line"

Next: glassbox view --watch web   # the same, as it changes
`

func TestScreen(t *testing.T) {
	if got := drawn(Style{}); got != wide {
		t.Errorf("got\n%s\nwant\n%s", got, wide)
	}
	for _, columns := range []int{20, 40, 60, 80, 100, 300} {
		for line := range strings.Lines(drawn(Style{Width: columns})) {
			if n := utf8.RuneCountInString(line) - 1; n > min(max(columns, Least), Most) {
				t.Errorf("width %d: %d columns: %s", columns, n, line)
			}
		}
	}
	colour := drawn(Style{Colour: true})
	for _, s := range sequences {
		if s != "" {
			colour = strings.ReplaceAll(colour, s, "")
		}
	}
	if colour = strings.ReplaceAll(colour, plain, ""); colour != wide {
		t.Errorf("colour changes the text:\n%s", colour)
	}
}

func TestNarrowTableIsStacked(t *testing.T) {
	if got := drawn(Style{Width: 40}); !strings.Contains(got, "  KIND       pid\n  HOST       4026531836\n") {
		t.Errorf("40 columns:\n%s", got)
	}
}
