package firewall

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"glassbox/program"
)

// Forget returns the request that makes the kernel forget the UDP connections to these ports as they were published before, none
// without a UDP port. Rules see but the first packet of a connection, and of UDP there is no end: a client that goes on sending from the same
// port would go on reaching the address that the container had last time, or nobody. There is no asking for one port: the kernel walks
// its table of all network namespaces, which takes it 5 ms for each family.
func Forget(ports []Port) []program.Request {
	var udp []Port
	call := ""
	for _, p := range ports {
		if p.Proto == "udp" && p.elements() != nil {
			udp = append(udp, p)
			call += p.forgotten() + "\n"
		}
	}
	if len(udp) == 0 {
		return nil
	}
	return []program.Request{{
		Call: call,
		Why:  "a client that goes on sending is tracked as one connection, which leads to where the port was before",
		Do:   func() error { return forgetLed(udp) },
	}}
}

// forgotten is what conntrack(8) would be typed.
func (p Port) forgotten() string {
	family, listen := "ipv4", p.Listen.Addr()
	if listen.Is6() {
		family = "ipv6"
	}
	call := fmt.Sprintf("conntrack -D -f %s -p udp --orig-port-dst %d", family, p.Listen.Port())
	if listen.IsUnspecified() {
		return call + " # of this host's addresses"
	}
	return call + " --orig-dst " + listen.String()
}

// The messages of ctnetlink: linux/netfilter/nfnetlink_conntrack.h.
const (
	ctGet         = 1 // IPCTNL_MSG_CT_GET
	ctDelete      = 2 // IPCTNL_MSG_CT_DELETE
	ctOriginal    = 1 // CTA_TUPLE_ORIG
	ctReply       = 2 // CTA_TUPLE_REPLY
	ctZone        = 18
	ctAddresses   = 1 // CTA_TUPLE_IP
	ctProto       = 2 // CTA_TUPLE_PROTO
	ctSource4     = 1 // CTA_IP_V4_SRC
	ctTo4         = 2 // CTA_IP_V4_DST
	ctSource6     = 3
	ctTo6         = 4
	ctNumber      = 1 // CTA_PROTO_NUM
	ctDestination = 3 // CTA_PROTO_DST_PORT
)

func forgetLed(ports []Port) error {
	w, err := dial()
	if err != nil {
		return err
	}
	defer w.Close()
	local, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		mine := slices.DeleteFunc(slices.Clone(ports), func(p Port) bool { return p.family() != family })
		if len(mine) == 0 {
			continue
		}
		tracked, err := w.connections(family)
		if err != nil {
			return err
		}
		for _, a := range tracked {
			if !slices.ContainsFunc(mine, func(p Port) bool { return p.led(a, local) }) {
				continue
			}
			if err := w.end(family, a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p Port) family() byte {
	if p.Listen.Addr().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// connections are what the kernel tracks.
func (w *wire) connections(family byte) ([]answer, error) {
	if err := w.send([]netlink.Message{tracking(ctGet, netlink.Dump, []byte{family, unix.NFNETLINK_V0, 0, 0})}); err != nil {
		return nil, err
	}
	var all []answer
	for {
		answers, err := w.receive()
		if err != nil {
			return nil, err
		}
		for _, a := range answers {
			switch errno := a.errno(); errno {
			case 0:
			case unix.EINVAL, unix.EOPNOTSUPP: // a kernel without nf_conntrack_netlink
				return nil, program.Tolerated{Errno: errno}
			default:
				return nil, fmt.Errorf("asking for tracked connections: %w", errno)
			}
			if a.kind == netlink.Done {
				return all, nil
			}
			all = append(all, a)
		}
	}
}

// led reports whether a tracked connection went to the port, and elsewhere than it leads now.
func (p Port) led(a answer, local []net.Addr) bool {
	number, port := a.attribute(ctOriginal, ctProto, ctNumber), a.attribute(ctOriginal, ctProto, ctDestination)
	if len(number) != 1 || number[0] != unix.IPPROTO_UDP || len(port) != 2 || binary.BigEndian.Uint16(port) != p.Listen.Port() {
		return false
	}
	destination, source := uint16(ctTo4), uint16(ctSource4)
	if p.Listen.Addr().Is6() {
		destination, source = ctTo6, ctSource6
	}
	to, _ := netip.AddrFromSlice(a.attribute(ctOriginal, ctAddresses, destination))
	from, _ := netip.AddrFromSlice(a.attribute(ctReply, ctAddresses, source))
	return from != p.To.Addr() && (to == p.Listen.Addr() || p.Listen.Addr().IsUnspecified() && own(to, local))
}

func own(a netip.Addr, local []net.Addr) bool {
	for _, l := range local {
		if n, ok := l.(*net.IPNet); ok && (n.IP.Equal(a.AsSlice()) || n.IP.IsLoopback() && a.IsLoopback()) {
			return true
		}
	}
	return false
}

// end makes the kernel forget a connection; it may have done so itself meanwhile.
func (w *wire) end(family byte, a answer) error {
	attributes := []netlink.Attribute{{Type: ctOriginal | unix.NLA_F_NESTED, Data: a.attribute(ctOriginal)}}
	if zone := a.attribute(ctZone); zone != nil {
		attributes = append(attributes, netlink.Attribute{Type: ctZone, Data: zone})
	}
	b, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		return err
	}
	_, err = w.ask([]netlink.Message{tracking(ctDelete, netlink.Acknowledge, append([]byte{family, unix.NFNETLINK_V0, 0, 0}, b...))})
	return err
}

func tracking(kind int, flags netlink.HeaderFlags, data []byte) netlink.Message {
	m := question(kind, data)
	m.Header.Type = netlink.HeaderType(unix.NFNL_SUBSYS_CTNETLINK<<8 | kind)
	m.Header.Flags |= flags
	return m
}
