package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/moby/term"
)

// tty draws a build on a terminal as BuildKit's client does: a line a vertex, a line a part, and below what runs the last lines of its
// output. Each drawing goes over the one before.
type tty struct {
	out      io.Writer
	size     func() (width, height int)
	began    time.Time
	vertices []*vertex
	screens  map[*vertex]*screen
	colors   colors
	height   int // of what is drawn, without the heading
	drawn    bool
	err      error
}

const (
	logLines  = 6  // of a vertex that runs
	logMargin = 10 // columns that stay free beside them
)

func newTTY(out *os.File) *tty {
	fd := out.Fd()
	return &tty{out: out, began: time.Now(), screens: map[*vertex]*screen{}, colors: environmentColors(), size: func() (int, int) {
		if s, err := term.GetWinsize(fd); err == nil && s.Width > 0 && s.Height > 0 {
			return int(s.Width), int(s.Height)
		}
		return 80, 10
	}}
}

func (t *tty) begun(v *vertex) {
	t.vertices = append(t.vertices, v)
	t.screens[v] = &screen{}
}

func (t *tty) moved(*vertex, *part) {}

func (t *tty) wrote(v *vertex, _ int, b []byte) { t.screens[v].write(b, v.took()) }

func (t *tty) ended(v *vertex) {
	if !v.failed() {
		delete(t.screens, v)
	}
}

func (t *tty) refresh() { t.draw(false) }

// close draws everything, however much, and below it what the failed vertices wrote.
func (t *tty) close(all []*vertex, s script, r Result, err error) error {
	t.draw(true)
	var b bytes.Buffer
	for _, v := range all {
		if v.failed() {
			fmt.Fprintf(&b, "------\n > %s:\n%s------\n", v.name, t.screens[v].whole())
		}
	}
	for _, line := range r.Warnings {
		fmt.Fprintf(&b, "\n%s\n", line)
	}
	s.show(&b, err)
	t.write(b.Bytes())
	return t.err
}

func (t *tty) write(b []byte) {
	if _, err := t.out.Write(b); err != nil && t.err == nil {
		t.err = err
	}
}

// row is a line of the drawing.
type row struct {
	text, size string
	took       time.Duration
	done       bool
	color      string
	v          *vertex // that it stands for; nil: a part
}

func (t *tty) rows() (rows []row, done int) {
	for _, v := range t.vertices {
		r := row{text: v.name, took: v.took(), done: !v.ended.IsZero(), v: v}
		switch {
		case v.canceled():
			r.text, r.color = "CANCELED "+v.name, t.colors.canceled
		case v.err != nil:
			r.text, r.color = "ERROR "+v.name, t.colors.failed
		case v.cached:
			r.text, r.color = "CACHED "+v.name, t.colors.done
		case r.done:
			r.color = t.colors.done
		}
		if r.done {
			done++
		}
		rows = append(rows, r)
		for _, p := range v.parts {
			r := row{text: "=> " + p.id, size: p.size(), took: p.took(), done: !p.ended.IsZero()}
			if r.done {
				r.color = t.colors.done
			}
			rows = append(rows, r)
		}
	}
	return rows, done
}

// draw composes all before it writes anything: a terminal shows no half of it.
func (t *tty) draw(whole bool) {
	width, height := t.size()
	rows, done := t.rows()
	logs := t.logs(rows, height)
	if !whole {
		rows = fit(rows, height-2-len(logs)*logLines)
	}
	var b bytes.Buffer
	if t.drawn {
		fmt.Fprintf(&b, "\033[%dA", t.height+1)
	}
	b.WriteString("\r\033[?25l") // no cursor meanwhile
	heading, label := t.heading(done, whole), "glassbox:default"
	if len(heading)+len(label) >= width-1 {
		label = ""
	}
	line(&b, heading, label, width, "")
	t.height = 0
	for _, r := range rows {
		r.print(&b, width)
		t.height++
		if r.v == nil || !slices.Contains(logs, r.v) {
			continue
		}
		for _, l := range t.screens[r.v].last() {
			paint(&b, " => => # "+runewidth.Truncate(l, width-logMargin, ""), t.colors.log)
			t.height++
		}
	}
	b.WriteString("\033[J\033[?25h") // nothing below of the drawing before
	t.drawn = true
	t.write(b.Bytes())
}

// fit leaves so many rows: the last ones, but nothing that goes on is left out for something that is done.
func fit(rows []row, limit int) []row {
	over := len(rows) - max(limit, 0)
	return slices.DeleteFunc(rows, func(r row) bool {
		if over > 0 && r.done {
			over--
			return true
		}
		return false
	})
}

// print writes a row over the width of the terminal: what, how much, how long.
func (r row) print(b *bytes.Buffer, width int) {
	took := r.took.Seconds()
	if took < 0.05 {
		took = 0
	}
	line(b, " => "+r.text, strings.TrimLeft(r.size+fmt.Sprintf(" %.1fs", took), " "), width, r.color)
}

// line writes two texts, left and right; the left one gives way. A terminal wraps a line that fills it, and the drawing would be lost.
func line(b *bytes.Buffer, left, right string, width int, color string) {
	width--
	room := width - len(right) - 1
	if room < 8 {
		room, right = width, ""
	}
	left = runewidth.FillRight(runewidth.Truncate(strings.ReplaceAll(left, "\t", " "), room, ""), room)
	if right != "" {
		left += " " + right
	}
	paint(b, left, color)
}

func paint(b *bytes.Buffer, text, color string) {
	if color != "" {
		text = color + text + "\033[0m"
	}
	b.WriteString(text + "\033[K\n")
}

func (t *tty) heading(done int, whole bool) string {
	state := ""
	if whole && done == len(t.vertices) && done > 0 {
		state = "FINISHED"
	}
	return fmt.Sprintf("[+] Building %.1fs (%d/%d) %s", time.Since(t.began).Seconds(), done, len(t.vertices), state)
}

// logs are the vertices whose output is shown: those that wrote last, as far as there is room beside the lines of what goes on.
func (t *tty) logs(rows []row, height int) (shown []*vertex) {
	free := height - 2
	var talking []*vertex
	for _, r := range rows {
		if r.done {
			continue
		}
		free--
		if r.v != nil && t.screens[r.v] != nil && len(t.screens[r.v].last()) > 0 {
			talking = append(talking, r.v)
		}
	}
	slices.SortStableFunc(talking, func(a, b *vertex) int { return t.screens[b].at.Compare(t.screens[a].at) })
	for _, v := range talking {
		if free < logLines {
			break
		}
		free -= logLines
		shown = append(shown, v)
	}
	return shown
}

// Beside is where lines go that have nothing to do with the build, and would go to otherwise: above what is drawn, if anything is.
func Beside(w Watcher, otherwise io.Writer) io.Writer {
	if b, is := w.(*board); is {
		if t, is := b.view.(*tty); is {
			return above{b, t}
		}
	}
	return otherwise
}

type above struct {
	board *board
	tty   *tty
}

func (a above) Write(p []byte) (int, error) {
	a.board.mu.Lock()
	defer a.board.mu.Unlock()
	if a.tty.drawn {
		a.tty.write(fmt.Appendf(nil, "\033[%dA\r\033[J", a.tty.height+1))
	}
	a.tty.write(p)
	if a.tty.drawn {
		a.tty.drawn = false
		a.tty.draw(false)
	}
	return len(p), nil
}
