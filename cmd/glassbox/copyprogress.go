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
	firstColumn = "\r"
	eraseTail   = "\x1b[0K"
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
)

const (
	unannounced   = time.Second // a copy that takes no longer is told of when it is done
	progressPause = 75 * time.Millisecond
)

// meter tells how much has been copied: on a terminal while it goes on, and once more when it is done.
type meter struct {
	out    io.Writer // nil: nothing is told
	header string
	total  atomic.Int64
	stop   chan struct{} // nil: not on a terminal
	done   chan struct{}
}

func (c *copying) begin(header string) *meter {
	p := &meter{header: header}
	if c.quiet {
		return p
	}
	if p.out = c.stderr; isTerminal(c.stderr) {
		p.stop, p.done = make(chan struct{}), make(chan struct{})
		go p.show()
	}
	return p
}

// reader counts what is read.
func (p *meter) reader(r io.Reader) io.Reader { return &counted{r, &p.total} }

type counted struct {
	io.Reader
	total *atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.total.Add(int64(n))
	return n, err
}

func (p *meter) show() {
	defer close(p.done)
	select {
	case <-p.stop:
		return
	case <-time.After(unannounced):
	}
	fmt.Fprint(p.out, hideCursor)
	defer fmt.Fprint(p.out, firstColumn, eraseTail, showCursor)
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	for last := int64(-1); ; {
		if n := p.total.Load(); n != last {
			fmt.Fprint(p.out, firstColumn, p.header, humanSize(n), eraseTail)
			last = n
		}
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
	}
}

// end tells what was copied. Docker does so also when nothing was.
func (p *meter) end(err error, where string) error {
	if p.stop != nil {
		close(p.stop)
		<-p.done
	}
	if p.out != nil && err == nil {
		fmt.Fprintln(p.out, "Successfully copied", humanSize(p.total.Load()), "to", where)
	}
	return err
}

func humanSize(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }
