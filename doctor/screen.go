package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"glassbox/screen"
)

func (r Result) tone() screen.Tone {
	switch r {
	case Warn:
		return screen.Notice
	case Fail:
		return screen.Bad
	}
	return screen.Good
}

// Show prints the report: a line for each area, then what fails or warns; with all, every check.
func (r Report) Show(w io.Writer, style screen.Style, all bool) error {
	s := screen.New(w, style)
	s.Title("%s: Linux %s, %s, glassbox %s", screen.Shown(r.Machine.Hostname), r.Machine.Kernel, r.Machine.Architecture, r.Machine.Glassbox)
	s.Say("%d checks: %d pass, %d warn, %d fail. Each was tried or read here, none guessed from versions.", len(r.Checks), r.Pass, r.Warn, r.Fail)
	s.Blank()
	if all {
		r.everything(s)
	} else {
		r.areas(s)
		r.troubles(s)
	}
	r.next(s, all)
	return s.Flush()
}

// grouped are the checks by area, in order.
func (r Report) grouped() (areas []string, checks map[string][]Check) {
	checks = map[string][]Check{}
	for _, c := range r.Checks {
		if checks[c.Area] == nil {
			areas = append(areas, c.Area)
		}
		checks[c.Area] = append(checks[c.Area], c)
	}
	return areas, checks
}

func (r Report) areas(s *screen.Screen) {
	var rows [][]screen.Cell
	areas, checks := r.grouped()
	for _, a := range areas {
		n := map[Result]int{}
		worst := Pass
		for _, c := range checks[a] {
			n[c.Result]++
			if c.Result == Fail || c.Result == Warn && worst == Pass {
				worst = c.Result
			}
		}
		row := screen.Row(a, string(worst), amount(n[Pass]), amount(n[Warn]), amount(n[Fail]), about(a))
		row[1].Tone = worst.tone()
		rows = append(rows, row)
	}
	head := []string{"AREA", "", "PASS", "WARN", "FAIL", "WHAT WAS TRIED"}
	if s.Width() < 70 {
		head = head[:5]
		for i := range rows {
			rows[i] = rows[i][:5]
		}
	}
	s.Table(head, rows)
}

// about says in a few words what an area's checks try.
func about(area string) string {
	switch area {
	case "security":
		return "rights, filters, modules"
	case "kernel":
		return "calls that make a container"
	case "namespaces":
		return "each of the eight"
	case "cgroups":
		return "a group, limits, freezing"
	case "files":
		return "data and run directories"
	case "network":
		return "packets through a bridge, firewalls"
	case "limits":
		return "files, processes, keys, mounts"
	case "programs":
		return "glassrun and tools"
	case "machine":
		return "clock, virtualization"
	}
	return "what was left over"
}

func amount(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// fold is how many troubles are told in full on the first screen, which has 40 lines.
const fold = 3

// troubles are what fails, then what warns: those with the same cure together.
func (r Report) troubles(s *screen.Screen) {
	all := r.together()
	for _, t := range all[:min(fold, len(all))] {
		s.Blank()
		trouble(s, t)
	}
	if more := len(all) - fold; more > 0 {
		s.Blank()
		s.Say("And %s more: glassbox doctor -v shows all.", count(more, "trouble", "troubles"))
	}
}

// together are the checks that do not pass, those that fail first; what has the same cure is one trouble.
func (r Report) together() [][]Check {
	var all [][]Check
	for _, result := range []Result{Fail, Warn} {
		for _, c := range r.Checks {
			if c.Result != result {
				continue
			}
			same := func(t []Check) bool { return t[0].Fix == c.Fix }
			if i := slices.IndexFunc(all, same); i >= 0 {
				all[i] = append(all[i], c)
			} else {
				all = append(all, []Check{c})
			}
		}
	}
	return all
}

func trouble(s *screen.Screen, t []Check) {
	first := t[0]
	found := shown(first.Found)
	if slices.ContainsFunc(t, func(c Check) bool { return c.Result == first.Result && c.Found != first.Found }) {
		found += " (" + first.Name + "; likewise the others)"
	}
	fields := []screen.Field{
		{Label: string(first.Result), Value: titles(t), Tone: first.Result.tone()},
		{Label: "found:", Value: found}, {Label: "why:", Value: first.Why}, {Label: "fix:", Value: first.Fix},
	}
	if first.Lab != "" {
		fields = append(fields, screen.Field{Label: "learn:", Value: "glassbox lab start " + first.Lab})
	}
	s.Fields(fields...)
}

// titles are the checks' names, area by area.
func titles(t []Check) string {
	areas, checks := Report{Checks: t}.grouped()
	for i, a := range areas {
		var names []string
		for _, c := range checks[a] {
			names = append(names, c.Name)
		}
		areas[i] = a + ": " + strings.Join(names, ", ")
	}
	return strings.Join(areas, "; ")
}

// shown is text of the kernel or of others, line by line.
func shown(text string) string {
	var lines []string
	for l := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, screen.Shown(l))
	}
	return strings.Join(lines, "\n")
}

// everything is a table for each area, with the cures below.
func (r Report) everything(s *screen.Screen) {
	areas, checks := r.grouped()
	for _, a := range areas {
		s.Section("%s", a)
		var rows [][]screen.Cell
		for _, c := range checks[a] {
			row := screen.Row(c.Name, string(c.Result), shown(c.Found))
			row[1].Tone = c.Result.tone()
			rows = append(rows, row)
		}
		s.Table([]string{"CHECK", "", "FOUND"}, rows)
		for _, t := range (Report{Checks: checks[a]}).together() {
			s.Blank()
			trouble(s, t)
		}
	}
}

// next is the area of the first trouble: all its checks, or, where they are here, another look after the cure.
func (r Report) next(s *screen.Screen, all bool) {
	for _, result := range []Result{Fail, Warn} {
		i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Result == result })
		switch {
		case i >= 0 && !all:
			s.Next("glassbox doctor "+r.Checks[i].Area, "every check of this area")
			return
		case i >= 0 && result == Fail:
			s.Next("glassbox doctor "+r.Checks[i].Area, "again, after the cure")
			return
		}
	}
	s.Next("glassbox run --rm tiny hostname", "a first container")
}
