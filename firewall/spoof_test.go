package firewall

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	macA = net.HardwareAddr{2, 0x42, 0, 0, 0, 1}
	macB = net.HardwareAddr{2, 0x42, 0, 0, 0, 2}
	wild = net.HardwareAddr{2, 0x66, 0, 0, 0, 9}
)

// frame is one of ethernet; the marker at its end tells it from others.
func frame(from net.HardwareAddr, kind uint16, parts ...[]byte) []byte {
	to := macA
	if bytes.Equal(from, macA) { // a bridge would not send it back by the port that it came from
		to = net.HardwareAddr{255, 255, 255, 255, 255, 255}
	}
	b := append(append([]byte{}, to...), from...)
	b = binary.BigEndian.AppendUint16(b, kind)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func bytesOf(a string) []byte { return netip.MustParseAddr(a).AsSlice() }

// arpFrom says that from has sender: RFC 826.
func arpFrom(from net.HardwareAddr, sender string, marker []byte) []byte {
	return frame(from, unix.ETH_P_ARP, []byte{0, 1, 8, 0, 6, 4, 0, 2}, from, bytesOf(sender), macA, bytesOf("172.30.0.2"), marker)
}

// ip4From is a datagram of UDP: RFC 791.
func ip4From(from net.HardwareAddr, sender string, marker []byte) []byte {
	h := []byte{0x45, 0, 0, byte(28 + len(marker)), 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	h = append(append(h, bytesOf(sender)...), bytesOf("172.30.0.2")...)
	sum := uint32(0)
	for i := 0; i < len(h); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(sum>>16+sum&0xffff))
	return frame(from, unix.ETH_P_IP, h, []byte{0, 9, 0, 9, 0, byte(8 + len(marker)), 0, 0}, marker)
}

// ip6From is a datagram of UDP: RFC 8200.
func ip6From(from net.HardwareAddr, sender string, marker []byte) []byte {
	h := []byte{0x60, 0, 0, 0, 0, byte(8 + len(marker)), unix.IPPROTO_UDP, 64}
	return frame(from, unix.ETH_P_IPV6, h, bytesOf(sender), bytesOf("fd30::2"), []byte{0, 9, 0, 9, 0, byte(8 + len(marker)), 0, 0}, marker)
}

// advertised says that from has spoken, as fe80::9: RFC 4861.
func advertised(from net.HardwareAddr, spoken string, marker []byte) []byte {
	h := []byte{0x60, 0, 0, 0, 0, byte(24 + len(marker)), unix.IPPROTO_ICMPV6, 255}
	return frame(from, unix.ETH_P_IPV6, h, bytesOf("fe80::9"), bytesOf("fd30::2"), []byte{136, 0, 0, 0, 0x20, 0, 0, 0}, bytesOf(spoken), marker)
}

func (s *space) packets(t *testing.T) (fd int, index int) {
	t.Helper()
	s.do(t, func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		index = link.Index
		all := uint16(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00)
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	})
	t.Cleanup(func() { unix.Close(fd) })
	return fd, index
}

// spoofed has b send to a what carries others' addresses; a must not see it. What carries b's own, or nobody's, arrives.
func (w *town) spoofed(t *testing.T) {
	send, index := w.containers["b"].packets(t)
	receive, _ := w.containers["a"].packets(t)
	unix.SetsockoptTimeval(receive, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 150000})
	type kind func(net.HardwareAddr, string, []byte) []byte
	marker := byte(0)
	arrives := func(k kind, mac net.HardwareAddr, a string) bool {
		marker++
		mine := []byte{'g', 'l', 'a', 's', 's', 'b', 'o', 'x', marker, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		if err := unix.Sendto(send, k(mac, a, mine), 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2000)
		for end := time.Now().Add(150 * time.Millisecond); time.Now().Before(end); {
			if n, err := unix.Read(receive, b); err == nil && bytes.Contains(b[:n], mine[:9]) {
				return true
			}
		}
		return false
	}
	cases := []struct {
		what    string
		kind    kind
		mac     net.HardwareAddr
		address string
		want    bool
	}{
		{"its own ARP", arpFrom, macB, "172.30.0.3", true},
		{"ARP for an address that nobody has", arpFrom, macB, "172.30.0.99", true},
		{"ARP for another network's", arpFrom, macB, "172.31.0.2", true},
		{"ARP for a's", arpFrom, macB, "172.30.0.2", false},
		{"ARP for the gateway's", arpFrom, macB, "172.30.0.1", false},
		{"its own IPv4", ip4From, macB, "172.30.0.3", true},
		{"IPv4 that it routes", ip4From, macB, "172.31.0.2", true},
		{"a's IPv4", ip4From, macB, "172.30.0.2", false},
		{"the gateway's IPv4", ip4From, macB, "172.30.0.1", false},
		{"its own IPv6", ip6From, macB, "fd30::3", true},
		{"IPv6 that nobody has", ip6From, macB, "fd30::77", true},
		{"a's IPv6", ip6From, macB, "fd30::2", false},
		{"the gateway's IPv6", ip6From, macB, "fd30::1", false},
		{"its own advertisement", advertised, macB, "fd30::3", true},
		{"an advertisement of a's", advertised, macB, "fd30::2", false},
		{"an advertisement of the gateway's", advertised, macB, "fd30::1", false},
		{"a hardware address that nobody has", ip4From, wild, "172.30.0.3", true},
		{"a's hardware address", ip4From, macA, "172.30.0.3", false},
	}
	for _, c := range cases {
		if got := arrives(c.kind, c.mac, c.address); got != c.want {
			t.Errorf("%s: arrives: %v", c.what, got)
		}
	}
	// Without the rules all of them would.
	w.host.feed(t, "flush chain bridge glassbox sender")
	for _, c := range cases {
		if !arrives(c.kind, c.mac, c.address) {
			t.Errorf("%s: does not arrive without our rules either", c.what)
		}
	}
	// Now a's neighbours are poisoned, and the bridge has a where b is.
	w.containers["a"].run(t, "ip neigh flush dev eth0; ip -6 neigh flush dev eth0")
	w.containers["a"].ask("tcp", "10.9.0.2:7")
}
