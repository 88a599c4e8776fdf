package progress

import (
	"io"
	"strings"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/opencontainers/go-digest"
)

// piece is what a builder sees of a vertex. BuildKit shows nothing of some instructions: then there is none.
type piece struct {
	board  *board
	vertex *vertex
	ended  bool
}

// tell does something under the lock, if there is anything to show.
func (w *piece) tell(f func(v *vertex)) {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if w.vertex != nil && w.vertex.open > 0 {
		f(w.vertex)
	}
}

func (w *piece) Status(id string, current, total int64) {
	w.tell(func(v *vertex) {
		if id == "" { // it is done when the task is
			id, total = v.task.whole(), 0
		}
		w.moved(id, current, total, total > 0 && current >= total)
	})
}

func (w *piece) moved(id string, current, total int64, done bool) {
	p := w.vertex.part(id)
	if !p.ended.IsZero() {
		return
	}
	p.current, p.total = current, total
	if done {
		p.ended = time.Now()
	}
	w.board.view.moved(w.vertex, p)
}

func (w *piece) Note(text string)  { io.WriteString(w.Stdout(), text+"\n") }
func (w *piece) Running(string)    {}
func (w *piece) Removed(string)    {}
func (w *piece) Stdout() io.Writer { return stream{w, 1} }
func (w *piece) Stderr() io.Writer { return stream{w, 2} }
func (w *piece) Out() io.Writer    { return transfer{stream{w, 1}} }

func (w *piece) Cached() { w.tell(func(v *vertex) { v.cached = true }) }

func (w *piece) Made(id digest.Digest) {
	w.tell(func(v *vertex) {
		if v.task.Kind == Export {
			w.moved(exportingLayers, 0, 0, true)
			w.moved("writing image "+id.String(), 0, 0, true)
		}
	})
}

func (w *piece) Tagged(name string) {
	w.tell(func(*vertex) { w.moved("naming to "+strings.TrimSuffix(name, ":latest"), 0, 0, true) })
}

func (w *piece) End(err error) {
	w.tell(func(v *vertex) {
		if w.ended {
			return
		}
		w.ended = true
		if v.task.Kind == Definition {
			err = nil // it was read; what is wrong with it is said below
		}
		if v.open--; v.open == 0 || err != nil {
			v.end(err)
			w.board.view.ended(v)
		}
	})
}

// stream is where a process writes.
type stream struct {
	*piece
	number int
}

func (s stream) Write(p []byte) (int, error) {
	s.tell(func(v *vertex) { s.board.view.wrote(v, s.number, p) })
	return len(p), nil
}

// transfer is where lines about a pull or push go, which tells what they are made of (image.Told): each blob is a part.
type transfer struct{ stream }

func (t transfer) Tell(m jsonmessage.JSONMessage) {
	if m.ID == "" {
		return
	}
	t.tell(func(v *vertex) {
		switch m.Status {
		case "Downloading", "Pushing":
			if m.Progress != nil {
				t.moved(m.ID, m.Progress.Current, m.Progress.Total, false)
			}
		case "Extracting":
			t.finished(m.ID)
			t.moved("extracting "+m.ID, 0, 0, false)
		case "Pull complete", "Pushed", "Already exists", "Layer already exists", "Download complete":
			t.finished(m.ID)
			if m.Status == "Pull complete" {
				t.finished("extracting " + m.ID)
			}
		}
	})
}

// finished ends a part, with all of it there.
func (w *piece) finished(id string) {
	p := w.vertex.part(id)
	w.moved(id, max(p.current, p.total), p.total, true)
}
