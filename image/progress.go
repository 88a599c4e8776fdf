package image

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
)

// progress prints what a pull or push does. The drawing is Docker's own, so that the lines are the same to the byte.
type progress struct {
	out   io.Writer
	quiet bool
	mu    sync.Mutex
	enc   *json.Encoder
	pipe  *io.PipeWriter
	drawn chan struct{}
	told  Told
}

// Told is an output that wants to be told what lines are made of, and shows it in its own way: a build's does.
type Told interface {
	Tell(m jsonmessage.JSONMessage)
}

// Drawn is an output that leads to a terminal, if it says so.
type Drawn interface {
	Terminal() (fd uintptr, is bool)
}

func newProgress(out io.Writer, quiet, terminal bool) *progress {
	p := &progress{out: out, quiet: quiet}
	if out == nil || quiet {
		return p
	}
	if t, is := out.(Told); is {
		p.told = t
		return p
	}
	r, w := io.Pipe()
	p.enc, p.pipe, p.drawn = json.NewEncoder(w), w, make(chan struct{})
	var fd uintptr
	switch o := out.(type) {
	case *os.File:
		fd = o.Fd()
	case Drawn:
		fd, terminal = o.Terminal()
	}
	go func() {
		defer close(p.drawn)
		r.CloseWithError(jsonmessage.DisplayJSONMessagesStream(r, out, fd, terminal, nil))
	}()
	return p
}

func (p *progress) send(m jsonmessage.JSONMessage) {
	if p.told != nil {
		p.told.Tell(m)
	}
	if p.enc == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.enc.Encode(m) // fails only after the drawing has ended, and nobody waits for it then
}

// message prints a line of its own; id may be empty.
func (p *progress) message(id, text string) { p.send(jsonmessage.JSONMessage{ID: id, Status: text}) }

// status changes what a layer's line says.
func (p *progress) status(id, text string) {
	p.send(jsonmessage.JSONMessage{ID: id, Status: text, Progress: &jsonmessage.JSONProgress{}})
}

// close waits until everything is drawn; further messages are dropped.
func (p *progress) close() {
	p.mu.Lock()
	pipe := p.pipe
	p.enc, p.pipe = nil, nil
	p.mu.Unlock()
	if pipe != nil {
		pipe.Close()
		<-p.drawn
	}
}

// println prints a plain line after the drawing has ended.
func (p *progress) println(text string) error {
	p.close()
	if p.out == nil {
		return nil
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}

// bar counts the bytes of one layer. It draws at most ten times a second.
type bar struct {
	p     *progress
	id    string
	total int64
	last  time.Time
}

func (b *bar) status(text string) { b.p.status(b.id, text) }

func (b *bar) downloading(n int64) { b.moved("Downloading", n) }

func (b *bar) moved(what string, n int64) {
	now := time.Now()
	if b.p.quiet || now.Sub(b.last) < 100*time.Millisecond && n < b.total {
		return
	}
	b.last = now
	b.p.send(jsonmessage.JSONMessage{ID: b.id, Status: what,
		Progress: &jsonmessage.JSONProgress{Current: n, Total: b.total}})
}
