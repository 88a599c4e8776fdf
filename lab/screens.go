package lab

import (
	"fmt"
	"strings"

	"glassbox/screen"
)

// Screens draws what commands show, for the program called Name.
type Screens struct {
	*screen.Screen
	Name string
}

func (s Screens) next(command, what string) { s.Next(s.Name+" lab "+command, what) }

// List is the first screen.
func (s Screens) List(all []Listed, known bool, broken []Problem) {
	finished, next, what := 0, "", ""
	var rows [][]screen.Cell
	for i, l := range all {
		status := screen.Cell{Text: fmt.Sprintf("%d/%d", l.Done, len(l.Tasks))}
		switch {
		case !known:
			status.Text = "?"
		case l.Done == len(l.Tasks):
			status = screen.Cell{Text: "done", Tone: screen.Good}
			finished++
		}
		title := screen.Cell{Text: screen.Shown(l.Title)}
		switch {
		case l.Active:
			title.Text += " (under way)"
			next, what = "show", "the task that is open"
		case len(l.Lacks) > 0:
			title.Text += " (this machine lacks " + strings.Join(l.Lacks, ", ") + ")"
			title.Tone = screen.Notice
		case next == "" && l.Done < len(l.Tasks):
			next, what = "start "+l.ID, "the first that is open"
		}
		if l.Foreign {
			title.Text += " (from " + screen.Shown(l.File) + ")"
		}
		rows = append(rows, []screen.Cell{{Text: fmt.Sprint(i + 1)}, {Text: l.ID}, {Text: fmt.Sprint(l.Minutes)}, status, title})
	}
	s.Title("%d lessons, %d done", len(all), finished)
	s.Blank()
	s.Table([]string{"#", "LESSON", "MIN", "TASKS", "WHAT IT IS ABOUT"}, rows)
	if !known {
		s.Blank()
		s.Say("What was done is kept by root: sudo %s lab list shows it.", s.Name)
	}
	s.broken(broken)
	if next == "" {
		next, what = "report", "a file with all that was done"
	}
	s.next(next, what)
}

func (s Screens) broken(problems []Problem) {
	if len(problems) == 0 {
		return
	}
	s.Section("Lessons that cannot be played:")
	for _, p := range problems {
		s.Tell(screen.Bad, screen.Shown(p.String()))
	}
}

// Where is the lesson under way: with its beginning, or the open task alone.
func (s Screens) Where(w *Where, whole bool) {
	number := ""
	if w.Number > 0 {
		number = fmt.Sprintf(" %d", w.Number)
	}
	s.Title("Lesson%s: %s", number, screen.Shown(w.Lesson.Title))
	if w.Again {
		s.Tell(screen.Notice, "It is under way already; this is where you are. To begin anew: "+s.Name+" lab reset")
	}
	if whole {
		s.Blank()
		s.prose(w.Lesson.Why)
		s.Blank()
		s.Fields(
			screen.Field{Label: "Time", Value: fmt.Sprintf("about %s, %s", count(w.Lesson.Minutes, "minute"), count(len(w.Lesson.Tasks), "task"))},
			screen.Field{Label: "Work in", Value: w.Dir + "\nThe files that tasks ask for are looked for there."},
		)
	}
	s.task(w)
}

// task is the open one; or that there is none.
func (s Screens) task(w *Where) {
	t := w.Task()
	if t == nil {
		s.Section("%s", allDone(len(w.Lesson.Tasks)))
		s.Blank()
		s.prose(w.Lesson.Explanation)
		s.next("reset", "clean up; what you have reached is kept")
		return
	}
	s.Section("Task %d of %d", w.Done+1, len(w.Lesson.Tasks))
	s.prose(t.Text)
	s.next("check", "when you have done it; "+s.Name+" lab hint helps")
}

// Checked is what came of a check.
func (s Screens) Checked(c *Checked) {
	for _, n := range c.Passed {
		s.Tell(screen.Good, fmt.Sprintf("Task %d: done", n))
	}
	if c.Missing == "" {
		s.task(c.Where)
		return
	}
	s.Tell(screen.Bad, fmt.Sprintf("Task %d: not yet", c.Done+1))
	for line := range strings.Lines(c.Missing) {
		for _, l := range screen.Wrap(screen.Shown(strings.TrimRight(line, "\n")), s.Width()-2) {
			s.Verbatim(2, l)
		}
	}
	if c.Hints > 0 {
		s.next("hint", count(c.Hints, "hint")+" left for this task")
		return
	}
	s.next("show", "the task once more; there are no more hints")
}

// Hinted is a hint.
func (s Screens) Hinted(h *Hinted) {
	switch {
	case h.Task() == nil:
		s.task(h.Where)
		return
	case h.Text == "":
		s.Title("Task %d of %d: there are no more hints. These were given:", h.Done+1, len(h.Lesson.Tasks))
		for _, text := range h.Given {
			s.Blank()
			s.prose(text)
		}
	default:
		s.Title("Task %d of %d, hint %d", h.Done+1, len(h.Lesson.Tasks), len(h.Given)+1)
		s.prose(h.Text)
	}
	if h.Left > 0 {
		s.next("check", "or one more hint: "+s.Name+" lab hint")
		return
	}
	s.next("check", "look whether it is done now")
}

// Cleaned is what came of a reset.
func (s Screens) Cleaned(c *Cleaned) {
	switch {
	case c.Idle && len(c.Remains) == 0:
		s.Title("No lesson is under way: there is nothing to reset.")
	case c.Idle:
		s.Title("No lesson is under way, so nothing is known to be a lesson's and nothing was removed.")
	case len(c.Removed) > 0:
		s.Title("Lesson %s is reset. Removed:", c.Lesson)
		for _, r := range c.Removed {
			s.Verbatim(2, r)
		}
	default:
		s.Title("Lesson %s: nothing had to be removed.", c.Lesson)
	}
	if len(c.Remains) == 0 {
		s.Tell(screen.Good, "Nothing of a lesson is left on this machine.")
		s.next("list", "what was done, and what is next")
		return
	}
	if c.Idle {
		s.Section("Where %s would put something, there is:", c.Lesson)
	} else {
		s.Section("Not as it was before the lesson, because of it or of somebody else:")
	}
	var rows [][]screen.Cell
	for _, r := range c.Remains {
		rows = append(rows, []screen.Cell{{Text: screen.Shown(r.What), Tone: screen.Notice}, {Text: screen.Shown(r.Cure)}})
	}
	s.Table([]string{"WHAT", "UNDONE BY"}, rows)
	s.next("list", "what was done, and what is next")
}

// Reported is a report that was written.
func (s Screens) Reported(r *Report, file string) {
	done, tasks, hints := 0, 0, 0
	for _, l := range r.Lessons {
		done, tasks = done+l.done(), tasks+len(l.Tasks)
		for _, t := range l.Tasks {
			hints += t.Hints
		}
	}
	s.Title("%s: %s begun, %d of %s done", screen.Shown(r.Student), count(len(r.Lessons), "lesson"), done, count(tasks, "task"))
	s.Fields(screen.Field{Label: "File", Value: screen.Shown(file)}, screen.Field{Label: "Hints", Value: fmt.Sprint(hints)})
	s.Say("Give the file to your instructor. Its sum tells an accidental change; it is no proof against cheating.")
	s.next("list", "what was done, and what is next")
}

// prose writes a text of a lesson: paragraphs are filled, lines that begin with a blank stay as they are.
func (s Screens) prose(text string) {
	var paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			s.Tell(screen.Plain, strings.Join(paragraph, " "))
		}
		paragraph = nil
	}
	for _, line := range strings.Split(text, "\n") {
		line = screen.Shown(line)
		switch {
		case strings.TrimSpace(line) == "":
			flush()
			s.Blank()
		case verbatim(line):
			flush()
			s.Verbatim(0, strings.ReplaceAll(line, "\t", "    "))
		case strings.HasPrefix(line, "- "):
			flush()
			fallthrough
		default:
			paragraph = append(paragraph, line)
		}
	}
	flush()
}

func allDone(tasks int) string {
	if tasks == 1 {
		return "The task is done"
	}
	return fmt.Sprintf("All %d tasks are done", tasks)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
