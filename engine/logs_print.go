package engine

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"time"

	"glassbox/logfile"
)

// logPrinter sorts entries out and prints them.
type logPrinter struct {
	LogOptions
	stdout, stderr *bufio.Writer
	last           *bufio.Writer // what was written to: whoever has both streams on one terminal wants them in order
	tty            bool
	line           []byte
	done           bool // an entry was newer than Until
}

func newLogPrinter(o LogOptions, tty bool, stdout, stderr io.Writer) *logPrinter {
	p := &logPrinter{LogOptions: o, tty: tty, stdout: buffered(stdout), stderr: buffered(stderr)}
	p.last = p.stdout
	return p
}

func buffered(w io.Writer) *bufio.Writer {
	if w == nil {
		w = io.Discard
	}
	return bufio.NewWriterSize(w, 32<<10)
}

var errUntil = errors.New("the end of the period is reached")

// all prints what the log has and was not printed yet.
func (p *logPrinter) all(in *logfile.Reader, last bool) error {
	err := in.Each(last, p.print)
	if errors.Is(err, errUntil) {
		p.done, err = true, nil
	}
	return errors.Join(err, p.last.Flush())
}

// print leaves out what is older than Since up to the first entry that is not: times need not be in order.
func (p *logPrinter) print(e *logfile.Entry) error {
	if e.Time.Before(p.Since) {
		return nil
	}
	p.Since = time.Time{}
	if !p.Until.IsZero() && e.Time.After(p.Until) {
		return errUntil
	}
	p.line = p.line[:0]
	if p.Timestamps {
		p.line = e.Time.AppendFormat(p.line, "2006-01-02T15:04:05.000000000Z07:00 ")
	}
	if p.Details {
		p.line = append(appendDetails(p.line, e.Attrs), ' ')
	}
	p.line = append(p.line, e.Text...)
	w := p.stdout
	if e.Stream == "stderr" && !p.tty {
		w = p.stderr
	}
	if w != p.last {
		if err := p.last.Flush(); err != nil {
			return err
		}
		p.last = w
	}
	_, err := w.Write(p.line)
	return err
}

func appendDetails(b []byte, attrs map[string]string) []byte {
	for i, name := range slices.Sorted(maps.Keys(attrs)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, url.QueryEscape(name)+"="+url.QueryEscape(attrs[name])...)
	}
	return b
}
