package program

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Style is how an account is written for people.
type Style struct {
	Colour bool // with a terminal's escape sequences
	Width  int  // columns to keep to where a line can be broken; 0: 100
	Full   bool // lists of more than forty entries, such as a seccomp filter, whole
}

// WriteJSON writes accounts for programs: an array of phases, field names in lower case.
func WriteJSON(w io.Writer, accounts []Account) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(accounts)
}

// Write writes accounts for people: phase by phase the host's requests, then the child's steps, each with its number, its
// time if known, the call, its result and why it was made. Steps are counted from 1 over all phases, as a Failure counts.
func Write(w io.Writer, accounts []Account, s Style) error {
	a := newWriter(w, s)
	step := 0
	for i, ph := range accounts {
		if i == 0 && ph.Plan {
			fmt.Fprintln(a, "plan: the kernel was not asked")
		}
		a.heading(ph)
		for _, d := range ph.Host {
			a.done("host", d)
		}
		for _, d := range ph.Child {
			step++
			a.done(fmt.Sprint(step), d)
		}
	}
	return a.Flush()
}

type writer struct {
	*bufio.Writer
	Style
}

func newWriter(w io.Writer, s Style) *writer {
	if s.Width == 0 {
		s.Width = 100
	}
	return &writer{bufio.NewWriterSize(w, 64<<10), s}
}

// margin holds number and time; what follows is indented by it.
const margin = 18

// Escape sequences of a terminal, ECMA-48.
const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	red   = "\x1b[31m"
	plain = "\x1b[m"
)

func (w *writer) paint(how, text string) string {
	if !w.Colour {
		return text
	}
	return how + text + plain
}

func (w *writer) heading(a Account) {
	fmt.Fprintf(w, "\n%s\n", w.paint(bold, "-- "+a.Phase))
	for _, l := range wrap(strings.Fields(a.Why), " ", w.Width-3) {
		fmt.Fprintf(w, "   %s\n", l)
	}
}

func (w *writer) done(number string, d Done) {
	call := d.Call
	if !w.Full {
		call = shorten(call)
	}
	call = strings.TrimRight(call, "\n")
	if d.Result != "" {
		call += " = " + d.Result
	}
	w.label(number, d.At)
	lines, hang := breakSets(wrap(arguments(call), ", ", w.Width-margin), w.Width-margin), margin+4
	if strings.Contains(call, "\n") { // a script for nft(8), a command on each line
		lines, hang = strings.Split(strings.ReplaceAll(call, "\t", "  "), "\n"), margin
	}
	for i, l := range lines {
		if i > 0 {
			w.indent(hang)
		}
		if d.Failed {
			l = w.paint(red, l)
		}
		w.line(l)
	}
	for _, l := range wrap(sentence(d), " ", w.Width-margin-2) {
		w.indent(margin + 2)
		w.line(w.paint(faint, l))
	}
}

// label is the beginning of a line with a call: its number and, where that is known, the time.
func (w *writer) label(number string, at time.Duration) {
	when := ""
	if at > 0 {
		when = strconv.FormatFloat(float64(at)/float64(time.Millisecond), 'f', 3, 64) + " ms"
	}
	w.indent(max(5-len(number), 0))
	w.WriteString(number)
	w.indent(max(11-len(when), 1))
	w.WriteString(when)
	w.WriteString("  ")
}

// spaces are more than a margin.
const spaces = "                                "

func (w *writer) indent(n int) { w.WriteString(spaces[:n]) }

func (w *writer) line(text string) {
	w.WriteString(text)
	w.WriteByte('\n')
}

// sentence is the reason and the config field that asked, in words.
func sentence(d Done) []string {
	words := strings.Fields(d.Why)
	if d.From != "" {
		words = append(words, "["+d.From+"]")
	}
	return words
}

// wrap joins pieces into lines of at most width, unless one piece alone is longer. Lines after the first are four narrower.
func wrap(pieces []string, between string, width int) []string {
	var lines []string
	end := strings.TrimRight(between, " ")
	current := make([]byte, 0, width+len(between))
	for i, p := range pieces {
		switch {
		case i == 0:
			current = append(current, p...)
		case len(current)+len(between)+len(p)+len(end) <= width:
			current = append(append(current, between...), p...)
		default:
			lines = append(lines, string(append(current, end...)))
			current = append(current[:0], p...)
			if len(lines) == 1 && between == ", " {
				width -= 4
			}
		}
	}
	if len(current) == 0 {
		return lines
	}
	return append(lines, string(current))
}

// breakSets breaks lines that are still too long, at the bars between flags.
func breakSets(lines []string, width int) []string {
	var broken []string
	for _, l := range lines {
		for len(broken) > 0 && len(l) > width-4 || len(l) > width {
			room := width
			if len(broken) > 0 {
				room -= 4
			}
			at := lastBar(l, room)
			if at < 0 {
				break
			}
			broken = append(broken, l[:at+1])
			l = l[at+1:]
		}
		broken = append(broken, l)
	}
	return broken
}

// lastBar is the last bar outside strings among the first width bytes, -1 if there is none.
func lastBar(l string, width int) int {
	last := -1
	for i := 0; i < len(l) && i < width; i++ {
		switch l[i] {
		case '"':
			i = closing(l, i)
		case '|':
			last = i
		}
	}
	return last
}

// arguments parts a call at the commas outside strings.
func arguments(call string) []string {
	var parts []string
	from := 0
	for i := 0; i < len(call); i++ {
		switch {
		case call[i] == '"':
			i = closing(call, i)
		case strings.HasPrefix(call[i:], ", "):
			parts = append(parts, call[from:i])
			from = i + 2
		}
	}
	return append(parts, call[from:])
}

// closing is the index of the quote that ends the string beginning at i.
func closing(s string, i int) int {
	for i++; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i
}

// shorten leaves out what follows the first entries of a very long list.
func shorten(call string) string {
	const many, shown = 40, 6
	if len(call) < 3*many { // such a list has at least an entry, a comma and a space each
		return call
	}
	var w strings.Builder
	for i := 0; i < len(call); i++ {
		if call[i] == '"' {
			end := min(closing(call, i)+1, len(call))
			w.WriteString(call[i:end])
			i = end - 1
			continue
		}
		if call[i] == '[' {
			if ends := entries(call[i+1:]); len(ends) > many {
				w.WriteString(call[i : i+1+ends[shown-1]])
				fmt.Fprintf(&w, ", ... %d more", len(ends)-shown)
				i += ends[len(ends)-1]
				continue
			}
		}
		w.WriteByte(call[i])
	}
	return w.String()
}

// entries are the ends of a list's entries, up to its bracket.
func entries(list string) []int {
	var ends []int
	depth := 0
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"':
			i = closing(list, i)
		case c == '(' || c == '{' || c == '[':
			depth++
		case depth > 0 && (c == ')' || c == '}' || c == ']'):
			depth--
		case c == ']':
			return append(ends, i)
		case c == ',' && depth == 0:
			ends = append(ends, i)
		}
	}
	return nil
}
