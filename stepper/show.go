package stepper

import (
	"fmt"
	"strings"

	"glassbox/mechanism"
	"glassbox/program"
	"glassbox/screen"
)

// show draws a stop: what the calls before returned, where one is, what comes next and what it is good for.
func (s *Stepper) show(stop program.Stop) error {
	w := screen.New(s.Out, s.Style)
	s.gave(w, stop.Gave)
	w.Blank()
	w.Title("%s", title(stop))
	if len(stop.Next) > 1 {
		together(w, stop.Next)
		return w.Flush()
	}
	d := stop.Next[0]
	w.Verbatim(2, inLines(d.Call, w.Width()-2))
	m, _ := mechanism.StepOf(d.Call, d.From, d.Why)
	fields := []screen.Field{{Label: "why", Value: d.Why}}
	if d.From != "" {
		fields = append(fields, screen.Field{Label: "asked by", Value: d.From})
	}
	fields = append(fields, screen.Field{Label: "without", Value: m.Missing})
	if len(stop.Then) > 0 {
		fields = append(fields, screen.Field{Label: "then", Value: "the new process makes its first calls by itself. It cannot be asked before them: " +
			"as long as it holds our end of its line to us, it would wait for ever for a glassbox that was killed"})
	}
	w.Fields(fields...)
	list(w, stop.Then)
	return w.Flush()
}

// together shows calls between which nobody can be asked, and why not.
func together(w *screen.Screen, calls []program.Done) {
	list(w, calls)
	m, _ := mechanism.StepOf(calls[0].Call, calls[0].From, calls[0].Why)
	w.Fields(screen.Field{Label: "without", Value: m.Missing})
	why := "the process tells us here that it waits, and a question would be taken for that"
	if name(calls[0].Call) == "seccomp" {
		why = "the filter would judge the question, too"
	}
	w.Tell(screen.Faint, "These calls are made together, and nobody can be asked between them: "+why+".")
}

// list shows calls, each by its beginning.
func list(w *screen.Screen, calls []program.Done) {
	for _, d := range calls {
		w.Verbatim(2, screen.Clip(brief(d.Call), w.Width()-2))
		w.Fields(screen.Field{Value: d.Why, Tone: screen.Faint})
	}
}

// gave tells what came of the calls before. The last one was shown in full when it was asked for.
func (s *Stepper) gave(w *screen.Screen, gave []program.Done) {
	if s.passed > 0 {
		w.Tell(screen.Faint, "... "+counted(s.passed))
		gave = gave[max(0, len(gave)-1):]
	}
	for _, d := range gave {
		tone := screen.Plain
		if d.Failed {
			tone = screen.Bad
		}
		w.Fields(screen.Field{Label: name(d.Call), Value: "= " + d.Result, Tone: tone})
	}
}

func counted(calls int) string {
	if calls == 1 {
		return "1 call was made"
	}
	return fmt.Sprintf("%d calls were made", calls)
}

// title is where one is.
func title(stop program.Stop) string {
	place := fmt.Sprintf("step %d of %d", stop.Number, stop.Steps)
	switch {
	case stop.Number == 0 && stop.Requests > 1:
		place = fmt.Sprintf("the host's request %d of %d", stop.Request, stop.Requests)
	case stop.Number == 0:
		place = "a request of the host's"
	}
	return "-- " + stop.Phase + ": " + place
}

// longest is how many lines of a call are shown.
const longest = 12

// inLines is a call in lines of at most width columns. A script for nft has lines already.
func inLines(call string, width int) string {
	lines := strings.Split(strings.TrimSpace(brief(call)), "\n")
	switch {
	case len(lines) > 1:
	case name(call) == "ip" || name(call) == "sysctl":
		lines = screen.Wrap(lines[0], width)
	default:
		lines = program.Lines(lines[0], width)
	}
	if more := len(lines) - longest; more > 1 {
		lines = append(lines[:longest], fmt.Sprintf("... %d lines more", more))
	}
	return strings.Join(lines, "\n")
}

// brief writes a container's id, 64 hexadecimal digits, as its first twelve, so that paths fit a line.
func brief(call string) string {
	const whole, shown = 64, 12
	var w strings.Builder
	for {
		n := strings.IndexFunc(call, hexadecimal)
		if n < 0 {
			return w.String() + call
		}
		w.WriteString(call[:n])
		call = call[n:]
		if n = strings.IndexFunc(call, func(r rune) bool { return !hexadecimal(r) }); n < 0 {
			n = len(call)
		}
		if n == whole {
			w.WriteString(call[:shown] + "…")
		} else {
			w.WriteString(call[:n])
		}
		call = call[n:]
	}
}

func hexadecimal(r rune) bool { return r >= '0' && r <= '9' || r >= 'a' && r <= 'f' }

func (s *Stepper) say(format string, a ...any) {
	w := screen.New(s.Out, s.Style)
	w.Say(format, a...)
	w.Flush() //nolint:errcheck // the terminal is gone, as the next read tells
}

func (s *Stepper) help() {
	w := screen.New(s.Out, s.Style)
	w.Fields(
		screen.Field{Label: "Enter, n", Value: "make this call, and pause before the next one"},
		screen.Field{Label: "s", Value: "skip this call: the kernel is not asked. Refused where that would endanger the host or break the program"},
		screen.Field{Label: "c", Value: "continue to the end"},
		screen.Field{Label: "b NAME", Value: "go on until a call of that name comes next, or one of that phase, mechanism or config field: b pivot_root, b network, b capabilities, b mounts[2]"},
		screen.Field{Label: "i", Value: "inspect: what the kernel holds of the process now. The full view is glassbox view, in another terminal"},
		screen.Field{Label: "q, Ctrl-C", Value: "quit: everything is taken back"},
	)
	w.Flush() //nolint:errcheck // the terminal is gone, as the next read tells
}
