package image

import (
	"encoding/binary"
	"errors"
	"io"
)

// inflate decodes DEFLATE (RFC 1951). Decompression is most of a pull's work, and this decoder needs about half the time of those
// in Go's library and in klauspost/compress: it looks at eight bytes of input at a time, takes most symbols with one
// look into a table, and copies matches by words.
type inflate struct {
	src  io.Reader
	in   []byte // what has been read of src; in[at:] is still to be looked at
	at   int
	end  int // of real input in in; behind it zeros once src has ended
	eof  bool
	bits uint64 // the next bits of input, the first one lowest; those above count are in[at:] already, and harmless
	have uint   // how many of them count

	out    []byte // the last window of output, and what comes after it
	made   int    // out[:made] is decoded
	given  int    // out[:given] has been read
	start  int    // matches reach back to here
	last   bool   // the block is the stream's last
	stored int    // bytes left of a stored block
	coded  bool   // within a block of codes
	lit    litTable
	dist   distTable
	fixed  *fixedTables
}

const (
	window    = 32 << 10
	outSize   = window + ringSize
	longest   = 258          // of a match
	outSlack  = longest + 16 // words are copied whole, beyond a match's end
	inPadding = 16
)

var errInflate = errors.New("gzip: damaged data")

func newInflate(src io.Reader) *inflate {
	return &inflate{src: src, in: make([]byte, ringSize+inPadding), out: make([]byte, outSize+outSlack)}
}

// begin starts a new stream where the last one ended.
func (f *inflate) begin() { f.last, f.coded, f.stored, f.start = false, false, 0, f.made }

// Read gives the stream's output; io.EOF at its end, with in[at:] the first byte after it.
func (f *inflate) Read(p []byte) (int, error) {
	for f.given == f.made {
		if f.last && !f.coded && f.stored == 0 {
			f.align()
			if f.at > f.end {
				return 0, io.ErrUnexpectedEOF
			}
			return 0, io.EOF
		}
		f.slide()
		if err := f.decode(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.out[f.given:f.made])
	f.given += n
	return n, nil
}

// slide keeps the last window of output and makes room behind it.
func (f *inflate) slide() {
	if f.made <= window {
		return
	}
	move := f.made - window
	copy(f.out, f.out[move:f.made])
	f.made, f.given = window, window
	f.start = max(0, f.start-move)
}

// decode goes on until there is no room for output, or the stream ends.
func (f *inflate) decode() error {
	for f.made < outSize {
		var err error
		switch {
		case f.stored > 0:
			err = f.copyStored()
		case f.coded:
			err = f.codes()
		case f.last:
			return nil
		default:
			err = f.header()
		}
		if err == errInflate && f.eof && f.at > f.end {
			return io.ErrUnexpectedEOF // it stumbled over the zeros behind the end
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// more reads input until eight bytes can be looked at. Behind the end of src there are zeros; whoever needs more than
// a look at them gets io.ErrUnexpectedEOF.
func (f *inflate) more() error {
	if f.at > f.end {
		return io.ErrUnexpectedEOF
	}
	keep := min(f.at, 8) // of what was looked at, align may give back so much
	copy(f.in, f.in[f.at-keep:f.end])
	f.at, f.end = keep, f.end-f.at+keep
	for !f.eof && f.end < f.at+8 {
		n, err := f.src.Read(f.in[f.end : len(f.in)-inPadding])
		f.end += n
		if err == io.EOF {
			f.eof = true
		} else if err != nil {
			return err
		}
	}
	if f.eof {
		clear(f.in[f.end : f.end+inPadding])
	}
	return nil
}

// limit is how far f.at may go before more must be called.
func (f *inflate) limit() int {
	if f.eof {
		return f.end + inPadding - 8
	}
	return f.end - 8
}

// refill makes at least 56 bits available.
func (f *inflate) refill() error {
	if f.at > f.limit() {
		if err := f.more(); err != nil {
			return err
		}
	}
	f.bits |= binary.LittleEndian.Uint64(f.in[f.at:]) << f.have
	f.at += int((63 - f.have) >> 3)
	f.have |= 56
	return nil
}

func (f *inflate) take(n uint) uint {
	v := uint(f.bits & (1<<n - 1))
	f.bits >>= n
	f.have -= n
	return v
}

// align gives back whole bytes that were looked at, and drops the rest of one that was begun.
func (f *inflate) align() {
	f.at -= int(f.have >> 3)
	f.bits, f.have = 0, 0
}

// header reads a block's first bits (RFC 1951, 3.2.3).
func (f *inflate) header() error {
	if err := f.refill(); err != nil {
		return err
	}
	f.last = f.take(1) == 1
	switch f.take(2) {
	case 0:
		return f.beginStored()
	case 1:
		if f.fixed == nil {
			f.fixed = newFixedTables()
		}
		f.lit, f.dist, f.coded = f.fixed.lit, f.fixed.dist, true
		return nil
	case 2:
		f.coded = true
		return f.readTables()
	}
	return errInflate
}

func (f *inflate) beginStored() error {
	f.align()
	var head [4]byte
	if err := f.raw(head[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint16(head[:])
	if n != ^binary.LittleEndian.Uint16(head[2:]) {
		return errInflate
	}
	f.stored = int(n)
	return nil
}

// raw reads whole bytes from between the bits.
func (f *inflate) raw(p []byte) error {
	for len(p) > 0 {
		if f.at >= f.end {
			if f.eof {
				return io.ErrUnexpectedEOF
			}
			if err := f.more(); err != nil {
				return err
			}
			continue
		}
		n := copy(p, f.in[f.at:f.end])
		f.at += n
		p = p[n:]
	}
	return nil
}

func (f *inflate) copyStored() error {
	n := min(f.stored, outSize-f.made)
	if err := f.raw(f.out[f.made : f.made+n]); err != nil {
		return err
	}
	f.made += n
	f.stored -= n
	return nil
}

// codes decodes symbols until the block ends or the output is full. Its variables are copies of f's, so that they can
// live in registers.
func (f *inflate) codes() error {
	in, out := f.in, f.out
	at, bits, have, made := f.at, f.bits, f.have, f.made
	limit := f.limit()
	var err error
	for made < outSize {
		if at > limit {
			f.at = at
			if err = f.more(); err != nil {
				break
			}
			at, limit = f.at, f.limit()
		}
		bits |= binary.LittleEndian.Uint64(in[at:]) << (have & 63)
		at += int((63 - have) >> 3)
		have |= 56
		// Three short codes of literals fit into 56 bits, so the input is looked at once for them.
		e := f.lit[bits&(1<<litBits-1)]
		if e&isLiteral != 0 {
			bits >>= e & 63
			have -= uint(e & 63)
			out[made] = byte(e >> 16)
			made++
			if e = f.lit[bits&(1<<litBits-1)]; e&isLiteral != 0 {
				bits >>= e & 63
				have -= uint(e & 63)
				out[made] = byte(e >> 16)
				made++
				if e = f.lit[bits&(1<<litBits-1)]; e&isLiteral != 0 {
					bits >>= e & 63
					have -= uint(e & 63)
					out[made] = byte(e >> 16)
					made++
				}
			}
			continue
		}
		if e&isTable != 0 {
			bits >>= litBits
			have -= litBits
			e = f.lit[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&(litSize-1)]
		}
		bits >>= e & 63
		have -= uint(e & 63)
		if e&(isLiteral|isEnd|isBad) != 0 {
			if e&isLiteral != 0 {
				out[made] = byte(e >> 16)
				made++
				continue
			}
			if e&isEnd != 0 {
				f.coded = false
			} else {
				err = errInflate
			}
			break
		}
		// A length: at most 15 bits of code, 5 of its own, 15 of a distance's code and 13 of its own are 48.
		extra := e >> 8 & 15
		length := int(e>>16) + int(bits&(1<<extra-1))
		bits >>= extra
		have -= uint(extra)
		d := f.dist[bits&(1<<distBits-1)]
		if d&isTable != 0 {
			bits >>= distBits
			have -= distBits
			d = f.dist[(d>>16+uint32(bits)&(1<<(d>>8&15)-1))&(distSize-1)]
		}
		bits >>= d & 63
		have -= uint(d & 63)
		extra = d >> 8 & 15
		distance := int(d>>16) + int(bits&(1<<extra-1))
		bits >>= extra
		have -= uint(extra)
		if d&isBad != 0 || distance > made-f.start {
			err = errInflate
			break
		}
		if distance >= 16 && length <= 16 { // most matches
			from, to := out[made-distance:made-distance+16], out[made:made+16]
			a, b := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(from[8:])
			binary.LittleEndian.PutUint64(to, a)
			binary.LittleEndian.PutUint64(to[8:], b)
		} else {
			match(out, made, distance, length)
		}
		made += length
	}
	f.at, f.bits, f.have, f.made = at, bits, have, made
	return err
}

// match repeats what was made `distance` bytes ago. It may write up to 15 bytes beyond the match.
func match(out []byte, made, distance, length int) {
	from := out[made-distance:]
	to := out[made : made+length+16]
	if distance >= 16 {
		for i := 0; i < length; i += 16 {
			a := binary.LittleEndian.Uint64(from[i:])
			b := binary.LittleEndian.Uint64(from[i+8:])
			binary.LittleEndian.PutUint64(to[i:], a)
			binary.LittleEndian.PutUint64(to[i+8:], b)
		}
		return
	}
	if distance >= 8 {
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:]))
		}
		return
	}
	for i := range length {
		to[i] = from[i]
	}
}
