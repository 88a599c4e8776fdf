package why

import (
	"fmt"
	"io"
	"strings"

	"glassbox/screen"
)

// Draw shows what has become of a container.
func (r *Report) Draw(w io.Writer, style screen.Style) error {
	s := screen.New(w, style)
	s.Title("%s: %s", screen.Shown(name(r.Name, r.ID)), r.State)
	s.Blank()
	s.Tell(screen.Strong, screen.Shown(capital(r.Verdict))+".")
	for _, n := range r.Notes {
		s.Tell(screen.Notice, "Note: "+screen.Shown(n)+".")
	}
	s.Section("Why")
	s.Fields(present(
		screen.Field{Label: "sent by", Value: screen.Shown(r.Sender)}, screen.Field{Label: "rule", Value: screen.Shown(r.Why)},
		screen.Field{Label: "comes back", Value: screen.Shown(r.Return)})...)
	s.Section("Evidence")
	var lines []screen.Field
	for _, e := range r.Evidence {
		lines = append(lines, screen.Field{Label: e.Source, Value: screen.Shown(e.Text)})
	}
	evidence(s, lines)
	s.Section("What to do")
	learn := lesson(r.Learn)
	if learn == r.next {
		learn = "" // the last line says it
	}
	s.Fields(present(screen.Field{Label: "check", Value: r.Check}, screen.Field{Label: "fix", Value: screen.Shown(r.Fix)}, screen.Field{Label: "learn", Value: learn})...)
	s.Next(r.next, r.purpose)
	return s.Flush()
}

// evidence writes each line with its source before it, or above it where the screen is too narrow for both.
func evidence(s *screen.Screen, lines []screen.Field) {
	longest := 0
	for _, l := range lines {
		longest = max(longest, len(l.Label))
	}
	if longest < s.Width()/3 {
		s.Fields(lines...)
		return
	}
	for _, l := range lines {
		for i, t := range screen.Wrap(l.Label+": "+l.Value, s.Width()-6) {
			s.Verbatim(map[bool]int{true: 2, false: 6}[i == 0], t)
		}
	}
}

// name is what people call it.
func name(called, id string) string {
	if called != "" {
		return called
	}
	return id[:min(12, len(id))]
}

func present(fields ...screen.Field) (some []screen.Field) {
	for _, f := range fields {
		if f.Value != "" {
			some = append(some, f)
		}
	}
	return some
}

func lesson(id string) string {
	if id == "" {
		return ""
	}
	return "glassbox lab start " + id
}

func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// tones are for who sees colours; the words say it all.
func (h Holds) tone() screen.Tone {
	switch h {
	case Yes:
		return screen.Bad
	case No:
		return screen.Faint
	}
	return screen.Notice
}

// Draw shows the causes, the true one in full, the others in a line or two.
func (a *Answer) Draw(w io.Writer, style screen.Style) error {
	s := screen.New(w, style)
	s.Title("%s", screen.Shown(strings.TrimSpace(fmt.Sprintf("%s (%d, %s) from %s %s", a.Errno, a.Number, a.Message, a.Call, strings.Join(a.Objects, " ")))))
	if a.In != "" {
		s.Say("Asked for process %s, which would make the call.", a.In)
	}
	s.Say("%s", a.summary())
	for _, t := range a.Tried {
		s.Say("%s", screen.Shown("Tried now: "+t+"."))
	}
	for i, c := range a.Causes {
		s.Blank()
		s.Tell(c.Holds.tone(), fmt.Sprintf("%d. %s: %s", i+1, c.Name, c.Holds))
		fields := []screen.Field{{Label: "rule", Value: c.Why}}
		for _, e := range c.Evidence {
			fields = append(fields, screen.Field{Label: "seen", Value: screen.Shown(e)})
		}
		switch {
		case c.Holds == Yes:
			fields = append(fields, screen.Field{Label: "check", Value: c.Check}, screen.Field{Label: "fix", Value: c.Fix}, screen.Field{Label: "learn", Value: lesson(c.Learn)})
		case c.Holds == Unknown:
			fields = append(fields, screen.Field{Label: "check", Value: c.Check}, screen.Field{Label: "fix", Value: c.Fix})
		default:
			fields = fields[1:] // what does not hold needs no rule
		}
		s.Fields(present(fields...)...)
	}
	s.Blank()
	s.Fields(screen.Field{Label: "manual", Value: a.Manual})
	switch best := a.Causes[0]; {
	case best.Holds != Yes && a.usage != "" && len(a.Objects) == 0:
		s.Next(fmt.Sprintf("glassbox why %s %s %s", a.Errno, a.Call, a.usage), "test it on what it was made on")
	case best.Holds == Yes || a.In != "":
		s.Next(lesson(best.Learn), "see it happen")
	default:
		s.Next(fmt.Sprintf("glassbox why --in CONTAINER %s %s", a.Errno, a.Call), "as a process of a container, or of a number")
	}
	return s.Flush()
}

// summary is how many causes hold.
func (a *Answer) summary() string {
	n := len(a.True())
	of := fmt.Sprintf("%d causes are known", len(a.Causes))
	if len(a.Causes) == 1 {
		of = "one cause is known"
	}
	switch {
	case n == 1:
		of += ", and one holds here: " + a.Causes[0].Name + "."
	case n > 1:
		of += fmt.Sprintf(", and %d hold here.", n)
	case a.usage != "" && len(a.Objects) == 0:
		of += fmt.Sprintf("; none can be seen to hold. Say on what: why %s %s %s.", a.Errno, a.Call, a.usage)
	default:
		of += "; none can be seen to hold here."
	}
	return capital(of)
}

// DrawPairs lists what is known.
func DrawPairs(pairs []Pair, w io.Writer, style screen.Style) error {
	s := screen.New(w, style)
	s.Title("Errors of kernel calls whose causes can be tested here: why ERRNO CALL [OBJECT...]")
	s.Blank()
	var rows [][]screen.Cell
	for _, p := range pairs {
		rows = append(rows, screen.Row(p.Errno, strings.Join(p.Calls, ", "), strings.Join(p.Causes, "; ")))
	}
	s.Table([]string{"ERROR", "CALLS", "CAUSES"}, clipped(rows, s.Width()))
	s.Next("glassbox why CONTAINER", "why a container ended, or did not start")
	return s.Flush()
}

// clipped keeps the second column narrow enough for a third.
func clipped(rows [][]screen.Cell, width int) [][]screen.Cell {
	for _, r := range rows {
		r[1].Text = screen.Clip(r[1].Text, max(20, width*2/5))
	}
	return rows
}
