package line

import (
	"fmt"
	"strings"
	"unicode"
)

// columns is how wide a rune is shown, after the ranges that terminals agree on (Unicode's East Asian Width, roughly).
func columns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff,
		r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// spot is a place on the screen, counted from the start of the prompt.
type spot struct{ row, col int }

// after is where the cursor is once the runes are shown. A wide rune that does not fit goes to the next row.
func (e *Editor) after(s spot, runes []rune) spot {
	for _, r := range runes {
		n := columns(r)
		if r == '\n' {
			s = spot{s.row + 1, 0}
			continue
		}
		if s.col+n > e.width {
			s = spot{s.row + 1, 0}
		}
		s.col += n
	}
	if s.col >= e.width {
		s = spot{s.row + 1, 0}
	}
	return s
}

// visible is the prompt without its escape sequences.
func visible(prompt string) []rune {
	var shown []rune
	inside := false
	for _, r := range prompt {
		switch {
		case r == 0x1b:
			inside = true
		case inside:
			inside = !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
		default:
			shown = append(shown, r)
		}
	}
	return shown
}

// extend shows runes added at the end without drawing the rest again.
func (e *Editor) extend(runes []rune) {
	for _, r := range runes {
		e.out = append(e.out, string(r)...)
	}
	if len(e.out) > 1<<16 {
		e.flush()
	}
	e.extended = true
}

// draw shows the text as it is now.
func (e *Editor) draw() {
	if e.stale {
		e.redraw()
		return
	}
	if e.extended {
		e.extended = false
		end := e.after(e.after(spot{}, visible(e.prompt)), e.text)
		if end.col == 0 && len(e.text) > 0 {
			e.out = append(e.out, "\n"...) // a terminal stays on the last column until the next rune
		}
		e.row = end.row
	}
	e.flush()
}

func (e *Editor) redraw() {
	e.stale, e.extended = false, false
	prompt := e.prompt
	if e.search != nil {
		prompt = e.search.prompt()
	}
	if e.row > 0 {
		e.out = fmt.Appendf(e.out, "\x1b[%dA", e.row)
	}
	e.out = append(e.out, "\r\x1b[J"...)
	e.out = append(e.out, prompt...)
	e.out = append(e.out, string(e.text)...)
	start := e.after(spot{}, visible(prompt))
	end, here := e.after(start, e.text), e.after(start, e.text[:e.at])
	if end.col == 0 && len(e.text) > 0 {
		e.out = append(e.out, "\n"...)
	}
	if up := end.row - here.row; up > 0 {
		e.out = fmt.Appendf(e.out, "\x1b[%dA", up)
	}
	e.out = append(e.out, '\r')
	if here.col > 0 {
		e.out = fmt.Appendf(e.out, "\x1b[%dC", here.col)
	}
	e.row = here.row
	e.flush()
}

// resize draws again for a new width. The terminal has wrapped what was there to the new width, so the row is reckoned by it.
func (e *Editor) resize() {
	e.measure()
	e.row = e.after(e.after(spot{}, visible(e.prompt)), e.text[:e.at]).row
	e.stale = true
}

// leave ends the line on the screen: what comes next starts below it.
func (e *Editor) leave() {
	e.out = append(e.out, "\n"...)
	e.flush()
}

// complete asks for the ways to go on and inserts what they have in common, or shows them.
func (e *Editor) complete() {
	if e.Complete == nil {
		return
	}
	before := string(e.text[:e.at])
	start, candidates := e.Complete(before)
	if len(candidates) == 0 {
		e.out = append(e.out, '\a')
		return
	}
	common := candidates[0]
	for _, c := range candidates[1:] {
		for !strings.HasPrefix(c, common) {
			common = common[:len(common)-1]
		}
	}
	common = strings.ToValidUTF8(common, "")
	if word := before[start:]; len(common) > len(word) || len(candidates) == 1 {
		old := []rune(word)
		e.draw()
		e.text = append(e.text[:e.at-len(old)], append([]rune(common), e.text[e.at:]...)...)
		e.at += len([]rune(common)) - len(old)
		e.stale = true
		return
	}
	e.list(candidates)
}

func (e *Editor) list(candidates []string) {
	widest := 0
	for _, c := range candidates {
		widest = max(widest, len([]rune(c))+2)
	}
	each := max(1, e.width/widest)
	at := e.at
	e.move(len(e.text))
	e.draw()
	e.out = append(e.out, "\n"...)
	rows := (len(candidates) + each - 1) / each
	for row := range rows {
		for i := row; i < len(candidates); i += rows {
			e.out = fmt.Appendf(e.out, "%-*s", widest, candidates[i])
		}
		e.out = append(e.out, "\n"...)
	}
	e.row, e.stale, e.at = 0, true, at
}
