package logfile

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"glassbox/store"
)

// jsonFile is Docker's json-file, one entry a line:
//
//	{"log":"hello\n","stream":"stdout","attrs":{"label":"value"},"time":"2026-11-21T20:04:05.123456789Z"}
type jsonFile struct {
	between []byte // what follows the stream's name, up to the time
	clock   clock
}

func newJSON(attrs map[string]string) *jsonFile {
	b := []byte{'"'}
	if len(attrs) > 0 {
		b = append(b, `,"attrs":`...)
		separator := byte('{')
		for _, name := range slices.Sorted(maps.Keys(attrs)) {
			b = append(append(b, separator, '"'), store.AppendJSON(nil, []byte(name))...)
			b = append(b, `":"`...)
			b = append(store.AppendJSON(b, []byte(attrs[name])), '"')
			separator = ','
		}
		b = append(b, '}')
	}
	return &jsonFile{between: append(b, `,"time":"`...)}
}

func (f *jsonFile) encode(dst []byte, p *piece) []byte {
	dst = append(dst, `{"log":"`...)
	dst = appendText(dst, p.text)
	if p.ends {
		dst = append(dst, `\n`...)
	}
	dst = append(dst, `","stream":"`...)
	dst = append(dst, p.stream...)
	dst = append(dst, f.between...)
	dst = f.clock.append(dst, p.nanos)
	return append(dst, '"', '}', '\n')
}

// appendText appends s as Docker writes it, whose words for tab, backspace and form feed are not encoding/json's. Most text
// needs no escape and is looked at eight bytes at a time.
func appendText(dst, s []byte) []byte {
	start := 0
	for i := 0; i < len(s); {
		if i+8 <= len(s) && plain(binary.LittleEndian.Uint64(s[i:])) {
			i += 8
			continue
		}
		size, as := character(s[i:])
		if !as {
			dst = appendEscape(append(dst, s[start:i]...), s[i:i+size])
			start = i + size
		}
		i += size
	}
	return append(dst, s[start:]...)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain says whether none of eight bytes is a control character, beyond ASCII, or one of " & < > \ (Hacker's Delight, 6-1).
func plain(x uint64) bool {
	less := (x - 0x20*ones) &^ x // the high bit of bytes below 0x20
	return (less|x|zero(x|0x02*ones, 0x3e)|zero(x|0x04*ones, 0x26)|zero(x, 0x5c))&highs == 0
}

// zero has the high bit set if a byte of x is c.
func zero(x uint64, c uint64) uint64 {
	x ^= c * ones
	return (x - ones) &^ x
}

// character returns the length of the first one, and whether it is written as it is.
func character(s []byte) (size int, as bool) {
	if c := s[0]; c < utf8.RuneSelf {
		return 1, c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	r, size := utf8.DecodeRune(s)
	return size, r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1)
}

// appendEscape appends one that is not. U+2028 and U+2029 are valid in JSON, but end a line to JavaScript.
func appendEscape(dst, character []byte) []byte {
	const hex = "0123456789abcdef"
	c := character[len(character)-1]
	switch {
	case len(character) > 1:
		return append(append(dst, `\u202`...), hex[c&0xf])
	case c == '\\' || c == '"':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c >= utf8.RuneSelf: // it is not UTF-8
		return append(dst, `\ufffd`...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}

// endless is the length from which on a line without an end is no entry.
const endless = 16 << 20

func (f *jsonFile) decode(b []byte, last bool, e *Entry) (n int, ok bool) {
	i := bytes.IndexByte(b, '\n')
	switch {
	case i >= 0:
		n = i + 1
	case last || len(b) > endless:
		n = len(b)
	default:
		return 0, false
	}
	line := b[:n]
	if e.read(line) {
		return n, true
	}
	// An entry may stand behind one that was cut in half, or behind the zeros of a hole. Inside of one its first characters cannot
	// occur: there a quotation mark has a backslash.
	if i := bytes.LastIndex(line, []byte(`{"log":"`)); i > 0 && e.read(line[i:]) {
		return n, true
	}
	return n, false
}

// read reads one line of the file.
func (e *Entry) read(line []byte) bool {
	if e.readUsual(line) {
		return true
	}
	var v struct {
		Log    string            `json:"log"`
		Stream string            `json:"stream"`
		Time   time.Time         `json:"time"`
		Attrs  map[string]string `json:"attrs"`
	}
	if json.Unmarshal(line, &v) != nil || v.Stream == "" {
		return false
	}
	*e = Entry{Stream: v.Stream, Text: append(e.Text[:0], v.Log...), Time: v.Time, Attrs: v.Attrs}
	return true
}

// readUsual reads a line as Writer and Docker write it, without attributes, a tenth of the time that encoding/json takes. Any other
// is left to that.
func (e *Entry) readUsual(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte(`{"log":"`))
	if !ok {
		return false
	}
	if e.Text, rest, ok = unescape(e.Text[:0], rest); !ok {
		return false
	}
	switch {
	case bytes.HasPrefix(rest, []byte(`","stream":"stdout","time":"`)):
		e.Stream = "stdout"
	case bytes.HasPrefix(rest, []byte(`","stream":"stderr","time":"`)):
		e.Stream = "stderr"
	default:
		return false
	}
	rest, ok = bytes.CutSuffix(rest[len(`","stream":"stdout","time":"`):], []byte("\"}\n"))
	if !ok {
		return false
	}
	at, err := time.Parse(time.RFC3339Nano, string(rest))
	e.Time, e.Attrs = at, nil
	return err == nil
}

// unescape appends the string up to its closing quotation mark to dst and returns what begins there. Not ok: it has an escape of
// four digits, or no end.
func unescape(dst, s []byte) (text, rest []byte, ok bool) {
	for {
		i := bytes.IndexAny(s, `"\`)
		if i < 0 {
			return dst, nil, false
		}
		dst = append(dst, s[:i]...)
		if s[i] == '"' {
			return dst, s[i:], utf8.Valid(dst)
		}
		if i+1 == len(s) {
			return dst, nil, false
		}
		switch c := s[i+1]; c {
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case '"', '\\':
			dst = append(dst, c)
		default:
			return dst, nil, false
		}
		s = s[i+2:]
	}
}

func (f *jsonFile) tail(r io.ReaderAt, size int64, n int) (offset int64, found int, ok bool) {
	var chunk [64 << 10]byte
	lines := -1 // the newline that ends the last line begins none; what follows it is not a line yet
	for at := size; at > 0; {
		length := min(at, int64(len(chunk)))
		at -= length
		if _, err := r.ReadAt(chunk[:length], at); err != nil {
			return 0, 0, false
		}
		for end := chunk[:length]; ; {
			i := bytes.LastIndexByte(end, '\n')
			if i < 0 {
				break
			}
			if lines++; lines == n {
				return at + int64(i) + 1, n, true
			}
			end = end[:i]
		}
	}
	return 0, lines + 1, true
}

func (f *jsonFile) mend(last byte) []byte {
	if last == '\n' {
		return nil
	}
	return []byte{'\n'}
}
