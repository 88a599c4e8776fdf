package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"glassbox/doctor"
	"glassbox/program"
	"glassbox/screen"
	"glassbox/view"
	"glassbox/why"
)

// Writer records one run. The first error of the file ends the recording, not the run; Close tells of it.
type Writer struct {
	mu      sync.Mutex
	file    *os.File
	path    string
	began   time.Time
	err     error
	entries int
	views   int
	output  int64
	last    string // the last view, without what changes all the time

	started bool
	early   []entry // output that came while the account of the start was still to be told
}

// Bounds of what is kept of a run.
const (
	mostViews  = 100
	mostOutput = 64 << 20 // bytes
	wide       = 80       // columns of what is drawn
)

// Create begins a recording. An existing file is left alone, unless force says otherwise; nobody else may read it, since a command line can
// hold secrets.
func Create(path string, force bool) (*Writer, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return &Writer{file: f, path: path, began: time.Now()}, nil
}

// Begin writes the header.
func (w *Writer) Begin(command []string, terminal bool, r doctor.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line(Header{Format: Format, Glassbox: r.Machine.Glassbox, Date: w.began.UTC().Truncate(time.Second), Command: command, Terminal: terminal, Machine: r.Machine, Checks: summary(r)})
}

// line writes one line at once: what is cut short is cut between two lines, or within the last.
func (w *Writer) line(v any) {
	if w.err != nil {
		return
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if w.err = e.Encode(v); w.err == nil {
		_, w.err = w.file.Write(b.Bytes())
	}
}

// add appends an entry. The caller holds the lock.
func (w *Writer) add(e entry, data any) {
	e.At = time.Since(w.began)
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			w.err = errors.Join(w.err, err)
		}
		e.Data = raw
	}
	w.entries++
	w.line(e)
}

// Note records that something is missing.
func (w *Writer) Note(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(entry{Kind: kindNote, Text: fmt.Sprintf(format, a...)}, nil)
}

// Account records what was asked of the kernel, phase by phase.
func (w *Writer) Account(all []program.Account) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.release()
	before := 0
	for i, a := range all {
		var text bytes.Buffer
		program.Write(&text, all[:i+1], program.Style{Width: wide}) //nolint:errcheck // a buffer takes everything
		w.add(entry{Kind: kindAccount, Title: a.Phase + ": " + a.Why, Text: text.String()[before:]}, a)
		before = text.Len()
	}
}

// release adds what had to wait for the account, with the times at which it came.
func (w *Writer) release() {
	w.started = true
	for _, e := range w.early {
		w.line(e)
	}
	w.entries += len(w.early)
	w.early = nil
}

// View records the container as it is now, if it is not as the last time. first is the title of the first view.
func (w *Writer) View(v *view.View, first string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.views > mostViews {
		return
	}
	steady := v.Steady()
	if steady == w.last {
		return
	}
	w.last = steady
	if w.views++; w.views > mostViews {
		w.add(entry{Kind: kindNote, Text: fmt.Sprintf("%d views were recorded: further changes were not", mostViews)}, nil)
		return
	}
	title := first
	if w.views > 1 {
		title = "the container, changed"
	}
	w.add(entry{Kind: kindView, Title: title, Text: drawn(func(s *screen.Screen) { v.Draw(s, "", "glassbox") })}, v)
}

// Viewed says whether the container was seen.
func (w *Writer) Viewed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.views > 0
}

// drawn is a screen as text, without the command that it ends with: a replay goes on elsewhere.
func drawn(draw func(*screen.Screen)) string {
	var b strings.Builder
	s := screen.New(&b, screen.Style{Width: wide})
	draw(s)
	s.Flush() //nolint:errcheck // a builder takes everything
	return withoutNext(b.String())
}

func withoutNext(text string) string {
	if i := strings.LastIndex(text, "\nNext: "); i >= 0 {
		return strings.TrimRight(text[:i], "\n") + "\n"
	}
	return text
}

// Tee is where output goes on to after it was recorded as written to stderr or stdout.
func (w *Writer) Tee(to io.Writer, stderr bool) io.Writer { return &tee{w, to, stderr} }

type tee struct {
	w      *Writer
	to     io.Writer
	stderr bool
}

// Write hands on first: the recording delays nobody, and what nobody got is not recorded.
func (t *tee) Write(b []byte) (int, error) {
	n, err := t.to.Write(b)
	t.w.wrote(b[:n], t.stderr)
	return n, err
}

func (w *Writer) wrote(b []byte, stderr bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(b) == 0 || w.output > mostOutput {
		return
	}
	if w.output += int64(len(b)); w.output > mostOutput {
		w.add(entry{Kind: kindNote, Text: fmt.Sprintf("%d MiB of output were recorded: the rest was not", mostOutput>>20)}, nil)
		return
	}
	e := entry{Kind: kindOutput, Err: stderr}
	if utf8.Valid(b) {
		e.Text = string(b)
	} else {
		e.Bytes = bytes.Clone(b)
	}
	if w.started {
		w.add(e, nil)
		return
	}
	e.At = time.Since(w.began)
	w.early = append(w.early, e)
}

// Ended records how it ended, and why; r is nil where no container was started, and text says what came instead.
func (w *Writer) Ended(code int, text string, r *why.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release()
	e := entry{Kind: kindEnd, Title: fmt.Sprintf("exit code %d", code), Code: code}
	if text != "" {
		e.Text = strings.Join(screen.Wrap(text, wide), "\n") + "\n"
	}
	if r == nil {
		w.add(e, nil)
		return
	}
	var b strings.Builder
	r.Draw(&b, screen.Style{Width: wide}) //nolint:errcheck // a builder takes everything
	e.Text += withoutNext(b.String())
	w.add(e, r)
}

// Close ends the recording. Where nothing came after the header, the file is removed: there is nothing to replay.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := errors.Join(w.err, w.file.Close())
	if w.entries == 0 {
		err = errors.Join(err, os.Remove(w.path))
	}
	w.err = os.ErrClosed
	return err
}
