// Package screen prints what people look at: headings, labelled values, tables and the next useful command, aligned to the width of the
// terminal. Colour only repeats what words say, so that a pipe, NO_COLOR and a reader who sees no colours lose nothing.
package screen

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is how a screen is written.
type Style struct {
	Colour bool // with a terminal's escape sequences
	Width  int  // columns; 0: 100, which is also the most that is used
}

// Most is how wide a screen gets, and how wide it is where nobody says.
const Most = 100

// Least is how narrow; below it lines are too long rather than unreadable.
const Least = 40

// Tone is how a piece of text stands out on a terminal.
type Tone uint8

// The tones.
const (
	Plain  Tone = iota
	Strong      // headings, and what counts on a line
	Faint       // what may be passed over
	Good        // as it should be
	Bad         // as it should not be
	Notice      // not as it was asked for, or not as elsewhere
)

// sequences are a terminal's, ECMA-48.
var sequences = [...]string{Strong: "\x1b[1m", Faint: "\x1b[2m", Good: "\x1b[32m", Bad: "\x1b[31m", Notice: "\x1b[33m"}

const plain = "\x1b[m"

// Screen collects lines; nothing is written before Flush, so that a screen which is drawn again does not flicker.
type Screen struct {
	out    io.Writer
	text   bytes.Buffer
	colour bool
	width  int
}

// New is an empty screen.
func New(w io.Writer, s Style) *Screen {
	width := s.Width
	if width == 0 {
		width = Most
	}
	return &Screen{out: w, colour: s.Colour, width: min(max(width, Least), Most)}
}

// Width is how many columns there are.
func (s *Screen) Width() int { return s.width }

// Flush writes what has been collected.
func (s *Screen) Flush() error {
	_, err := s.text.WriteTo(s.out)
	return err
}

func (s *Screen) line(text string) {
	s.text.WriteString(strings.TrimRight(text, " "))
	s.text.WriteByte('\n')
}

// Paint is text in a tone, where there is colour.
func (s *Screen) Paint(t Tone, text string) string {
	if !s.colour || t == Plain || text == "" {
		return text
	}
	return sequences[t] + text + plain
}

// Blank is an empty line, but never a second one, nor a first.
func (s *Screen) Blank() {
	if n := s.text.Len(); n > 0 && !bytes.HasSuffix(s.text.Bytes(), []byte("\n\n")) {
		s.text.WriteByte('\n')
	}
}

// Title is the screen's first line.
func (s *Screen) Title(format string, a ...any) {
	for _, l := range Wrap(fmt.Sprintf(format, a...), s.width) {
		s.line(s.Paint(Strong, l))
	}
}

// Section begins a part of the screen.
func (s *Screen) Section(format string, a ...any) {
	s.Blank()
	s.Title(format, a...)
}

// Say is a paragraph.
func (s *Screen) Say(format string, a ...any) { s.Tell(Plain, fmt.Sprintf(format, a...)) }

// Tell is a paragraph in a tone.
func (s *Screen) Tell(t Tone, text string) {
	for _, l := range Wrap(text, s.width) {
		s.line(s.Paint(t, l))
	}
}

// Verbatim writes lines as they are: a program's output, a command to copy. What would move the cursor is written out.
func (s *Screen) Verbatim(indent int, text string) {
	for l := range strings.Lines(text) {
		s.line(strings.Repeat(" ", indent) + Shown(strings.TrimRight(l, "\r\n")))
	}
}

// Marked is a line as it is, behind a sign; what the screen is too narrow for is cut off.
func (s *Screen) Marked(t Tone, sign, text string) {
	s.line(s.Paint(t, Clip(sign+Shown(text), s.width)))
}

// Field is a labelled value.
type Field struct {
	Label string
	Value string
	Tone  Tone
}

// Fields are labelled values, aligned; a long value goes on below its beginning.
func (s *Screen) Fields(fields ...Field) {
	label := 0
	for _, f := range fields {
		label = max(label, width(f.Label))
	}
	for _, f := range fields {
		head := pad(f.Label, label)
		for _, l := range Wrap(f.Value, s.width-label-4) {
			s.line("  " + head + "  " + s.Paint(f.Tone, l))
			head = pad("", label)
		}
	}
}

// Cell is one entry of a table.
type Cell struct {
	Text string
	Tone Tone
}

// Row is a row of plain cells.
func Row(texts ...string) []Cell {
	cells := make([]Cell, len(texts))
	for i, t := range texts {
		cells[i].Text = t
	}
	return cells
}

// gap lies between a table's columns.
const gap = 2

// narrowest is how narrow a table's last column may get before rows are written as labelled values instead.
const narrowest = 18

// Table writes rows in columns as wide as they need; the last one is wrapped. Where there is no room for it, each row becomes a list of
// labelled values.
func (s *Screen) Table(head []string, rows [][]Cell) {
	widths := make([]int, len(head))
	for i, h := range head {
		widths[i] = width(h)
	}
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], width(c.Text))
		}
	}
	last, room := len(head)-1, s.width-2
	for _, w := range widths[:last] {
		room -= w + gap
	}
	if room < min(widths[last], narrowest) {
		s.stacked(head, rows)
		return
	}
	widths[last] = min(widths[last], room)
	s.row(Strong, Row(head...), widths)
	for _, r := range rows {
		s.row(Plain, r, widths)
	}
}

func (s *Screen) row(t Tone, cells []Cell, widths []int) {
	last := len(widths) - 1
	var lines []string
	if len(cells) > last {
		lines = Wrap(cells[last].Text, widths[last])
	}
	for n := 0; n == 0 || n < len(lines); n++ {
		var w strings.Builder
		w.WriteString("  ")
		for i := range min(last, len(cells)) {
			text, tone := cells[i].Text, max(t, cells[i].Tone)
			if n > 0 {
				text = ""
			}
			w.WriteString(s.Paint(tone, text) + strings.Repeat(" ", widths[i]-width(text)+gap))
		}
		if n < len(lines) {
			w.WriteString(s.Paint(max(t, cells[last].Tone), lines[n]))
		}
		s.line(w.String())
	}
}

// stacked writes each row as labelled values, for terminals that are too narrow for columns.
func (s *Screen) stacked(head []string, rows [][]Cell) {
	for i, r := range rows {
		if i > 0 {
			s.Blank()
		}
		var fields []Field
		for j, c := range r {
			if c.Text != "" {
				fields = append(fields, Field{Label: head[j], Value: c.Text, Tone: c.Tone})
			}
		}
		s.Fields(fields...)
	}
}

// Next ends the screen with the next useful command, and says what for.
func (s *Screen) Next(command, what string) {
	s.Blank()
	if what == "" {
		s.line("Next: " + s.Paint(Strong, command))
		return
	}
	if width(command)+width(what)+11 <= s.width {
		s.line("Next: " + s.Paint(Strong, command) + "   # " + what)
		return
	}
	s.line("Next: " + s.Paint(Strong, command))
	for _, l := range Wrap(what, s.width-8) {
		s.line("      # " + l)
	}
}

// Wrap breaks text into lines of at most width columns, at spaces; a longer word stays whole. What is broken already stays so. It gives at
// least one line.
func Wrap(text string, columns int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		current, empty := "", true
		for _, word := range strings.Fields(paragraph) {
			switch {
			case empty:
				current, empty = word, false
			case width(current)+1+width(word) <= columns:
				current += " " + word
			default:
				lines = append(lines, current)
				current = word
			}
		}
		lines = append(lines, current)
	}
	return lines
}

// Clip is text in at most so many columns: what is missing is told by an ellipsis.
func Clip(text string, columns int) string {
	if r := []rune(text); len(r) > columns {
		return string(r[:max(columns-1, 0)]) + "…"
	}
	return text
}

// Shown is text from a container or an image: what would move the terminal's cursor is written out.
func Shown(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) && r != '\t' || r == utf8.RuneError }) < 0 {
		return text
	}
	return strconv.QuoteToGraphic(text)
}

func width(text string) int { return utf8.RuneCountInString(text) }

func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-width(text), 0))
}
