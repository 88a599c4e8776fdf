package recording

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"glassbox/screen"
)

// Player shows a recording.
type Player struct {
	*Reader
	Out     io.Writer
	Style   screen.Style
	Version string // of this glassbox
	Raw     bool   // output as it was written, with the escape sequences of the recorded program
	Height  int    // lines of the terminal; 0: there is no end to it
}

// screen is one screen as it is written.
func (p *Player) screen(n int) ([]byte, error) {
	var b bytes.Buffer
	if p.Raw && n > 0 && p.index[n-1].kind == kindOutput && p.index[n-1].broken == "" {
		err := p.Reader.Raw(&b, n)
		return b.Bytes(), err
	}
	err := p.Reader.Show(&b, p.Style, n, p.Version)
	return b.Bytes(), err
}

// rule stands between two screens.
func (p *Player) rule(n int) string { return fmt.Sprintf("\n--- %d of %d ---\n", n+1, p.Screens()) }

// One writes a single screen, counted from 1.
func (p *Player) One(n int) error {
	if n < 1 || n > p.Screens() {
		return fmt.Errorf("there is no screen %d: the recording has %d", n, p.Screens())
	}
	text, err := p.screen(n - 1)
	if err == nil {
		_, err = p.Out.Write(text)
	}
	return err
}

// All writes all screens, with a pause after each.
func (p *Player) All(ctx context.Context, delay time.Duration) error {
	for n := range p.Screens() {
		if n > 0 {
			if _, err := io.WriteString(p.Out, p.rule(n)); err != nil {
				return err
			}
		}
		if err := p.One(n + 1); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
	return p.last()
}

// last is what stands behind the last screen.
func (p *Player) last() error {
	s := screen.New(p.Out, p.Style)
	s.Blank()
	if p.Cut {
		fmt.Fprintln(p.Out)
		s.Tell(screen.Notice, "Here the recording is cut short: how the run ended is not known.")
	} else {
		fmt.Fprintln(p.Out)
	}
	s.Next(p.typed(), "the same on this machine")
	return s.Flush()
}

// Step shows a screen at a time, and asks after each: an empty line goes on, b back, a number to that screen, q ends.
func (p *Player) Step(in io.Reader) error {
	answers := bufio.NewScanner(in)
	for n := 0; n < p.Screens(); {
		answer, err := p.page(n, answers)
		if err != nil || answer == "q" {
			return err
		}
		number, numbered := strconv.Atoi(answer)
		switch {
		case answer == "":
			n++
		case answer == "b":
			n = max(n-1, 0)
		case numbered == nil && number >= 1 && number <= p.Screens():
			n = number - 1
		}
	}
	return p.last()
}

// page shows a screen, in parts where it is higher than the terminal, and returns what was answered at its end or in between.
func (p *Player) page(n int, answers *bufio.Scanner) (string, error) {
	text, err := p.screen(n)
	if err != nil {
		return "", err
	}
	for {
		part, rest := text, []byte(nil)
		if p.Height > 4 && !p.Raw {
			part, rest = split(text, p.Height-3)
		}
		more := ""
		if len(rest) > 0 {
			more = " (more)"
		}
		if _, err := fmt.Fprintf(p.Out, "%s\n[%d of %d%s] Enter goes on, b back, a number to that screen, q ends: ", part, n+1, p.Screens(), more); err != nil {
			return "", err
		}
		if !answers.Scan() {
			fmt.Fprintln(p.Out)
			return "q", answers.Err()
		}
		answer := strings.TrimSpace(answers.Text())
		if answer != "" || len(rest) == 0 {
			return answer, nil
		}
		text = rest
	}
}

// split cuts after so many lines.
func split(text []byte, lines int) (part, rest []byte) {
	at := 0
	for range lines {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return text, nil
		}
		at += i + 1
	}
	return text[:at], text[at:]
}
