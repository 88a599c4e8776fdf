package main

import (
	"io"
	"strings"
	"sync/atomic"

	"glassbox/screen"
)

// fullScreen is the terminal's other screen, on which a text is shown again and again; what was there before comes back.
type fullScreen struct {
	c     *call
	raw   *rawTerminal
	last  string
	quit  atomic.Bool
	rows  int
	width int
}

// fullScreen goes there. Keys come one by one as long as stdin is a terminal.
func (c *call) fullScreen() (*fullScreen, error) {
	raw, err := makeRaw(c.stdin)
	if err != nil {
		return nil, err
	}
	const alternate, hideCursor = "\033[?1049h", "\033[?25l"
	put(c.stdout, "%s", alternate+hideCursor)
	return &fullScreen{c: c, raw: raw}, nil
}

func (f *fullScreen) leave() {
	const back, showCursor = "\033[?1049l", "\033[?25h"
	put(f.c.stdout, "%s", showCursor+back)
	f.raw.restore()
}

// awaitQuit calls end when q, Ctrl-C or Ctrl-D is typed.
func (f *fullScreen) awaitQuit(end func()) {
	if !isTerminal(f.c.stdin) {
		return
	}
	key := make([]byte, 1)
	for {
		if _, err := io.ReadFull(f.c.stdin, key); err != nil {
			return
		}
		if strings.Contains("q\x03\x04", string(key)) {
			f.quit.Store(true)
			end()
			return
		}
	}
}

// show draws the text, if it or the terminal's size has changed. Of one that is too long, the last line says so.
func (f *fullScreen) show(text string) error {
	size, _ := windowSize(f.c.stdout)
	if text == f.last && int(size.Rows) == f.rows && int(size.Cols) == f.width {
		return nil
	}
	f.last, f.rows, f.width = text, int(size.Rows), int(size.Cols)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if f.rows > 1 && len(lines) > f.rows {
		lines = append(lines[:f.rows-1], screen.Clip("... more below: make it higher, or name a section", max(f.width, 1)))
	}
	shown := redrawn(strings.Join(lines, "\n"))
	_, err := io.WriteString(f.c.stdout, strings.ReplaceAll(shown, "\n", "\r\n"))
	return err
}
