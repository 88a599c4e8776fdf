package progress

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/docker/docker/pkg/stringid"
	"github.com/moby/term"
	"github.com/opencontainers/go-digest"
)

// classic prints as Docker's classic builder does, one step after the other. A step that is ahead of its turn, because its stage is
// built beside another, is held back until all steps before it have ended.
type classic struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	turn     int // the step whose turn it is
	steps    map[int]*step
	err      error // of out; told once, by Close
}

func newClassic(out io.Writer) *classic {
	return &classic{out: out, terminal: isTerminal(out), turn: 1, steps: map[int]*step{}}
}

func (c *classic) Begin(t Task) Work {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch t.Kind {
	case Instruction:
		s := &step{classic: c, number: t.Step}
		c.steps[t.Step] = s
		fmt.Fprintf(s, "Step %d/%d : %s\n", t.Step, t.Steps, t.Text)
		return &stepWork{s}
	case Context:
		return &sending{Work: &stepWork{&step{classic: c}}, classic: c}
	}
	return &stepWork{&step{classic: c}}
}

// Close says what came of the build. The step that failed is the last that is shown, also when it was ahead of its turn: those behind it
// would not have begun if one came after the other.
func (c *classic) Close(r Result, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := true
	for _, n := range slices.Sorted(maps.Keys(c.steps)) {
		s := c.steps[n]
		if shown {
			c.note(s.held.release(c.out))
		} else {
			s.held.drop()
		}
		shown = shown && !s.failed
	}
	if err != nil {
		return err
	}
	c.result(r)
	return c.err
}

// result says what there is now.
func (c *classic) result(r Result) {
	for _, line := range r.Warnings {
		c.printf("%s\n", line)
	}
	if r.Image != "" {
		c.printf("Successfully built %s\n", stringid.TruncateID(r.Image.String()))
	}
	for _, tag := range r.Tags {
		c.printf("Successfully tagged %s\n", tag)
	}
	if r.Pushed != "" {
		c.printf("Successfully pushed %s\n", r.Pushed)
	}
	for _, place := range r.Files {
		c.printf("Successfully exported to %s\n", place)
	}
}

func (c *classic) printf(format string, args ...any) {
	_, err := fmt.Fprintf(c.out, format, args...)
	c.note(err)
}

// note remembers the first error of out: what is built matters more than that nobody sees it.
func (c *classic) note(err error) {
	if c.err == nil {
		c.err = err
	}
}

// advance goes on to the steps that wait.
func (c *classic) advance() {
	for {
		s := c.steps[c.turn]
		if s == nil || !s.ended {
			return
		}
		delete(c.steps, c.turn)
		c.turn++
		if next := c.steps[c.turn]; next != nil {
			c.note(next.held.release(c.out))
		}
	}
}

// step is where the lines of a step go. Number 0 is what belongs to none: it is printed at once.
type step struct {
	classic *classic
	number  int
	held    held
	ended   bool
	failed  bool
}

// live: it is its turn. The lock is held.
func (s *step) live() bool { return s.number == 0 || s.number == s.classic.turn }

// Write is called with the lock held.
func (s *step) Write(p []byte) (int, error) {
	var err error
	if s.live() {
		_, err = s.classic.out.Write(p)
	} else {
		_, err = s.held.Write(p)
	}
	s.classic.note(err)
	return len(p), nil
}

// stepWork is what a builder sees of a step.
type stepWork struct{ *step }

func (w *stepWork) Status(string, int64, int64) {}
func (w *stepWork) Tagged(string)               {}
func (w *stepWork) Note(text string)            { w.println(text) }
func (w *stepWork) Cached()                     { w.println(" ---> Using cache") }
func (w *stepWork) Running(container string) {
	w.println(" ---> Running in " + stringid.TruncateID(container))
}
func (w *stepWork) Stdout() io.Writer { return locked{w.step, "", ""} }
func (w *stepWork) Out() io.Writer    { return drawing{locked{w.step, "", ""}} }

// Stderr is red, and on standard output, as in Docker.
func (w *stepWork) Stderr() io.Writer { return locked{w.step, "\033[91m", "\033[0m"} }

func (w *stepWork) Removed(container string) {
	w.println(" ---> Removed intermediate container " + stringid.TruncateID(container))
}

func (w *stepWork) Made(id digest.Digest) {
	if w.number != 0 {
		w.println(" ---> " + stringid.TruncateID(id.String()))
	}
}

func (w *stepWork) End(err error) {
	w.classic.mu.Lock()
	defer w.classic.mu.Unlock()
	if w.failed = err != nil; w.number != 0 && !w.failed {
		w.ended = true
		w.classic.advance()
	}
}

func (w *stepWork) println(line string) { fmt.Fprintln(locked{w.step, "", ""}, line) }

// locked writes to a step from any goroutine, each write between two words.
type locked struct {
	*step
	before, after string
}

func (l locked) Write(p []byte) (int, error) {
	l.classic.mu.Lock()
	defer l.classic.mu.Unlock()
	b := p
	if l.before != "" {
		b = slices.Concat([]byte(l.before), p, []byte(l.after))
	}
	l.step.Write(b)
	return len(p), nil
}

// drawing is where lines about a pull or push go, which are drawn on a terminal (image.Drawn) as long as nothing else is.
type drawing struct{ locked }

func (d drawing) Terminal() (fd uintptr, is bool) {
	d.classic.mu.Lock()
	defer d.classic.mu.Unlock()
	fd, is = term.GetFdInfo(d.classic.out)
	return fd, is && d.live()
}

// sending is the context, of which Docker's client counts the bytes that it sends. It ends its line as that does, by \r\r\n.
type sending struct {
	Work
	classic *classic
	size    int64
	shown   time.Time
}

func (s *sending) Status(id string, current, _ int64) {
	s.size = current
	if s.classic.terminal && time.Since(s.shown) >= 100*time.Millisecond {
		s.shown = time.Now()
		s.show("\r")
	}
}

func (s *sending) End(err error) {
	if err == nil {
		s.show("\r\r\n")
	}
	s.Work.End(err)
}

func (s *sending) show(end string) {
	s.classic.mu.Lock()
	defer s.classic.mu.Unlock()
	p := jsonmessage.JSONProgress{Current: s.size}
	s.classic.printf("Sending build context to Docker daemon %s%s", p.String(), end)
}
