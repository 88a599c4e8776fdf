package attendant

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Docker's limits (libnetwork/resolver.go).
const (
	serverTime  = 4 * time.Second // for each server, and for the wait until one may be asked
	mostServers = 3
	mostErrands = 1024
)

// mostWaiting is how many questions may wait until one of the errands is done.
const mostWaiting = 16 * 1024

// servers reads the addresses of resolv.conf(5), with or without a port. What is none was not meant for us.
func servers(texts []string) (all []netip.AddrPort) {
	for _, text := range texts {
		server, err := netip.ParseAddrPort(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				server = netip.AddrPortFrom(a, 53)
			}
		}
		if err == nil && len(all) < mostServers {
			all = append(all, server)
		}
	}
	return all
}

// errand is a question that came by UDP and that others are to answer.
type errand struct {
	question question
	servers  []netip.AddrPort
	since    time.Time
	answer   func([]byte)
}

// errands are done side by side, mostErrands at a time.
type errands struct {
	mu      sync.Mutex
	running int
	waiting []errand
}

// add is false when there are too many already.
func (s *errands) add(e errand) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running < mostErrands {
		s.running++
		go s.run(e)
		return true
	}
	if len(s.waiting) >= mostWaiting {
		return false
	}
	s.waiting = append(s.waiting, e)
	return true
}

func (s *errands) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running == 0
}

func (s *errands) run(e errand) {
	for more := true; more; e, more = s.next() {
		if time.Since(e.since) > serverTime {
			e.answer(e.question.failure(refused))
			continue
		}
		e.answer(forward(&e.question, e.servers, overUDP))
	}
}

func (s *errands) next() (e errand, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.running--
		s.waiting = nil
		return e, false
	}
	e = s.waiting[0]
	s.waiting[0] = errand{}
	s.waiting = s.waiting[1:]
	return e, true
}

// forward asks one server after the other. A server that fails or refuses is asked no more, as Docker does. The client's own
// message goes out, under another id, and the answer comes back as it is.
func forward(q *question, servers []netip.AddrPort, over exchange) []byte {
	message := bytes.Clone(q.message)
	for _, server := range servers {
		if n, err := unix.Getrandom(message[:2], 0); err != nil || n != 2 {
			break
		}
		answer, err := over(server, message, q.end)
		if err != nil {
			continue
		}
		if code := answer[3] & 15; code == serverFailure || code == refused {
			continue
		}
		copy(answer, q.message[:2])
		return answer
	}
	return q.failure(serverFailure)
}

// exchange sends a question, whose header and question section end at end, and returns the answer to it.
type exchange func(server netip.AddrPort, message []byte, end int) ([]byte, error)

// buffers are for what a server says: only who has something to read needs one.
var buffers = sync.Pool{New: func() any { b := make([]byte, largest); return &b }}

// overUDP uses a socket of its own, so that each question comes from another, random, port; and as the socket is connected, only what that
// server sends gets through.
func overUDP(server netip.AddrPort, message []byte, end int) ([]byte, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(serverTime))
	if _, err := c.Write(message); err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var answer []byte
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		answer, failed = receive(int(fd), message[:end])
		return failed != unix.EAGAIN
	})
	return answer, errors.Join(err, failed)
}

// receive reads until there is an answer to the question, or no more: EAGAIN.
func receive(fd int, asked []byte) ([]byte, error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for {
		n, err := unix.Read(fd, *b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if answers((*b)[:n], asked) {
			return bytes.Clone((*b)[:n]), nil
		}
	}
}

// overTCP is for clients that came by TCP.
func overTCP(server netip.AddrPort, message []byte, end int) ([]byte, error) {
	c, err := net.DialTimeout("tcp", server.String(), serverTime)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(serverTime))
	if _, err := c.Write(framed(message)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, answer); err != nil {
		return nil, err
	}
	if !answers(answer, message[:end]) {
		return nil, errors.New("the answer is to another question")
	}
	return answer, nil
}

// answers says whether a message answers the question: it has its id and repeats it, or has no question and says what failed.
func answers(message, asked []byte) bool {
	if len(message) < headerSize || message[2]&(flagResponse>>8) == 0 || !bytes.Equal(message[:2], asked[:2]) {
		return false
	}
	switch binary.BigEndian.Uint16(message[4:]) {
	case 0:
		return message[3]&15 != success
	case 1:
		return len(message) >= len(asked) && sameQuestion(message[headerSize:len(asked)], asked[headerSize:])
	}
	return false
}

// sameQuestion compares the names without regard to capitals, and type and class, the last four bytes.
func sameQuestion(a, b []byte) bool {
	name := len(b) - 4
	for i := range name {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return bytes.Equal(a[name:], b[name:])
}
