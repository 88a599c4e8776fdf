package attendant

import (
	"encoding/binary"
	"strings"
)

// Types, response codes and flags of a DNS message (RFC 1035; OPT: RFC 6891).
const (
	typeA    = 1
	typePTR  = 12
	typeMX   = 15
	typeAAAA = 28
	typeOPT  = 41

	classIN = 1

	success        = 0
	formatError    = 1
	serverFailure  = 2
	notImplemented = 4
	refused        = 5

	flagResponse  = 0x8000
	flagOpcode    = 0x7800
	flagTruncated = 0x0200
	flagRecursion = 0x0100 // desired
	flagAvailable = 0x0080 // recursion is
	flagChecking  = 0x0010 // is disabled
	flagDNSSEC    = 0x8000 // of an OPT record's ttl: the client takes signatures
)

const (
	headerSize   = 12
	smallestUDP  = 512   // what every client takes
	largestUDP   = 65507 // what IPv4 can carry
	largest      = 65535 // what TCP can say the length of
	longestLabel = 63
	longestName  = 255
)

// question is a message that asks, in the bytes in which it came.
type question struct {
	message []byte
	end     int    // of the question section: the message's header and the question are message[:end]
	name    string // in lower case, without the dot at the end
	kind    uint16
	class   uint16
	edns    bool // there is an OPT record
	limit   int  // the largest UDP answer that the client takes
	dnssec  bool
}

func (q *question) id() uint16    { return binary.BigEndian.Uint16(q.message) }
func (q *question) flags() uint16 { return binary.BigEndian.Uint16(q.message[2:]) }

// parse reads a question. One that gets no answer at all is not ok: less than a header, or itself an answer; answering those could go
// on for ever between two servers. The response code of all others is success or what is wrong with them.
func parse(message []byte) (q question, code int, ok bool) {
	q = question{message: message, limit: smallestUDP}
	if len(message) < headerSize || q.flags()&flagResponse != 0 {
		return q, 0, false
	}
	q.end = headerSize
	if op := q.flags() & flagOpcode; op != 0 {
		return q, notImplemented, true
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(message[4+2*i:])) }
	if count(0) != 1 || count(1) > 1 || count(2) > 1 || count(3) > 2 {
		return q, formatError, true
	}
	r := reader{message: message, at: headerSize}
	q.name = r.name()
	q.kind, q.class = r.uint16(), r.uint16()
	if r.bad {
		return q, formatError, true
	}
	q.end = r.at
	for range count(1) + count(2) + count(3) {
		q.record(&r)
	}
	if r.bad {
		return q, formatError, true
	}
	return q, success, true
}

// record looks at a record that follows the question: only an OPT matters.
func (q *question) record(r *reader) {
	root := r.at < len(r.message) && r.message[r.at] == 0
	r.skipName()
	kind, class := r.uint16(), r.uint16()
	r.uint16()
	flags := r.uint16()
	r.skip(int(r.uint16()))
	if kind != typeOPT || !root || r.bad {
		return
	}
	q.edns, q.dnssec = true, flags&flagDNSSEC != 0
	q.limit = min(max(smallestUDP, int(class)), largestUDP)
}

// reader reads a message from front to back. It never follows a compression pointer, so no message can make it loop: the name of a
// question comes first, with nothing before it that it could point to, and of others only the length is needed.
type reader struct {
	message []byte
	at      int
	bad     bool // the message ended too early, or is wrong
}

func (r *reader) skip(n int) (from int) {
	from = r.at
	if r.bad || n > len(r.message)-r.at {
		r.bad = true
		return 0
	}
	r.at += n
	return from
}

func (r *reader) byte() byte {
	from := r.skip(1)
	if r.bad {
		return 0
	}
	return r.message[from]
}

func (r *reader) uint16() uint16 {
	from := r.skip(2)
	if r.bad {
		return 0
	}
	return binary.BigEndian.Uint16(r.message[from:])
}

// name reads an uncompressed name. A dot inside a label is written as \. so that it is not taken for one between labels.
func (r *reader) name() string {
	var name strings.Builder
	for start := r.at; ; {
		n := int(r.byte())
		if r.bad || n > longestLabel || r.at+n-start > longestName {
			r.bad = true
			return ""
		}
		if n == 0 {
			return name.String()
		}
		if name.Len() > 0 {
			name.WriteByte('.')
		}
		from := r.skip(n)
		if r.bad {
			return ""
		}
		for _, c := range r.message[from:r.at] {
			if c == '.' || c == '\\' {
				name.WriteByte('\\')
			}
			name.WriteByte(lower(c))
		}
	}
}

func (r *reader) skipName() {
	for !r.bad {
		n := int(r.byte())
		switch {
		case n == 0:
			return
		case n > longestLabel:
			r.bad = r.bad || n < 0xc0 // 0xc0: a pointer, which ends the name
			r.skip(1)
			return
		}
		r.skip(n)
	}
}

// lower knows ASCII only: names are compared so (RFC 4343).
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
