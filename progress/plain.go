package progress

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"
)

// plain prints BuildKit's lines. One vertex is open at a time; what others write waits until they are done, or until the open one has had
// its time.
type plain struct {
	out       io.Writer
	vertices  []*vertex // not done with
	open      *vertex
	opened    time.Time // when
	count     int
	refreshed time.Time
	err       error
}

const (
	turn        = 5 * time.Second // for how long a vertex is open while others have something to say
	nextSize    = 0.05            // a part is shown again when it has grown by this much of its total,
	nextTime    = 5 * time.Second // or after this time
	longestLine = 16 << 10        // a line is shown in pieces of that
	lastLines   = 10              // what is shown once more of a vertex that failed
	promptly    = 64 << 10        // so much output of the open vertex is shown at once
)

// printed is what plain knows of a vertex.
type printed struct {
	number  int // 0: not shown yet
	news    bool
	held    held         // whole lines that wait
	waiting int          // how many bytes
	line    bytes.Buffer // one that has not ended
	last    []string     // lines, for after a failure
}

type printedPart struct {
	news    bool
	shown   bool
	current int64
	at      time.Time
}

func newPlain(out io.Writer) *plain { return &plain{out: out} }

func (p *plain) begun(v *vertex) {
	p.vertices = append(p.vertices, v)
	p.news(v)
}

func (p *plain) moved(v *vertex, part *part) {
	part.printed.news = true
	p.news(v)
}

func (p *plain) ended(v *vertex) {
	if v.printed.line.Len() > 0 {
		p.endLine(v)
	}
	p.news(v)
}

func (p *plain) news(v *vertex) {
	v.printed.news = true
	if time.Since(p.refreshed) >= refreshEvery {
		p.refresh()
	}
}

// wrote cuts what is written into lines, each with its time. Of what waits for its turn the much goes to a file.
func (p *plain) wrote(v *vertex, _ int, b []byte) {
	s := &v.printed
	for len(b) > 0 {
		if s.line.Len() == 0 {
			s.line.WriteString(stamp(v.took()))
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			end = len(b)
		}
		end = min(end, longestLine-s.line.Len())
		s.line.Write(b[:end])
		b = b[end:]
		switch {
		case len(b) > 0 && b[0] == '\n':
			b = b[1:]
			p.endLine(v)
		case s.line.Len() >= longestLine:
			p.endLine(v)
		}
	}
	if v == p.open && s.waiting > promptly {
		p.print(v)
	}
	p.news(v)
}

func (p *plain) endLine(v *vertex) {
	s := &v.printed
	s.last = append(s.last, s.line.String())
	if len(s.last) > lastLines {
		s.last = slices.Delete(s.last, 0, 1)
	}
	s.line.WriteByte('\n')
	s.waiting += s.line.Len()
	_, err := s.held.Write(s.line.Bytes())
	p.note(err)
	s.line.Reset()
}

// stamp is the time of a line, of which BuildKit writes four digits.
func stamp(t time.Duration) string {
	sec := t.Seconds()
	switch {
	case sec < 10:
		return fmt.Sprintf("%.3f ", sec)
	case sec < 100:
		return fmt.Sprintf("%.2f ", sec)
	}
	return fmt.Sprintf("%.1f ", sec)
}

// refresh prints what is done, first of all the open vertex, in the order in which it ended; then what goes on.
func (p *plain) refresh() {
	p.refreshed = time.Now()
	var done []*vertex
	p.vertices = slices.DeleteFunc(p.vertices, func(v *vertex) bool {
		if v.ended.IsZero() {
			return false
		}
		done = append(done, v)
		return true
	})
	slices.SortStableFunc(done, func(a, b *vertex) int { return a.ended.Compare(b.ended) })
	if i := slices.Index(done, p.open); i > 0 {
		done = append([]*vertex{p.open}, slices.Delete(done, i, i+1)...)
	}
	for _, v := range done {
		p.print(v)
	}
	if next := p.next(); next != nil {
		p.print(next)
	}
}

// next is the vertex that has something to say and may: the open one, unless it has talked long enough; with none open, the oldest.
func (p *plain) next() *vertex {
	var other *vertex
	for _, v := range p.vertices {
		if v.printed.news && v != p.open && other == nil {
			other = v
		}
	}
	switch {
	case p.open == nil && other == nil && len(p.vertices) > 0:
		return p.vertices[0] // it has gone on unseen while others were done
	case p.open == nil, other != nil && time.Since(p.opened) > turn:
		return other
	case p.open.printed.news:
		return p.open
	}
	return nil
}

func (p *plain) print(v *vertex) {
	p.turnTo(v)
	for _, part := range v.parts {
		p.part(v, part)
	}
	s := &v.printed
	s.news = false
	if s.waiting > 0 {
		p.note(s.held.release(&numbered{out: p.out, prefix: fmt.Appendf(nil, "#%d ", s.number)}))
		s.waiting = 0
	}
	if v.ended.IsZero() {
		return
	}
	p.open = nil
	switch {
	case v.canceled():
		p.printf("#%d CANCELED\n", s.number)
	case v.err != nil:
		p.printf("#%d ERROR: %s\n", s.number, words(v.err))
	case v.cached:
		p.printf("#%d CACHED\n", s.number)
	default:
		p.printf("#%d DONE %.1fs\n", s.number, v.took().Seconds())
	}
}

// turnTo makes v the open vertex.
func (p *plain) turnTo(v *vertex) {
	if v == p.open {
		return
	}
	if p.open != nil {
		p.printf("#%d ...\n", p.open.printed.number)
	}
	if p.count == 0 {
		p.printf("#0 building with %q instance using %s driver\n", "default", "glassbox")
	}
	if v.printed.number == 0 {
		p.count++
		v.printed.number = p.count
	}
	p.printf("\n#%d %s\n", v.printed.number, v.name)
	p.open, p.opened = v, time.Now()
}

// part prints where a part is, if that is worth a line.
func (p *plain) part(v *vertex, part *part) {
	s := &part.printed
	done := !part.ended.IsZero()
	if !s.news || !done && !part.worth() {
		return
	}
	line := part.id
	if size := part.size(); size != "" {
		line += " " + size
	}
	if took := part.took(); took > 10*time.Millisecond {
		line += fmt.Sprintf(" %.1fs", took.Seconds())
	}
	if done {
		line += " done"
	}
	*s = printedPart{shown: true, current: part.current, at: time.Now()}
	p.printf("#%d %s\n", v.printed.number, line)
}

// worth says whether a part that goes on has changed enough to be shown.
func (part *part) worth() bool {
	s := part.printed
	switch {
	case !s.shown:
		return part.total > 0 || part.took() > refreshEvery
	case part.total > 0 && float64(part.current-s.current)/float64(part.total) >= nextSize:
		return true
	}
	return time.Since(s.at) >= nextTime
}

// close shows once more what failed vertices wrote last, and the place in the Dockerfile.
func (p *plain) close(vertices []*vertex, s script, r Result, err error) error {
	for _, v := range vertices {
		if v.failed() {
			p.printf("------\n > %s:\n", v.name)
			for _, line := range v.printed.last {
				p.printf("%s\n", line)
			}
			p.printf("------\n")
		}
	}
	for _, line := range r.Warnings {
		p.printf("\n%s\n", line)
	}
	s.show(p.out, err)
	return p.err
}

func (p *plain) printf(format string, args ...any) {
	_, err := fmt.Fprintf(p.out, format, args...)
	p.note(err)
}

// note remembers the first error of the output: what is built matters more than that nobody sees it.
func (p *plain) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

// numbered puts a vertex's number before each line.
type numbered struct {
	out    io.Writer
	prefix []byte
	inside bool // a line has begun
}

func (n *numbered) Write(b []byte) (int, error) {
	var all []byte
	for line := range bytes.Lines(b) {
		if !n.inside {
			all = append(all, n.prefix...)
		}
		all = append(all, line...)
		n.inside = line[len(line)-1] != '\n'
	}
	if _, err := n.out.Write(all); err != nil {
		return 0, err
	}
	return len(b), nil
}
