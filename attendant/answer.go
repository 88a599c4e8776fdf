package attendant

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// ttl is Docker's: clients that believe it keep an address for ten minutes, most do not.
const ttl = 600

// acceptable is the size of UDP messages that we say to take: what passes every network unfragmented.
const acceptable = 1232

// answer begins an answer: header and question as they came, so that a name keeps its capitals.
func (q *question) answer(code int) []byte {
	a := append(make([]byte, 0, 512), q.message[:q.end]...)
	flags := q.flags()&(flagOpcode|flagRecursion|flagChecking) | flagResponse | flagAvailable | uint16(code)
	binary.BigEndian.PutUint16(a[2:], flags)
	clear(a[4:headerSize])
	if q.end > headerSize {
		a[5] = 1
	}
	return a
}

// failure is the answer that says only what is wrong.
func (q *question) failure(code int) []byte { return q.finish(q.answer(code)) }

// optSize is the size of our OPT record.
const optSize = 11

// finish adds the OPT record that a client with EDNS expects.
func (q *question) finish(a []byte) []byte {
	if !q.edns {
		return a
	}
	flags := uint16(0)
	if q.dnssec {
		flags = flagDNSSEC
	}
	a = append(a, 0, 0, typeOPT)
	a = binary.BigEndian.AppendUint16(a, acceptable)
	a = append(a, 0, 0)
	a = binary.BigEndian.AppendUint16(a, flags)
	a = append(a, 0, 0)
	a[headerSize-1] = 1
	return a
}

// addresses answers with all of them, beginning with the one whose turn it is; those that do not fit into limit are left out, which
// is said.
func (q *question) addresses(all []netip.Addr, turn, limit int) []byte {
	a := q.answer(success)
	if q.edns {
		limit -= optSize
	}
	count := 0
	for i := range all {
		addr := all[(turn+i)%len(all)]
		if len(a)+recordSize+addr.BitLen()/8 > limit {
			a[2] |= flagTruncated >> 8
			break
		}
		a = append(q.head(a, addr.BitLen()/8), addr.AsSlice()...)
		count++
	}
	binary.BigEndian.PutUint16(a[6:], uint16(count))
	return q.finish(a)
}

// recordSize is the size of a record without its data.
const recordSize = 12

// head begins a record whose name is the question's (a pointer to byte 12) and whose data has n bytes.
func (q *question) head(a []byte, n int) []byte {
	a = append(a, 0xc0, headerSize)
	a = binary.BigEndian.AppendUint16(a, q.kind)
	a = binary.BigEndian.AppendUint16(a, classIN)
	a = binary.BigEndian.AppendUint32(a, ttl)
	return binary.BigEndian.AppendUint16(a, uint16(n))
}

// pointer answers with a name; nil when that name cannot be said in DNS.
func (q *question) pointer(name string, limit int) []byte {
	data := encode(name)
	if data == nil {
		return nil
	}
	a := q.answer(success)
	if len(a)+recordSize+len(data)+optSize > limit {
		a[2] |= flagTruncated >> 8
		return q.finish(a)
	}
	a = append(q.head(a, len(data)), data...)
	a[7] = 1
	return q.finish(a)
}

func encode(name string) []byte {
	var data []byte
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > longestLabel {
			return nil
		}
		data = append(append(data, byte(len(label))), label...)
	}
	if data = append(data, 0); len(data) > longestName {
		return nil
	}
	return data
}
