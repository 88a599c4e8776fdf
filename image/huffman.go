package image

import "math/bits"

// A table is looked up with the next bits of input. An entry holds in its low 6 bits how many bits the code takes (those of a second
// table alone when it is in one), in bits 8 to 11 how many bits follow that belong to a length or distance (or, for a
// reference to a second table, by how many bits that is looked up), and in its upper half a literal, a base, or where a second table begins.
const (
	isTable   = 1 << 12
	isLiteral = 1 << 13
	isEnd     = 1 << 14
	isBad     = 1 << 15

	litBits  = 11
	distBits = 8
	litSize  = 4096 // at most 2342 are needed for 288 codes of up to 15 bits
	distSize = 512  // 402 for 32 codes
)

type (
	litTable  [litSize]uint32
	distTable [distSize]uint32
)

// What length and distance symbols stand for (RFC 1951, 3.2.5): base and number of extra bits.
var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
)

func litSymbol(s int) uint32 {
	switch {
	case s < 256:
		return isLiteral | uint32(s)<<16
	case s == 256:
		return isEnd
	case s-257 < len(lengthBase):
		return uint32(lengthBase[s-257])<<16 | uint32(lengthExtra[s-257])<<8
	}
	return isBad
}

func distSymbol(s int) uint32 {
	if s >= len(distBase) {
		return isBad
	}
	extra := uint32(max(0, s/2-1))
	return uint32(distBase[s])<<16 | extra<<8
}

func plainSymbol(s int) uint32 { return uint32(s) << 16 }

// build fills a table for codes of the given lengths, 0 meaning a symbol that does not occur. The codes are those of RFC 1951, 3.2.2:
// in order of length, then of symbol. It reports whether they are a complete set; a single code of one bit passes, as everywhere.
func build(table []uint32, first uint, lengths []uint8, symbol func(int) uint32) bool {
	var count [16]int
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	var next [17]int
	code, longestCode, total := 0, 0, 0
	for n := 1; n <= 15; n++ {
		code <<= 1
		next[n] = code
		code += count[n]
		total += count[n]
		if count[n] > 0 {
			longestCode = n
		}
		if code > 1<<n {
			return false
		}
	}
	for i := range 1 << first {
		table[i] = isBad
	}
	if total == 0 {
		return true // no distances: allowed as long as none is used
	}
	if code != 1<<15 && (total != 1 || longestCode != 1) {
		return false
	}
	var codes [320]uint16 // lowest bit first, as they come
	var width [1 << litBits]uint8
	for s, n := range lengths {
		if n == 0 {
			continue
		}
		c := bits.Reverse16(uint16(next[n])) >> (16 - n)
		next[n]++
		codes[s] = c
		if uint(n) > first {
			low := c & (1<<first - 1)
			width[low] = max(width[low], n-uint8(first))
			continue
		}
		for i := int(c); i < 1<<first; i += 1 << n {
			table[i] = symbol(s) | uint32(n)
		}
	}
	if longestCode > int(first) {
		fillSecond(table, first, lengths, codes[:], width[:], symbol)
	}
	return true
}

// fillSecond makes the second tables, for codes longer than the first table's index. A complete set of codes fills them to the last entry.
func fillSecond(table []uint32, first uint, lengths []uint8, codes []uint16, width []uint8, symbol func(int) uint32) {
	used := 1 << first
	for s, n := range lengths {
		if uint(n) <= first {
			continue
		}
		low := codes[s] & (1<<first - 1)
		if table[low]&isTable == 0 {
			table[low] = isTable | uint32(width[low])<<8 | uint32(used)<<16
			used += 1 << width[low]
		}
		base, rest := int(table[low]>>16), n-uint8(first)
		for i := int(codes[s] >> first); i < 1<<width[low]; i += 1 << rest {
			table[base+i] = symbol(s) | uint32(rest)
		}
	}
}

// fixedTables are those of blocks that bring none of their own.
type fixedTables struct {
	lit  litTable
	dist distTable
}

func newFixedTables() *fixedTables {
	t := &fixedTables{}
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	build(t.lit[:], litBits, lengths[:], litSymbol)
	var five [32]uint8
	for i := range five {
		five[i] = 5
	}
	build(t.dist[:], distBits, five[:], distSymbol)
	return t
}

// lengthOrder is the order in which a block gives the lengths of the codes for lengths.
var lengthOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readTables reads the codes that a block brings (RFC 1951, 3.2.7).
func (f *inflate) readTables() error {
	if err := f.refill(); err != nil {
		return err
	}
	literals, distances, n := int(f.take(5))+257, int(f.take(5))+1, int(f.take(4))+4
	if literals > 286 {
		return errInflate
	}
	var meta [19]uint8
	for i := range n {
		if err := f.refill(); err != nil {
			return err
		}
		meta[lengthOrder[i]] = uint8(f.take(3))
	}
	var table [1 << 7]uint32
	if !build(table[:], 7, meta[:], plainSymbol) {
		return errInflate
	}
	var lengths [320]uint8
	if err := f.readLengths(table[:], lengths[:literals+distances]); err != nil {
		return err
	}
	if lengths[256] == 0 || !build(f.lit[:], litBits, lengths[:literals], litSymbol) ||
		!build(f.dist[:], distBits, lengths[literals:literals+distances], distSymbol) {
		return errInflate
	}
	return nil
}

// readLengths reads code lengths, which are themselves coded, with repetitions.
func (f *inflate) readLengths(table []uint32, lengths []uint8) error {
	for i := 0; i < len(lengths); {
		if err := f.refill(); err != nil {
			return err
		}
		e := table[f.bits&(1<<7-1)]
		if e&isBad != 0 {
			return errInflate
		}
		f.take(uint(e & 63))
		var value uint8
		var times int
		switch s := e >> 16; s {
		case 16:
			if i == 0 {
				return errInflate
			}
			value, times = lengths[i-1], 3+int(f.take(2))
		case 17:
			times = 3 + int(f.take(3))
		case 18:
			times = 11 + int(f.take(7))
		default:
			value, times = uint8(s), 1
		}
		if i+times > len(lengths) {
			return errInflate
		}
		for range times {
			lengths[i] = value
			i++
		}
	}
	return nil
}
