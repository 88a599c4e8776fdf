package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Reader replays a recording screen by screen. It keeps where each screen begins, and no more: memory does not grow with the output that
// was recorded.
type Reader struct {
	Header
	in    io.ReaderAt
	index []piece
	Cut   bool // the end is missing
}

// piece is one screen's lines in the file.
type piece struct {
	at     int64
	size   int64
	line   int // the first one's number
	lines  int
	kind   string
	broken string // why the line cannot be read
}

const (
	mostLine   = 16 << 20 // a line that is longer is taken for damaged
	mostOnPage = 32 << 10 // of a screen of output, in the file
	mostPieces = 1 << 20
)

// Read looks through a recording. The error is an *OtherFormat for one of another version, and says otherwise that it is none.
func Read(in io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{in: in, Cut: true}
	lines := &lines{in: bufio.NewReaderSize(io.NewSectionReader(in, 0, size), 64<<10)}
	first, ok := lines.next()
	if !ok || first.broken != "" {
		return nil, errors.New("it is no recording of glassbox: its first line is no header")
	}
	if err := json.Unmarshal(first.text, &r.Header); err != nil || r.Format == 0 {
		return nil, errors.New("it is no recording of glassbox: its first line is no header")
	}
	if r.Format != Format {
		return nil, &OtherFormat{r.Format, r.Glassbox}
	}
	tame(&r.Header)
	for {
		l, ok := lines.next()
		if !ok {
			return r, nil
		}
		if len(r.index) == mostPieces {
			return nil, fmt.Errorf("it has more than %d screens: line %d is the first that is too much", mostPieces, l.number)
		}
		r.add(l)
	}
}

// add puts a line on a screen of its own, or to that of the output or damage before it.
func (r *Reader) add(l line) {
	var e entry
	if l.broken == "" {
		if err := json.Unmarshal(l.text, &e); err != nil || e.Kind == "" {
			l.broken, e = "is no entry", entry{}
		}
	}
	p := piece{at: l.at, size: l.size, line: l.number, lines: 1, kind: e.Kind, broken: l.broken}
	r.Cut = e.Kind != kindEnd
	if n := len(r.index); n > 0 {
		last := &r.index[n-1]
		together := p.kind == kindOutput && last.kind == kindOutput && last.broken == "" && last.size+p.size <= mostOnPage || p.broken != "" && last.broken == p.broken && !l.last
		if together {
			last.size += p.size
			last.lines++
			return
		}
	}
	r.index = append(r.index, p)
}

// line is one line of the file.
type line struct {
	text   []byte // empty where it is broken
	number int
	at     int64
	size   int64
	broken string
	last   bool // without a newline: the writer was interrupted
}

type lines struct {
	in     *bufio.Reader
	number int
	at     int64
}

// next is the next line; not more than mostLine bytes of it are held.
func (l *lines) next() (line, bool) {
	l.number++
	out := line{number: l.number, at: l.at}
	for {
		part, err := l.in.ReadSlice('\n')
		out.size += int64(len(part))
		switch {
		case out.size > mostLine:
			out.text, out.broken = nil, fmt.Sprintf("has more than %d MiB", mostLine>>20)
		default:
			out.text = append(out.text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		l.at += out.size
		if err != nil && out.size > 0 {
			out.last = true
			if out.broken == "" && !json.Valid(out.text) {
				out.text, out.broken = nil, "was not written to its end"
			}
		}
		out.text = bytes.TrimSpace(out.text)
		return out, out.size > 0
	}
}

// Screens is how many there are; screen 0 is the header's.
func (r *Reader) Screens() int { return 1 + len(r.index) }

// entries reads a screen's lines again.
func (r *Reader) entries(p piece) ([]entry, error) {
	ls := &lines{in: bufio.NewReader(io.NewSectionReader(r.in, p.at, p.size))}
	var all []entry
	for {
		l, ok := ls.next()
		if !ok {
			return all, nil
		}
		var e entry
		if err := json.Unmarshal(l.text, &e); err != nil {
			return nil, fmt.Errorf("line %d is no entry any more: the file was changed: %w", p.line+l.number-1, err)
		}
		all = append(all, e)
	}
}
