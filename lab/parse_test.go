package lab

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glassbox/labs"
	"glassbox/mechanism"
)

// sound is a lesson with nothing wrong.
const sound = `title: One
order: 1
minutes: 5
uses: netns:blue link:br-lab
uses: cgroup:lab/one mount:/mnt/lab file:/etc/netns/blue table:inet,lab

-- why --
Because.
-- task/1 --
Do it.
-- check/1 --
[ -e done ] || missing "there is no file done"
-- hint/1 --
Use touch.

when "no file": touch done
-- solution/1 --
touch done
-- wrong/1 --
touch dune
-- wrong/1.says --
there is no file
-- wrong/1.hint --
touch done
-- explanation --
It was done.
`

func TestParse(t *testing.T) {
	l, problems := Lint("one.txtar", []byte(sound))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if l.ID != "one" || l.Title != "One" || len(l.Uses) != 6 || len(l.Tasks) != 1 || len(l.Tasks[0].Hints) != 2 || l.Tasks[0].Hints[1] != (Hint{"no file", "touch done"}) {
		t.Errorf("parsed as %+v", l)
	}
}

// TestProblems changes one thing of a sound lesson at a time.
func TestProblems(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown field", "minutes: 5", "minutes: 5\nauthor: me", `one.txtar:4: unknown field "author"`},
		{"field twice", "minutes: 5", "minutes: 5\nminutes: 6", "one.txtar:4: field minutes stands here a second time"},
		{"no number", "minutes: 5", "minutes: five", "one.txtar:3: minutes is a number from 1 to 600"},
		{"negative", "order: 1", "order: -1", "one.txtar:2: order is a number"},
		{"missing field", "order: 1\n", "", "one.txtar: there is no field order"},
		{"empty field", "title: One", "title:", "one.txtar:1: field title is empty"},
		{"no field", "title: One", "title One", "one.txtar:1: a field is NAME: VALUE"},
		{"unknown part", "-- explanation --", "-- epilogue --\nx\n-- explanation --", `one.txtar:25: unknown part "epilogue"`},
		{"unknown part of a task", "-- wrong/1.says --", "-- wrong/1.say --", `one.txtar:21: unknown part "wrong/1.say"`},
		{"part of task 01", "-- task/1 --", "-- task/01 --", `one.txtar:9: unknown part "task/01"`},
		{"part twice", "-- explanation --", "-- why --\nx\n-- explanation --", "one.txtar:25: part why stands here a second time (the first: line 7)"},
		{"empty part", "It was done.\n", "\n", "part explanation is empty"},
		{"no why", "-- why --\nBecause.\n", "", "one.txtar: there is no part why"},
		{"no check", "-- check/1 --\n[ -e done ] || missing \"there is no file done\"\n", "", "one.txtar:9: task 1 lacks check/1"},
		{"no says", "-- wrong/1.says --\nthere is no file\n", "", "task 1 lacks wrong/1.says"},
		{"gap", "-- explanation --", "-- task/3 --\nx\n-- explanation --", "nothing of task 2"},
		{"tasks without end", "-- explanation --", "-- task/99999 --\nx\n-- explanation --", "one.txtar:25: task 99999: 40 is the most"},
		{"uses of lo", "link:br-lab", "link:lo", `"link:lo" is no name of a link`},
		{"uses of the root", "mount:/mnt/lab", "mount:/mnt", `"mount:/mnt" is no name of a mount`},
		{"uses with dots", "file:/etc/netns/blue", "file:/tmp/x/../../etc", "is no name of a file"},
		{"uses of our groups", "cgroup:lab/one", "cgroup:glassbox", "is no name of a cgroup"},
		{"uses of our table", "table:inet,lab", "table:inet,glassbox", "is no name of a table"},
		{"uses of what", "netns:blue", "disk:sda", `one.txtar:4: unknown kind of object in uses: "disk:sda"`},
		{"conditional hint", `when "no file": t`, `when "no file" t`, `one.txtar:16: a conditional hint begins with`},
		{"carriage return", "Do it.", "Do it.\r", "one.txtar:10: lines end with a newline alone"},
		{"not text", "Do it.", "Do \xff it.", "it is not UTF-8 text"},
		{"too big", "Do it.", strings.Repeat("x", mostBytes), "is the most"},
		{"big part", "Do it.", strings.Repeat("x ", mostPart), "part task/1 has"},
		{"shell syntax", "[ -e done ] ||", "if [ -e done ]; (", "one.txtar:11: check/1: sh -n:"},
		{"silent check", `missing "there is no file done"`, "exit 1", "one.txtar:11: check/1 never calls missing"},
		{"only conditional hints", "Use touch.\n\n", "", "one.txtar:13: hint/1: there is no hint without a condition"},
		{"hint about nothing", `when "no file"`, `when "a cat ate it"`, `never says "a cat"`},
		{"hint that is none", "-- wrong/1.hint --\ntouch done", "-- wrong/1.hint --\nuse a hammer", `no hint of task 1 says "use a hammer"`},
		{"long line", "Do it.", "Do it:\n  " + strings.Repeat("x", 97), "one.txtar:11: task/1: a line of 99 columns"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(sound, c.old, c.new, 1)
			if text == sound {
				t.Fatal("nothing was changed")
			}
			_, problems := Lint("one.txtar", []byte(text))
			if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.String(), c.want) }) {
				t.Errorf("problems are %v, without %q", problems, c.want)
			}
		})
	}
	if _, problems := Parse("../A b.txtar", []byte(sound)); len(problems) != 1 {
		t.Errorf("a name with a blank: %v", problems)
	}
}

// TestLibrary holds the lessons of package labs together: none is broken, their orders differ, and the table of mechanisms names lessons that
// there are.
func TestLibrary(t *testing.T) {
	lib, err := OpenLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(lib.Broken, LintOrders(lib.Lessons)...) {
		t.Error(p)
	}
	for _, m := range mechanism.All {
		if lib.byName(m.Lab) == nil {
			t.Errorf("mechanism %s names the lesson %s, which there is not", m.Name, m.Lab)
		}
	}
	for _, l := range lib.Lessons {
		data, err := labs.Files.ReadFile(l.File)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := Lint(l.File, data); len(problems) > 0 {
			t.Error(problems)
		}
	}
}

// TestLibraryOfADirectory: its lessons stand beside the built-in ones, and in their place where the names are the same; a broken one is named
// and keeps nobody from the others.
func TestLibraryOfADirectory(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"uts-namespace.txtar": sound, "mine.txtar": sound, "broken.txtar": "title: x\n", "notes.txt": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.txtar"), 0o755); err != nil {
		t.Fatal(err)
	}
	lib, err := OpenLibrary(dir)
	if err != nil {
		t.Fatal(err)
	}
	own, err := lib.Find("uts-namespace")
	if err != nil || own.Title != "One" || !own.Foreign {
		t.Errorf("uts-namespace is %+v, %v", own, err)
	}
	if first, err := lib.Find("1"); err != nil || first.Order != 1 {
		t.Errorf("number 1 is %+v, %v", first, err)
	}
	if _, err := lib.Find("broken"); err == nil || !strings.Contains(err.Error(), "there is no part why") {
		t.Errorf("a broken lesson: %v", err)
	}
	if _, err := lib.Find("folder"); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a directory: %v", err)
	}
	for _, ref := range []string{"0", "-1", "999", "", "../x"} {
		if l, err := lib.Find(ref); err == nil {
			t.Errorf("lesson %q is %s", ref, l.ID)
		}
	}
	if builtin, err := OpenLibrary(""); err != nil || len(lib.Lessons) != len(builtin.Lessons)+1 {
		t.Errorf("%d lessons with the directory, %d without: %v", len(lib.Lessons), len(builtin.Lessons), err)
	}
	if _, err := OpenLibrary(dir + "/none"); err == nil {
		t.Error("a directory that is not there is read")
	}
}

// FuzzParse: whatever a file holds, it is refused with a line that exists, or it can be played.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	entries, _ := labs.Files.ReadDir(".")
	for _, e := range entries {
		data, _ := labs.Files.ReadFile(e.Name())
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, problems := Parse("one.txtar", data)
		lines := strings.Count(string(data), "\n") + 1
		for _, p := range problems {
			if p.Line < 0 || p.Line > lines {
				t.Errorf("%v: there are %d lines", p, lines)
			}
		}
		if len(problems) > 0 {
			return
		}
		if l.Title == "" || l.Why == "" || l.Explanation == "" || len(l.Tasks) == 0 || len(l.Tasks) > mostTasks || l.Bound <= 0 {
			t.Errorf("a lesson without what it needs: %+v", l)
		}
		for _, task := range l.Tasks {
			if task.Check == "" || task.Text == "" || task.Solution == "" || task.Wrong.Says == "" || len(task.Hints) == 0 {
				t.Errorf("a task without what it needs: %+v", task)
			}
		}
	})
}
