package progress

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// vertex is a piece of work as BuildKit shows it.
type vertex struct {
	task         Task
	name         string
	open         int // how many Works stand for it
	began, ended time.Time
	cached       bool
	err          error
	parts        []*part
	printed      printed // by plain
}

// part is something of it that has a size, or just takes time: a blob, "exporting layers".
type part struct {
	id             string
	current, total int64
	began, ended   time.Time
	printed        printedPart
}

const exportingLayers = "exporting layers"

// buildkit is a task's name there; empty: it has none.
func (t Task) buildkit() string {
	switch t.Kind {
	case Definition:
		return "[internal] load build definition from " + t.Text
	case Ignore:
		return "[internal] load .dockerignore"
	case Metadata:
		return "[internal] load metadata for " + t.Text
	case Context:
		return "[internal] load build context"
	case Export:
		if t.Text == "" {
			return "exporting to image"
		}
		return t.Text
	}
	if t.Of == 0 {
		return ""
	}
	verb, rest := t.words()
	digits := int(1 + math.Log10(float64(t.Of)))
	return fmt.Sprintf("[%s%*d/%d] %s %s", t.stage(), digits, t.Inside, t.Of, verb, rest)
}

// words are those of an instruction as BuildKit shows it.
func (t Task) words() (verb, rest string) {
	text := t.Text
	if t.Long != "" {
		text = t.Long
	}
	verb, rest, _ = strings.Cut(text, " ")
	return strings.ToUpper(verb), rest
}

// base is the image that a FROM wants; empty: the task is none.
func (t Task) base() string {
	if verb, rest := t.words(); t.Kind == Instruction && verb == "FROM" {
		return rest
	}
	return ""
}

func (t Task) stage() string {
	switch {
	case t.Name != "":
		return t.Name + " "
	case t.Many:
		return fmt.Sprintf("stage-%d ", t.Stage)
	}
	return ""
}

// whole is what BuildKit calls that part of a task that is told without a name.
func (t Task) whole() string {
	switch t.Kind {
	case Definition:
		return "transferring dockerfile:"
	case Ignore, Context:
		return "transferring context:"
	case Export:
		if strings.HasSuffix(t.Text, "directory") {
			return "copying files"
		}
		return "sending tarball"
	}
	return "transferring"
}

func (v *vertex) end(err error) {
	v.open, v.err, v.ended = 0, err, time.Now()
	for _, p := range v.parts {
		if p.ended.IsZero() {
			p.ended, p.printed.news = v.ended, true
		}
	}
}

func (v *vertex) part(id string) *part {
	for _, p := range v.parts {
		if p.id == id {
			return p
		}
	}
	p := &part{id: id, began: time.Now()}
	v.parts = append(v.parts, p)
	return p
}

// canceled says that it ended because another failed, or the user wanted it.
func (v *vertex) canceled() bool { return errors.Is(v.err, context.Canceled) }

func (v *vertex) failed() bool { return v.err != nil && !v.canceled() }

// took is how long it has gone on.
func (v *vertex) took() time.Duration { return between(v.began, v.ended) }
func (p *part) took() time.Duration   { return between(p.began, p.ended) }

func between(began, ended time.Time) time.Duration {
	if ended.IsZero() {
		return time.Since(began)
	}
	return ended.Sub(began)
}

// size is how much of a part there is: "1.05MB / 3.64MB".
func (p *part) size() string {
	switch {
	case p.total != 0:
		return byteSize(p.current) + " / " + byteSize(p.total)
	case p.current != 0:
		return byteSize(p.current)
	}
	return ""
}

// byteSize is a size as BuildKit writes it.
func byteSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%dB", n)
	}
	f, unit := float64(n)/1000, 0
	for f >= 1000 {
		f, unit = f/1000, unit+1
	}
	return fmt.Sprintf("%.2f%cB", f, "kMGTPE"[unit])
}
