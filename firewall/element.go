package firewall

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// datum is a value in an element, as nft prints it and as the kernel compares it.
type datum struct {
	text  string
	bytes []byte
}

func name(n string) datum {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, n)
	return datum{fmt.Sprintf("%q", n), b}
}

func address(a netip.Addr) datum { return datum{a.WithZone("").String(), a.AsSlice()} }

func spoken(a netip.Addr) datum { return datum{fmt.Sprintf("0x%032x", a.AsSlice()), a.AsSlice()} }

func protocolName(p string) datum {
	numbers := map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}
	return datum{p, []byte{numbers[p]}}
}

func service(port uint16) datum {
	return datum{fmt.Sprint(port), binary.BigEndian.AppendUint16(nil, port)}
}

func hardware(mac net.HardwareAddr) datum { return datum{mac.String(), mac} }

// number is of the host's byte order, as marks are.
func number(n uint32) datum {
	return datum{fmt.Sprintf("0x%08x", n), binary.NativeEndian.AppendUint32(nil, n)}
}

// element is one of a set's or map's. An interval has a prefix for its key.
type element struct {
	set    *set
	key    []datum
	prefix netip.Prefix
	value  []datum
	part   *element // of that one: it goes only with it
}

func (e element) words() string {
	words := phrase(e.key)
	if e.prefix.IsValid() {
		words = e.prefix.Masked().String()
	}
	if e.value != nil {
		words += " : " + phrase(e.value)
	}
	return words
}

func (e element) same(f element) bool { return e.set == f.set && e.words() == f.words() }

func phrase(data []datum) string {
	var words []string
	for _, d := range data {
		words = append(words, d.text)
	}
	return strings.Join(words, " . ")
}

// packed are data side by side, each filled up to a quarter of a register.
func packed(data []datum) []byte {
	var b []byte
	for _, d := range data {
		b = append(b, d.bytes...)
		b = append(b, make([]byte, -len(b)&3)...)
	}
	return b
}

// nft is the element as the kernel gets it: of an interval the first address, and the first behind it.
func (e element) nft() []nftables.SetElement {
	if !e.prefix.IsValid() {
		return []nftables.SetElement{{Key: packed(e.key), Val: packed(e.value)}}
	}
	first := e.prefix.Masked().Addr()
	both := []nftables.SetElement{{Key: first.AsSlice(), Val: packed(e.value)}}
	if behind := last(e.prefix).Next(); behind.IsValid() {
		both = append(both, nftables.SetElement{Key: behind.AsSlice(), IntervalEnd: true})
	}
	return both
}

func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
