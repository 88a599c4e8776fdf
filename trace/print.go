package trace

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Printer writes what it is told for people: who, when, the call, its answer.
type Printer struct {
	w       io.Writer
	style   program.Style
	calls   map[string]int
	tasks   map[int]bool
	refused int
	err     error
}

// NewPrinter writes to w.
func NewPrinter(w io.Writer, style program.Style) *Printer {
	return &Printer{w: w, style: style, calls: map[string]int{}, tasks: map[int]bool{}}
}

func (p *Printer) Call(t Task, d program.Done) {
	name, _, _ := strings.Cut(d.Call, "(")
	p.calls[name]++
	p.tasks[t.Pid] = true
	if d.Failed {
		p.refused++
	}
	p.keep(d.Write(p.w, strconv.Itoa(t.Inside), p.style))
}

func (p *Printer) Signal(t Task, s unix.Signal, from string) {
	if from != "" {
		from = ", from " + from
	}
	p.say(t, "--- gets %s%s", unix.SignalName(s), from)
}

// End tells of processes: threads come and go with them.
func (p *Printer) End(t Task, how string) {
	if !t.Thread {
		p.say(t, "+++ %s", how)
	}
}

func (p *Printer) say(t Task, format string, a ...any) {
	_, err := fmt.Fprintf(p.w, "%5d %10s  %s\n", t.Inside, "", fmt.Sprintf(format, a...))
	p.keep(err)
}

func (p *Printer) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Sum writes how often what was called, and ends the account.
func (p *Printer) Sum() error {
	var names []string
	all := 0
	for name, n := range p.calls {
		names = append(names, name)
		all += n
	}
	slices.SortFunc(names, func(a, b string) int {
		if p.calls[a] != p.calls[b] {
			return p.calls[b] - p.calls[a]
		}
		return strings.Compare(a, b)
	})
	const shown = 4
	var most []string
	for _, name := range names[:min(len(names), shown)] {
		most = append(most, fmt.Sprintf("%s %d", name, p.calls[name]))
	}
	rest := ""
	if len(names) > shown {
		rest = fmt.Sprintf(", and %d more", len(names)-shown)
	}
	_, err := fmt.Fprintf(p.w, "trace: %d calls of %s, %d refused: %s%s\n", all, plural(len(p.tasks), "task"), p.refused, strings.Join(most, ", "), rest)
	p.keep(err)
	if len(names) > shown {
		_, err := fmt.Fprintf(p.w, "Next: run --trace=file,process,network   # only calls about these; or names of calls\n")
		p.keep(err)
	}
	return p.err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
