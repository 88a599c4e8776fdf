package namespaces

import (
	"encoding/binary"
	"fmt"
	"os"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// What netDevices asks for is five kinds of message of rtnetlink(7), too few for a library.

// inNet runs f on a thread that has entered the network namespace; nil is our own.
func inNet(ns *os.File, f func() error) error {
	if ns == nil {
		return f()
	}
	done := make(chan error, 1)
	program.Apart(func() {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering the container's network namespace: %w", err)
			return
		}
		done <- f()
	})
	return <-done
}

// ask sends one message to the network namespace ns and returns the answers' bodies.
func ask(ns *os.File, kind, flags uint16, body []byte) (answers [][]byte, err error) {
	err = inNet(ns, func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("opening a netlink socket: %w", err)
		}
		defer unix.Close(fd)
		message := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
		message = binary.NativeEndian.AppendUint16(message, kind)
		message = binary.NativeEndian.AppendUint16(message, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
		message = append(append(message, 1, 0, 0, 0, 0, 0, 0, 0), body...) // sequence number, port
		if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
		answers, err = receive(fd)
		return err
	})
	return answers, err
}

// receive reads up to the acknowledgement, an error, or the end of a list.
func receive(fd int) (bodies [][]byte, err error) {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofNlMsghdr; {
			size := int(binary.NativeEndian.Uint32(rest))
			if size < unix.SizeofNlMsghdr || size > len(rest) {
				return nil, fmt.Errorf("the kernel sent a message of %d bytes in %d", size, len(rest))
			}
			body := rest[unix.SizeofNlMsghdr:size]
			switch kind := binary.NativeEndian.Uint16(rest[4:]); {
			case kind == unix.NLMSG_ERROR && len(body) >= 4:
				if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
					return nil, unix.Errno(errno)
				}
				return bodies, nil
			case kind == unix.NLMSG_DONE:
				return bodies, nil
			default:
				bodies = append(bodies, append([]byte(nil), body...))
			}
			rest = rest[min(aligned(size), len(rest)):]
		}
	}
}

func aligned(n int) int { return (n + 3) &^ 3 }

// attribute appends one to a message.
func attribute(message []byte, kind uint16, value []byte) []byte {
	message = binary.NativeEndian.AppendUint16(message, uint16(4+len(value)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = append(message, value...)
	for len(message)%4 != 0 {
		message = append(message, 0)
	}
	return message
}

// attributes are those behind a message's header, by kind.
func attributes(data []byte) map[uint16][]byte {
	found := map[uint16][]byte{}
	for len(data) >= 4 {
		size := int(binary.NativeEndian.Uint16(data))
		if size < 4 || size > len(data) {
			break
		}
		found[binary.NativeEndian.Uint16(data[2:])&0x3fff] = data[4:size] // without the flags of its type
		data = data[min(aligned(size), len(data)):]
	}
	return found
}

func zeroEnded(s string) []byte { return append([]byte(s), 0) }

// link is what the kernel says of an interface: struct ifinfomsg and a name.
type link struct {
	index int
	name  string
	up    bool
}

// ifinfomsg is its header.
func ifinfomsg(index int, flags, change uint32) []byte {
	h := make([]byte, 4, unix.SizeofIfInfomsg)
	h = binary.NativeEndian.AppendUint32(h, uint32(index))
	h = binary.NativeEndian.AppendUint32(h, flags)
	return binary.NativeEndian.AppendUint32(h, change)
}

// linkNamed finds an interface; unix.ENODEV says that there is none.
func linkNamed(ns *os.File, name string) (link, error) {
	answers, err := ask(ns, unix.RTM_GETLINK, 0, attribute(ifinfomsg(0, 0, 0), unix.IFLA_IFNAME, zeroEnded(name)))
	if err != nil {
		return link{}, err
	}
	for _, l := range parseLinks(answers) {
		return l, nil
	}
	return link{}, unix.ENODEV
}

func links(ns *os.File) ([]link, error) {
	answers, err := ask(ns, unix.RTM_GETLINK, unix.NLM_F_DUMP, ifinfomsg(0, 0, 0))
	return parseLinks(answers), err
}

func parseLinks(answers [][]byte) (all []link) {
	for _, a := range answers {
		if len(a) < unix.SizeofIfInfomsg {
			continue
		}
		name := attributes(a[unix.SizeofIfInfomsg:])[unix.IFLA_IFNAME]
		if len(name) > 0 {
			name = name[:len(name)-1]
		}
		all = append(all, link{int(int32(binary.NativeEndian.Uint32(a[4:]))), string(name), binary.NativeEndian.Uint32(a[8:])&unix.IFF_UP != 0})
	}
	return all
}

// raise brings an interface up.
func raise(ns *os.File, index int) error {
	_, err := ask(ns, unix.RTM_NEWLINK, 0, ifinfomsg(index, unix.IFF_UP, unix.IFF_UP))
	return err
}

// send moves an interface from one network namespace into another, under a name.
func send(from *os.File, index int, to *os.File, name string) error {
	m := attribute(ifinfomsg(index, 0, 0), unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(to.Fd())))
	_, err := ask(from, unix.RTM_NEWLINK, 0, attribute(m, unix.IFLA_IFNAME, zeroEnded(name)))
	return err
}
