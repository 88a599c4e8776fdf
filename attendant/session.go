package attendant

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sessionTime is how long a UDP client's session stays without traffic: Docker's.
const sessionTime = 90 * time.Second

// sessions are the clients of one published UDP port. Each has a socket of its own towards the container, so that answers find back.
type sessions struct {
	port   Port
	conn   *net.UDPConn
	places places
	tidier *tidier
	quiet  time.Duration
	mu     sync.Mutex
	open   map[netip.AddrPort]*session
}

type session struct {
	to   *net.UDPConn
	last time.Time // when the client sent something
}

func (p Port) relay(c *net.UDPConn, places places, t *tidier) ([]*loop, error) {
	if err := askDestination(c, p.Listen.Addr().Is4()); err != nil {
		return nil, err
	}
	s := &sessions{port: p, conn: c, places: places, tidier: t, quiet: sessionTime, open: map[netip.AddrPort]*session{}}
	return []*loop{{deadline: c.SetReadDeadline, run: s.serve}}, nil
}

// askDestination makes the kernel tell to which of the host's addresses a client sent: the answer must come from that one.
func askDestination(c *net.UDPConn, ip4 bool) (err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	e := raw.Control(func(fd uintptr) {
		if ip4 {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		} else {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		}
	})
	return errors.Join(e, err)
}

func (s *sessions) serve() {
	buffer, control := make([]byte, largest), make([]byte, 128)
	for {
		n, nc, _, from, err := s.conn.ReadMsgUDPAddrPort(buffer, control)
		if err != nil {
			if over(err) {
				return
			}
			continue
		}
		s.tidier.worked()
		if e := s.session(from, control[:nc]); e != nil {
			e.to.Write(buffer[:n]) // a container that does not listen is not there for the client either
		}
	}
}

// session finds the client's session or begins one; nil when there is no place or no way.
func (s *sessions) session(from netip.AddrPort, control []byte) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.open[from]; e != nil {
		e.last = time.Now()
		return e
	}
	if !s.places.mayTake() {
		return nil
	}
	to, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.port.To))
	if err != nil {
		s.places.leave()
		return nil
	}
	e := &session{to: to, last: time.Now()}
	s.open[from] = e
	go s.answer(e, from, source(control))
	return e
}

// answer passes on what the container says, until neither side has said anything for that long.
func (s *sessions) answer(e *session, from netip.AddrPort, control []byte) {
	defer s.places.leave()
	defer e.to.Close()
	raw, err := e.to.SyscallConn()
	for said := time.Now(); err == nil && s.stays(e, from, said); {
		e.to.SetReadDeadline(time.Now().Add(s.quiet))
		raw.Read(func(fd uintptr) bool {
			n, ok := s.passBack(int(fd), from, control)
			if n > 0 {
				said = time.Now()
			}
			return ok
		})
	}
}

// stays takes a session that has been silent out of the table.
func (s *sessions) stays(e *session, from netip.AddrPort, said time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(said) < s.quiet || time.Since(e.last) < s.quiet {
		return true
	}
	delete(s.open, from)
	return false
}

// passBack reads one datagram and sends it on. It is not ok when there is none yet. An error tells that the container refused the
// last one: it may take the next.
func (s *sessions) passBack(fd int, from netip.AddrPort, control []byte) (n int, ok bool) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	n, err := unix.Read(fd, *b)
	if err == unix.EAGAIN {
		return 0, false
	}
	if err == nil {
		s.conn.WriteMsgUDPAddrPort((*b)[:n], control, from)
		return n + 1, true // an empty datagram is one, too
	}
	return 0, true
}

// source turns what the kernel said about the way in (ip(7), ipv6(7)) into what it is told about the way back: the same address of ours, by
// whatever interface. nil leaves the choice to the kernel.
func source(control []byte) []byte {
	all, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range all {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			in := *(*unix.Inet4Pktinfo)(unsafe.Pointer(&m.Data[0]))
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: in.Spec_dst})
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			in := *(*unix.Inet6Pktinfo)(unsafe.Pointer(&m.Data[0]))
			if !netip.AddrFrom16(in.Addr).IsLinkLocalUnicast() {
				in.Ifindex = 0
			}
			return unix.PktInfo6(&in)
		}
	}
	return nil
}
