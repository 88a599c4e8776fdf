package logfile

import (
	"encoding/binary"
	"io"
	"time"
)

// local is the file of Docker's driver of that name. Each entry is a protobuf message between two lengths, so that it can be read from
// both ends; numbers are big-endian:
//
//	[length uint32] LogEntry [length uint32]
//
//	message LogEntry {
//		string source = 1; int64 time_nano = 2; bytes line = 3; bool partial = 4;
//		PartialLogEntryMetadata partial_log_metadata = 5;
//	}
//	message PartialLogEntryMetadata { bool last = 1; string id = 2; int32 ordinal = 3; }
type local struct{}

const (
	lengthSize = 4
	biggest    = 1e6 // Docker reads no bigger ones
)

// Tags of fields: the field's number, and how its value is written (protobuf.dev/programming-guides/encoding).
const (
	tagSource  = 1<<3 | asBytes
	tagTime    = 2<<3 | asVarint
	tagLine    = 3<<3 | asBytes
	tagPartial = 4<<3 | asVarint
	tagPiece   = 5<<3 | asBytes
	tagLast    = 1<<3 | asVarint
	tagID      = 2<<3 | asBytes
	tagOrdinal = 3<<3 | asVarint

	asVarint = 0
	asFixed8 = 1
	asBytes  = 2
	asFixed4 = 5
)

func (local) encode(dst []byte, p *piece) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendBytes(dst, tagSource, p.stream)
	dst = binary.AppendUvarint(append(dst, tagTime), uint64(p.nanos))
	if len(p.text) > 0 {
		dst = appendBytes(dst, tagLine, p.text)
	}
	if p.ordinal > 0 {
		dst = append(dst, tagPartial, 1)
		dst = appendBytes(dst, tagPiece, p.metadata())
	}
	length := uint32(len(dst) - start - lengthSize)
	binary.BigEndian.PutUint32(dst[start:], length)
	return binary.BigEndian.AppendUint32(dst, length)
}

func (p *piece) metadata() []byte {
	var b []byte
	if p.ends {
		b = append(b, tagLast, 1)
	}
	b = appendBytes(b, tagID, p.id)
	return binary.AppendUvarint(append(b, tagOrdinal), uint64(p.ordinal))
}

func appendBytes[T string | []byte](dst []byte, tag byte, s T) []byte {
	return append(binary.AppendUvarint(append(dst, tag), uint64(len(s))), s...)
}

// decode skips what cannot be read up to the next place where two lengths stand around an entry.
func (local) decode(b []byte, last bool, e *Entry) (n int, ok bool) {
	n, ok = frame(b, e)
	if ok || n == 0 && !last {
		return n, ok
	}
	next := len(b)
	for i := 1; i < len(b); i++ {
		n, ok := frame(b[i:], e)
		if ok {
			return i, false
		}
		if n == 0 && !last {
			next = min(next, i) // perhaps, when more has come
		}
	}
	return next, false
}

// frame reads the entry at the beginning of b; n is 0 if it is not all there, and 1 if there is none.
func frame(b []byte, e *Entry) (n int, ok bool) {
	if len(b) < lengthSize {
		return 0, false
	}
	length := int(binary.BigEndian.Uint32(b))
	switch whole := length + 2*lengthSize; {
	case length == 0 || length > biggest:
		return 1, false
	case len(b) < whole:
		return 0, false
	case int(binary.BigEndian.Uint32(b[whole-lengthSize:])) != length || !e.unmarshal(b[lengthSize:whole-lengthSize]):
		return 1, false
	default:
		return whole, true
	}
}

// unmarshal reads a LogEntry.
func (e *Entry) unmarshal(b []byte) bool {
	*e = Entry{Text: e.Text[:0]}
	partial, last := false, false
	ok := fields(b, func(tag, number uint64, value []byte) bool {
		switch tag {
		case tagSource:
			e.Stream = string(value)
		case tagTime:
			e.Time = time.Unix(0, int64(number)).UTC()
		case tagLine:
			e.Text = append(e.Text, value...)
		case tagPartial:
			partial = number != 0
		case tagPiece:
			return fields(value, func(tag, number uint64, _ []byte) bool {
				last = last || tag == tagLast && number != 0
				return true
			})
		}
		return true
	})
	if !partial || last {
		e.Text = append(e.Text, '\n')
	}
	return ok && e.Stream != ""
}

// fields calls f with each field of a message, and says whether all could be read.
func fields(b []byte, f func(tag, number uint64, value []byte) bool) bool {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 == 0 {
			return false
		}
		b = b[n:]
		var number uint64
		var value []byte
		switch tag & 7 {
		case asVarint:
			if number, n = binary.Uvarint(b); n <= 0 {
				return false
			}
		case asBytes:
			length, size := binary.Uvarint(b)
			if size <= 0 || length > uint64(len(b)-size) {
				return false
			}
			n = size + int(length)
			value = b[size:n]
		case asFixed8, asFixed4: // of a later version
			if n = map[uint64]int{asFixed8: 8, asFixed4: 4}[tag&7]; n > len(b) {
				return false
			}
		default:
			return false
		}
		b = b[n:]
		if !f(tag, number, value) {
			return false
		}
	}
	return true
}

func (local) tail(r io.ReaderAt, size int64, n int) (offset int64, found int, ok bool) {
	for offset = size; offset > 0 && found < n; found++ {
		var b [lengthSize]byte
		if _, err := r.ReadAt(b[:], offset-lengthSize); offset < 2*lengthSize || err != nil {
			return 0, 0, false
		}
		length := binary.BigEndian.Uint32(b[:])
		start := offset - int64(length) - 2*lengthSize
		if start < 0 {
			return 0, 0, false
		}
		if _, err := r.ReadAt(b[:], start); err != nil || binary.BigEndian.Uint32(b[:]) != length {
			return 0, 0, false
		}
		offset = start
	}
	return offset, found, true
}

// mend has nothing to do: readers find the next entry by themselves.
func (local) mend(byte) []byte { return nil }
