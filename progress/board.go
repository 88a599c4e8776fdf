package progress

import (
	"context"
	"errors"
	"sync"
	"time"
)

// board keeps what a build consists of in BuildKit's shape: vertices, which have parts and output. A view shows it.
type board struct {
	mu       sync.Mutex
	view     view
	vertices []*vertex
	bases    map[string]*vertex // what FROM wants: stages with the same base share it
	script   script
	quit     chan struct{}
	stopped  chan struct{}
}

// view shows a board. Its methods are called with the board's lock held.
type view interface {
	begun(*vertex)
	moved(*vertex, *part) // a part began, grew or ended
	wrote(v *vertex, stream int, p []byte)
	ended(*vertex)
	refresh() // ten times a second, and at the end
	// close ends it; the error is of its own output.
	close(all []*vertex, s script, r Result, failure error) error
}

const refreshEvery = 100 * time.Millisecond

func newBoard(v view) *board {
	b := &board{view: v, bases: map[string]*vertex{}, quit: make(chan struct{}), stopped: make(chan struct{})}
	go b.tick()
	return b
}

func (b *board) tick() {
	defer close(b.stopped)
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-ticker.C:
			b.mu.Lock()
			b.view.refresh()
			b.mu.Unlock()
		}
	}
}

func (b *board) Begin(t Task) Work {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.Kind == Definition {
		b.script = script{name: t.Text, text: t.Source}
	}
	name := t.buildkit()
	base := t.base()
	if v := b.bases[base]; base != "" && v != nil {
		if v.open == 0 {
			return &piece{board: b}
		}
		v.open++
		return &piece{board: b, vertex: v}
	}
	w := &piece{board: b}
	if name == "" {
		return w
	}
	w.vertex = &vertex{task: t, name: name, open: 1, began: time.Now()}
	if base != "" {
		b.bases[base] = w.vertex
	}
	b.vertices = append(b.vertices, w.vertex)
	b.view.begun(w.vertex)
	if t.Kind == Export && t.Text == "" {
		w.moved(exportingLayers, 0, 0, false)
	}
	return w
}

// Close words the error as BuildKit's client does.
func (b *board) Close(r Result, err error) error {
	close(b.quit)
	<-b.stopped
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.vertices {
		if v.open > 0 { // nobody ended it: the build was given up
			v.end(context.Canceled)
			b.view.ended(v)
		}
	}
	b.view.refresh()
	unseen := b.view.close(b.vertices, b.script, r, err)
	if err == nil {
		return unseen
	}
	return &Failure{err}
}

// Failure is a failed build in BuildKit's words.
type Failure struct{ Cause error }

func (f *Failure) Error() string { return "failed to build: failed to solve: " + words(f.Cause) }
func (f *Failure) Unwrap() error { return f.Cause }

func words(err error) string {
	var w Worded
	switch {
	case errors.As(err, &w):
		return w.BuildKit()
	case errors.Is(err, context.Canceled):
		return "Canceled: context canceled"
	}
	return err.Error()
}
