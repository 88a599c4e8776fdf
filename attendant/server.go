package attendant

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// serve answers on the two sockets.
func (r *resolver) serve(udp, tcp int) ([]*loop, error) {
	u, err := datagrams(udp)
	if err != nil {
		return nil, err
	}
	widen(u)
	l, err := listener(tcp)
	if err != nil {
		return nil, err
	}
	return []*loop{{deadline: u.SetReadDeadline, run: func() { r.serveUDP(u) }}, accept(l, r.clients, r.client)}, nil
}

// burst is how much the kernel keeps of questions that come at once: ten thousand of them, with what it counts for each.
const burst = 10_000 * 1024

// widen asks for more than net.core.rmem_max; who may not keeps what there is.
func widen(c *net.UDPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, burst) })
	}
}

// longestQuestion is more than any question over UDP has; what is cut short by it has a wrong format.
const longestQuestion = 4096

func (r *resolver) serveUDP(c *net.UDPConn) {
	buffer := make([]byte, longestQuestion)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if over(err) {
				return
			}
			continue
		}
		r.datagram(c, buffer[:n], from)
	}
}

// datagram answers one question, or has others asked. An answer that cannot be sent is one that did not arrive.
func (r *resolver) datagram(c *net.UDPConn, message []byte, from netip.AddrPort) {
	q, code, ok := parse(message)
	if !ok {
		return
	}
	if code != success {
		c.WriteToUDPAddrPort(q.failure(code), from)
		return
	}
	answer, servers := r.ask(&q, q.limit)
	if answer != nil {
		c.WriteToUDPAddrPort(answer, from)
		return
	}
	q.message = append([]byte(nil), message...)
	e := errand{question: q, servers: servers, since: time.Now(), answer: func(a []byte) { r.tidier.worked(); c.WriteToUDPAddrPort(a, from) }}
	if !r.errands.add(e) {
		e.answer(q.failure(refused))
	}
}

// Limits of TCP clients; the times are those of Docker's resolver (miekg/dns).
const (
	mostClients = 256
	readTime    = 2 * time.Second // for a question that has begun
	idleTime    = 8 * time.Second // for the next question
)

// client may ask as much as it likes. There are places for mostClients: who stands still loses his.
func (r *resolver) client(c *net.TCPConn) {
	for r.exchange(c) {
	}
}

// exchange answers one question of a connection, and says whether there may be another.
func (r *resolver) exchange(c *net.TCPConn) bool {
	var length [2]byte
	c.SetDeadline(time.Now().Add(idleTime))
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return false
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	c.SetDeadline(time.Now().Add(readTime))
	if _, err := io.ReadFull(c, message); err != nil {
		return false
	}
	answer := r.overTCP(message)
	if answer == nil {
		return false
	}
	c.SetDeadline(time.Now().Add(readTime))
	_, err := c.Write(framed(answer))
	return err == nil
}

// framed is a message as it goes over TCP: after its length.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message))), message...)
}

func (r *resolver) overTCP(message []byte) []byte {
	q, code, ok := parse(message)
	if !ok {
		return nil
	}
	if code != success {
		return q.failure(code)
	}
	answer, servers := r.ask(&q, largest)
	if answer != nil {
		return answer
	}
	return forward(&q, servers, overTCP)
}
