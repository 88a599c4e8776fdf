package experiment

import (
	"fmt"
	"strings"

	"glassbox/screen"
)

// List shows all experiments.
func List(s *screen.Screen, program string) {
	s.Title("Experiments: the same probe in two containers, one whole, one with one thing left out")
	s.Blank()
	var rows [][]screen.Cell
	dangerous := 0
	for _, e := range All() {
		mark := screen.Cell{}
		if e.Danger != "" {
			mark = screen.Cell{Text: "danger", Tone: screen.Notice}
			dangerous++
		}
		rows = append(rows, []screen.Cell{{Text: e.Name, Tone: screen.Strong}, mark, {Text: e.Seen}})
	}
	s.Table([]string{"WITHOUT", "--probe", "WHAT IS TO BE SEEN"}, rows)
	s.Blank()
	s.Say("Both containers run in namespaces that stand in for the host, and go with the command. danger: a probe of your own (--probe) could get out of them, and runs only in a virtual machine, or with --dangerous.")
	s.Next(program+" experiment --without proc-mount", "ps in the container lists the host's processes")
}

// mostChanges and mostLines are how much of each part fits a first screen.
const (
	mostChanges = 8
	mostLines   = 12
)

// Show shows what an experiment has shown.
func (r *Result) Show(s *screen.Screen, program string) {
	s.Title("Experiment: the same container, whole and without %s", r.Name)
	fields := []screen.Field{
		{Label: r.Name, Value: r.What},
		{Label: "the host", Value: "a stand-in: namespaces in which glassbox works as on a host. They go with this command, and all that happens in them"},
		{Label: "!", Value: "marks a line that the other run does not have"},
	}
	if r.Risk != "" {
		fields = append(fields, screen.Field{Label: "danger", Value: r.Risk, Tone: screen.Notice})
	}
	s.Fields(fields...)
	r.asked(s)
	r.Whole.show(s, program, "Whole", screen.Good)
	r.Without.show(s, program, "Without "+r.Name, screen.Bad)
	s.Section("What it means")
	if !r.differ() {
		s.Tell(screen.Notice, "Both runs show the same: this probe does not see the difference.")
	}
	s.Say("Without %s: %s.", r.Name, r.Missing)
	s.Fields(screen.Field{Label: "manual", Value: r.Manual}, screen.Field{Label: "here", Value: strings.Join(r.Files, ", ")})
	s.Next(program+" lab start "+r.Lab, "the lesson about it")
}

// differ says whether the runs can be told apart by what they show.
func (r *Result) differ() bool {
	for _, list := range [][]Line{r.Whole.Output, r.Without.Output, r.Whole.Host, r.Without.Host} {
		for _, l := range list {
			if l.Differs {
				return true
			}
		}
	}
	return r.Whole.Exit != r.Without.Exit || r.Whole.Ended != r.Without.Ended
}

// asked shows what the second start did not ask of the kernel, or otherwise.
func (r *Result) asked(s *screen.Screen) {
	s.Section("Asked of the kernel: %d requests whole, %d without", r.requests[0], r.requests[1])
	var rows [][]screen.Cell
	for i, c := range r.Changes {
		if i == mostChanges && len(r.Changes) > mostChanges+1 {
			rows = append(rows, screen.Row("...", fmt.Sprintf("and %d others: --format json has all", len(r.Changes)-i)))
			break
		}
		text, tone := c.Call, screen.Notice
		if c.Kind == "changed" {
			text = c.words()
		}
		if c.Kind == "gone" {
			tone = screen.Bad
		}
		if c.Times > 1 {
			text = fmt.Sprintf("%d times: %s", c.Times, text)
		}
		rows = append(rows, []screen.Cell{{Text: c.Kind, Tone: tone}, {Text: screen.Clip(screen.Shown(text), s.Width()-11)}})
	}
	if len(rows) == 0 {
		s.Say("The same.")
		return
	}
	s.Table([]string{"", "REQUEST"}, rows)
}

// words tells of a changed request.
func (c Change) words() string {
	switch {
	case len(c.Added) == 0:
		return c.Call + ": without " + strings.Join(c.Gone, " ")
	case len(c.Gone) == 0:
		return c.Call + ": with " + strings.Join(c.Added, " ")
	}
	return c.Call + ": " + strings.Join(c.Added, " ") + " instead of " + strings.Join(c.Gone, " ")
}

func (h Half) show(s *screen.Screen, program, title string, t screen.Tone) {
	s.Section("%s: %s %s", title, program, h.Command)
	if h.Note != "" {
		s.Tell(screen.Faint, "("+h.Note+")")
	}
	write(s, h.Output, t)
	if h.Exit != 0 {
		s.Verbatim(4, fmt.Sprintf("(exit code %d)", h.Exit))
	}
	if h.Ended != "" {
		s.Marked(screen.Notice, "    ", "("+h.Ended+")")
	}
	if len(h.Host) > 0 {
		s.Say("  Seen by the host afterwards:")
		write(s, h.Host, t)
	}
}

// write shows lines; a sign marks those that the other run does not have.
func write(s *screen.Screen, list []Line, t screen.Tone) {
	for i, l := range list {
		if i == mostLines && len(list) > mostLines+1 {
			s.Verbatim(4, fmt.Sprintf("... and %d lines more: --format json has all", len(list)-i))
			return
		}
		sign, tone := "  ", screen.Plain
		if l.Differs {
			sign, tone = "! ", t
		}
		s.Marked(tone, "  "+sign, l.Text)
	}
}
