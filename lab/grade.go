package lab

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Grade makes a class's table of the reports in a directory, *.json: a row for each, with how many tasks of each lesson were done. It gives
// how many reports there were, and how many of them have flags.
func Grade(lib *Library, dir string, w io.Writer) (reports, flagged int, err error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.json"))
	if err != nil {
		return 0, 0, err
	}
	if _, err := os.ReadDir(dir); err != nil {
		return 0, 0, err
	}
	out := csv.NewWriter(w)
	head := []string{"file", "student", "machine", "written"}
	for _, l := range lib.Lessons {
		head = append(head, fmt.Sprintf("%s (of %d)", l.ID, len(l.Tasks)))
	}
	if err := out.Write(append(head, "points", "attempts", "hints", "flags")); err != nil {
		return 0, 0, err
	}
	seen := map[string]string{}
	for _, file := range files {
		g := grader{lib: lib, seen: seen}
		row := g.row(file)
		if len(g.flags) > 0 {
			flagged++
		}
		if err := out.Write(row); err != nil {
			return 0, 0, err
		}
	}
	out.Flush()
	return len(files), flagged, out.Error()
}

// escapeGlob has a directory's name mean itself.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// grader makes the row of one report.
type grader struct {
	lib   *Library
	seen  map[string]string // students, and their files
	flags []string
}

func (g *grader) flag(format string, a ...any) { g.flags = append(g.flags, fmt.Sprintf(format, a...)) }

func (g *grader) row(file string) []string {
	name := filepath.Base(file)
	r, err := openReport(file)
	if err != nil {
		g.flag("damaged: %v", err)
		r = &Report{}
	} else {
		g.judge(r, name)
	}
	row := []string{harmless(name), harmless(r.Student), harmless(r.Machine), harmless(r.Written)}
	points, attempts, hints := 0, 0, 0
	for _, l := range g.lib.Lessons {
		i := slices.IndexFunc(r.Lessons, func(done ReportedLesson) bool { return done.Lesson == l.ID })
		if i < 0 {
			row = append(row, "")
			continue
		}
		done := g.tasks(l, &r.Lessons[i])
		for _, t := range r.Lessons[i].Tasks {
			attempts, hints = attempts+t.Attempts, hints+t.Hints
		}
		points += done
		row = append(row, strconv.Itoa(done))
	}
	return append(row, strconv.Itoa(points), strconv.Itoa(attempts), strconv.Itoa(hints), harmless(strings.Join(g.flags, "; ")))
}

// tasks counts what was done of a lesson.
func (g *grader) tasks(l *Lesson, done *ReportedLesson) int {
	if done.Digest != l.Digest {
		g.flag("another version of %s", l.ID)
	}
	return min(done.done(), len(l.Tasks))
}

// judge flags what an instructor should look at.
func (g *grader) judge(r *Report, file string) {
	if sum, err := r.sum(); err != nil || sum != r.Sum {
		g.flag("the sum is wrong: it was changed")
	}
	if strings.TrimSpace(r.Student) == "" {
		g.flag("no student's name")
	} else if other := g.seen[r.Student]; other != "" {
		g.flag("the same student as in %s", other)
	} else {
		g.seen[r.Student] = file
	}
	named := map[string]bool{}
	for _, l := range r.Lessons {
		if g.lib.byName(l.Lesson) == nil {
			g.flag("unknown lesson %s", clipped(l.Lesson))
		}
		if named[l.Lesson] {
			g.flag("lesson %s twice", clipped(l.Lesson))
		}
		named[l.Lesson] = true
		for _, t := range l.Tasks {
			if t.Attempts < 0 || t.Hints < 0 {
				g.flag("impossible numbers in %s", clipped(l.Lesson))
				t.Attempts, t.Hints = max(t.Attempts, 0), max(t.Hints, 0)
			}
		}
	}
}

func openReport(file string) (*Report, error) {
	data, err := readBounded(os.DirFS(filepath.Dir(file)), filepath.Base(file), mostReport)
	if err != nil {
		return nil, err
	}
	return readReport(data)
}

// harmless keeps a spreadsheet from taking what a student has written for a formula.
func harmless(text string) string {
	if strings.IndexAny(text, "=+-@\t\r\n") == 0 {
		return "'" + text
	}
	return text
}
