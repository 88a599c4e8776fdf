package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// socket speaks rtnetlink(7) with the network namespace in which it was opened, whatever thread uses it later.
type socket struct {
	s     *nl.NetlinkSocket
	share map[int]*nl.SocketHandle
}

// dial opens a socket in the calling thread's network namespace.
func dial() (*socket, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket: %w", err)
	}
	// With a refusal, the kernel's sentence about it; in a listing, only what was asked for, such as one interface's addresses.
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK} {
		if err := unix.SetsockoptInt(s.GetFd(), unix.SOL_NETLINK, option, 1); err != nil {
			s.Close()
			return nil, fmt.Errorf("setting option %d of a netlink socket: %w", option, err)
		}
	}
	return &socket{s: s, share: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
}

func (s *socket) close() { s.s.Close() }

// message is one request of rtnetlink(7): a fixed header, then attributes.
type message struct {
	kind  int // RTM_*
	flags int // NLM_F_* beside NLM_F_REQUEST
	parts []nl.NetlinkRequestData
}

func (m *message) add(attribute int, data []byte) {
	m.parts = append(m.parts, nl.NewRtAttr(attribute, data))
}

// ask sends a message and returns the answers. A listing during which something changed is asked for again; on a host where things
// change all the time, the last one has to do.
func (s *socket) ask(m message) (answers [][]byte, err error) {
	for range 10 {
		r := nl.NewNetlinkRequest(m.kind, m.flags)
		r.Sockets, r.Data = s.share, m.parts
		if answers, err = r.Execute(unix.NETLINK_ROUTE, 0); !errors.Is(err, nl.ErrDumpInterrupted) {
			return answers, err
		}
	}
	return answers, nil
}

// change sends a message that changes something: the kernel answers with an error number only.
func (s *socket) change(m message) error {
	m.flags |= unix.NLM_F_ACK
	_, err := s.ask(m)
	return err
}

// fields are the attributes in an answer, by their kind, without the flags in its upper bits (NLA_F_NESTED).
func fields(data []byte) map[uint16][]byte {
	attributes, err := nl.ParseRouteAttr(data)
	if err != nil {
		return nil
	}
	f := make(map[uint16][]byte, len(attributes))
	for _, a := range attributes {
		f[a.Attr.Type&0x3fff] = a.Value
	}
	return f
}

// word is an attribute that holds a string, ended by zero.
func word(data []byte) string { return string(bytes.TrimRight(data, "\x00")) }

// number is an attribute that holds 32 bits; 0 if it is not there.
func number(data []byte) int {
	if len(data) < 4 {
		return 0
	}
	return int(binary.NativeEndian.Uint32(data))
}

// line is a socket that is opened when it is first needed.
type line struct {
	mu   sync.Mutex
	open func() (*socket, error)
	s    *socket
}

func (l *line) speak(f func(*socket) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s == nil {
		s, err := l.open()
		if err != nil {
			return err
		}
		l.s = s
	}
	return f(l.s)
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s != nil {
		l.s.close()
		l.s = nil
	}
}
