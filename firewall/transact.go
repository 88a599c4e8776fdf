package firewall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// whole is the place of a refusal that is of no single message, but of the batch.
const whole = -1

// transact sends a batch as one transaction, over both families, and tells which messages, counted from 0 behind its begin, the
// kernel refused: nftables.Conn would send them by itself, but joins the errors without saying whose they are. With a generation, nothing
// happens if the rules are of another by then.
func (w *wire) transact(messages []netlink.Message, generation []byte) (map[int]unix.Errno, error) {
	if generation != nil {
		if err := extend(&messages[0], unix.NFNL_BATCH_GENID, generation); err != nil {
			return nil, err
		}
	}
	// The kernel answers errors in any case, and all when it is done: one acknowledgement, of the last message, tells the end.
	for i := range messages {
		messages[i].Header.Flags &^= netlink.Acknowledge
	}
	final := len(messages) - 2
	messages[final].Header.Flags |= netlink.Acknowledge
	if err := w.send(messages); err != nil {
		return nil, err
	}
	return w.refusals(final)
}

// extend adds an attribute to a message.
func extend(m *netlink.Message, kind uint16, value []byte) error {
	b, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: kind, Data: value}})
	if err != nil {
		return err
	}
	m.Data = append(m.Data, b...)
	m.Header.Length += uint32(len(b))
	return nil
}

var errTaken = errors.New("the messages were taken")

// messagesOf are the messages that nftables.Conn would have sent, the batch's begin and end among them.
func messagesOf(build func(*nftables.Conn) error) ([]netlink.Message, error) {
	var taken []netlink.Message
	c, err := nftables.New(nftables.WithTestDial(func(m []netlink.Message) ([]netlink.Message, error) {
		if taken == nil {
			taken = m
		}
		return nil, errTaken
	}))
	if err != nil {
		return nil, err
	}
	if err := build(c); err != nil {
		return nil, err
	}
	if err := c.Flush(); !errors.Is(err, errTaken) {
		return nil, fmt.Errorf("writing a batch for nftables: %w", err)
	}
	return taken, nil
}

// wire is a socket to the kernel's netfilter: netlink(7).
type wire struct {
	fd     int
	sent   uint32 // how often; answers to what was sent before are late ones
	buffer []byte // of receive
}

func dial() (*wire, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("netlink socket for nftables: %w", err)
	}
	// Errors need not carry the message that they are about; and should the kernel never answer, nobody waits for ever.
	unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	return &wire{fd: fd}, nil
}

// part gives the socket to keep, or closes it.
func (w *wire) part(keep func(*os.File)) {
	if keep != nil {
		keep(os.NewFile(uintptr(w.fd), "nftables"))
		return
	}
	w.Close()
}

func (w *wire) Close() error { return unix.Close(w.fd) }

// send numbers the messages from 0 and sends them as one datagram.
func (w *wire) send(messages []netlink.Message) error {
	w.sent++
	var b []byte
	for i, m := range messages {
		m.Header.Sequence = w.sent<<16 | uint32(i)
		one, err := m.MarshalBinary()
		if err != nil {
			return fmt.Errorf("writing a message for nftables: %w", err)
		}
		b = append(b, one...)
	}
	// net.core.wmem_max and rmem_max are 208 KiB, and a batch is one datagram: socket(7).
	if len(b) > 64<<10 {
		unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 2*len(b))
		unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 2*len(b))
	}
	if err := unix.Sendto(w.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("sending %d bytes to nftables: %w", len(b), err)
	}
	return nil
}

// answer is a message of the kernel's about the one with that number.
type answer struct {
	to   int
	kind netlink.HeaderType
	data []byte
}

// receive is the next datagram's answers to what was sent last.
func (w *wire) receive() ([]answer, error) {
	if w.buffer == nil {
		w.buffer = make([]byte, 32<<10)
	}
	for {
		n, err := unix.Read(w.fd, w.buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("waiting for nftables' answer: %w", err)
		}
		return w.split(bytes.Clone(w.buffer[:n])), nil
	}
}

// split takes a datagram apart; nlmsghdr is length, type, flags, sequence, port id.
func (w *wire) split(b []byte) []answer {
	var all []answer
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.SizeofNlMsghdr || n > len(b) {
			break
		}
		if sequence := binary.NativeEndian.Uint32(b[8:]); sequence>>16 == w.sent&0xffff {
			all = append(all, answer{int(sequence & 0xffff), netlink.HeaderType(binary.NativeEndian.Uint16(b[4:])), b[unix.SizeofNlMsghdr:n]})
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return all
}

// errno is the error that the answer is; 0 with any other answer, and an acknowledgement.
func (a answer) errno() unix.Errno {
	if a.kind != netlink.Error || len(a.data) < 4 {
		return 0
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(a.data)))
}

// attribute finds one, in attributes in one another along the path; nil when it is not there.
func (a answer) attribute(path ...uint16) []byte {
	if a.kind == netlink.Error || len(a.data) < 4 {
		return nil
	}
	return attribute(a.data[4:], path...) // behind nfgenmsg
}

// refusals reads answers until that to the final message, which comes last, or until one to the batch as a whole.
func (w *wire) refusals(final int) (map[int]unix.Errno, error) {
	refused := map[int]unix.Errno{}
	for {
		answers, err := w.receive()
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			place := a.to - 1 // the batch's begin has 0
			if errno := a.errno(); errno != 0 {
				refused[place] = errno
			}
			if a.to == final || place == whole {
				return refused, nil
			}
		}
	}
}
