package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/docker/go-units"
)

// What a terminal does on these, ECMA-48 and xterm's ctlseqs.
const (
	saveCursor    = "\x1b[s"
	restoreCursor = "\x1b[u"
	hideCursor    = "\x1b[?25l"
	showCursor    = "\x1b[?25h"
	eraseLine     = "\x1b[2K"
	eraseTail     = "\x1b[0K"
)

const progressPause = 75 * time.Millisecond

// progress tells how much has been copied: on a terminal all the time, and once more when it is done.
type progress struct {
	out    io.Writer // nil: nothing is told
	header string
	total  atomic.Int64
	stop   chan struct{} // nil: not on a terminal
	done   chan struct{}
}

func (c *copying) begin(header string) *progress {
	p := &progress{header: header}
	if c.quiet {
		return p
	}
	if p.out = c.stderr; isTerminal(c.stderr) {
		p.stop, p.done = make(chan struct{}), make(chan struct{})
		fmt.Fprint(p.out, saveCursor, "Preparing to copy...")
		go p.show()
	}
	return p
}

// reader counts what is read.
func (p *progress) reader(r io.Reader) io.Reader { return &counted{r, &p.total} }

type counted struct {
	io.Reader
	total *atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.total.Add(int64(n))
	return n, err
}

func (p *progress) show() {
	defer close(p.done)
	fmt.Fprint(p.out, hideCursor, restoreCursor, eraseLine, p.header, size(0))
	defer fmt.Fprint(p.out, showCursor)
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	for last := int64(0); ; {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			if n := p.total.Load(); n != last {
				fmt.Fprintf(p.out, "\x1b[%dG%s%s", len(p.header)+1, eraseTail, size(n))
				last = n
			}
		}
	}
}

// end tells what was copied, also when err says that it is not all, as Docker does.
func (p *progress) end(err error, where string) error {
	if p.stop != nil {
		close(p.stop)
		<-p.done
		fmt.Fprint(p.out, restoreCursor, eraseLine)
	}
	if p.out != nil {
		fmt.Fprintln(p.out, "Successfully copied", size(p.total.Load()), "to", where)
	}
	return err
}

func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }
