package recording

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"glassbox/screen"
)

// Show writes one screen, from 0; version is this glassbox's own, which may read recordings of others.
func (r *Reader) Show(w io.Writer, style screen.Style, n int, version string) error {
	s := screen.New(w, style)
	if n == 0 {
		r.head(s, version)
		return s.Flush()
	}
	p := r.index[n-1]
	if p.broken != "" {
		s.Tell(screen.Notice, r.damage(p))
		return s.Flush()
	}
	all, err := r.entries(p)
	if err != nil {
		return err
	}
	if p.kind == kindOutput {
		output(s, all)
		return s.Flush()
	}
	e := all[0]
	tame(&e)
	switch e.Kind {
	case kindAccount:
		s.Title("Start, %s", e.Title)
	case kindView:
		s.Title("%s: %s", moment(e.At), e.Title)
	case kindNote:
		s.Tell(screen.Notice, moment(e.At)+": "+e.Text)
	case kindEnd:
		s.Title("%s: the end, %s", moment(e.At), e.Title)
	default:
		s.Tell(screen.Notice, fmt.Sprintf("Line %d is of a kind that this version does not know: %q", p.line, e.Kind))
	}
	if e.Kind == kindAccount || e.Kind == kindView || e.Kind == kindEnd {
		s.Blank()
		verbatim(s, e.Text)
	}
	return s.Flush()
}

// verbatim writes text that was drawn for 80 columns; a narrower screen folds it.
func verbatim(s *screen.Screen, text string) {
	for l := range strings.Lines(text) {
		r := []rune(strings.TrimRight(l, "\n"))
		for len(r) > s.Width() {
			s.Verbatim(0, string(r[:s.Width()]))
			r = r[s.Width():]
		}
		s.Verbatim(0, string(r)+"\n")
	}
}

func moment(at time.Duration) string { return fmt.Sprintf("%.3f s", at.Seconds()) }

// head tells what was recorded, where.
func (r *Reader) head(s *screen.Screen, version string) {
	s.Title("Recording of: %s", r.typed())
	m := r.Machine
	s.Fields(
		screen.Field{Label: "recorded", Value: r.Date.Format("2006-01-02 15:04 UTC") + " by glassbox " + r.Glassbox},
		screen.Field{Label: "machine", Value: strings.Join([]string{m.Hostname, "Linux " + m.Kernel, m.Architecture, m.System}, ", ")},
		screen.Field{Label: "doctor", Value: fmt.Sprintf("%d checks pass, %d warn, %d fail", r.Checks.Pass, r.Checks.Warn, r.Checks.Fail)},
		screen.Field{Label: "screens", Value: fmt.Sprint(r.Screens())},
	)
	if names := r.failing(); names != "" {
		s.Fields(screen.Field{Label: "failing ", Value: names})
	}
	if r.Glassbox != version {
		s.Tell(screen.Notice, fmt.Sprintf("This is glassbox %s: what is shown was drawn by %s.", version, r.Glassbox))
	}
	if r.Cut {
		s.Tell(screen.Notice, "It is cut short: whoever recorded it was stopped before the run had ended.")
	}
}

// typed is the command as one types it.
func (r *Reader) typed() string {
	words := make([]string, len(r.Command))
	for i, w := range r.Command {
		if words[i] = w; w == "" || strings.ContainsFunc(w, func(c rune) bool { return !strings.ContainsRune(plainLetters, c) }) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// plainLetters mean themselves to a shell.
const plainLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,+@%"

// failing are the names of the checks that failed.
func (r *Reader) failing() string {
	var names []string
	for _, t := range r.Checks.Troubles {
		name, _, _ := strings.Cut(t, ": ")
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func (r *Reader) damage(p piece) string {
	if p.lines > 1 {
		return fmt.Sprintf("Lines %d to %d of the recording: each %s, and is left out.", p.line, p.line+p.lines-1, p.broken)
	}
	return fmt.Sprintf("Line %d of the recording %s, and is left out.", p.line, p.broken)
}

// output shows what was written, when, line by line; what went to stderr says so.
func output(s *screen.Screen, all []entry) {
	s.Title("%s: output%s", moment(all[0].At), map[bool]string{true: " (! is stderr)"}[slices.ContainsFunc(all, func(e entry) bool { return e.Err })])
	s.Blank()
	for _, e := range all {
		mark := "  "
		if e.Err {
			mark = "! " // stderr
		}
		for l := range strings.Lines(string(e.written())) {
			s.Verbatim(0, fmt.Sprintf("%10s ", moment(e.At))+mark+tamed(strings.TrimRight(l, "\r\n"))+"\n")
		}
	}
}

// Raw writes a screen's output as the program wrote it, escape sequences and all; of other screens nothing.
func (r *Reader) Raw(w io.Writer, n int) error {
	if n == 0 || r.index[n-1].kind != kindOutput || r.index[n-1].broken != "" {
		return nil
	}
	all, err := r.entries(r.index[n-1])
	for _, e := range all {
		if _, err := w.Write(e.written()); err != nil {
			return err
		}
	}
	return err
}
