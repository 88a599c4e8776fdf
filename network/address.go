package network

import (
	"fmt"
	"net/netip"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// addAddress is the request ip addr add.
func addAddress(p place, a netip.Prefix, on *known, from, why string) program.Request {
	return program.Request{Call: p.typed + "ip addr add " + typedAddress(a) + " dev " + on.name, From: from, Why: why, Do: func() error {
		return changeAddress(p, unix.RTM_NEWADDR, a, on)
	}}
}

// removeAddress is the request ip addr del.
func removeAddress(p place, a netip.Prefix, on *known, from, why string) program.Request {
	return program.Request{Call: p.typed + "ip addr del " + a.String() + " dev " + on.name, From: from, Why: why, Do: func() error {
		return changeAddress(p, unix.RTM_DELADDR, a, on)
	}}
}

// typedAddress adds what is no matter of course: in IPv4 the broadcast address, in IPv6 no duplicate address detection, during which
// the address could not be used for a second. We know who has which.
func typedAddress(a netip.Prefix) string {
	switch {
	case a.Addr().Is6():
		return a.String() + " nodad"
	case a.Bits() < 31:
		return a.String() + " brd +"
	}
	return a.String()
}

func changeAddress(p place, kind int, a netip.Prefix, on *known) error {
	what := fmt.Sprintf("giving %s the address %s", on.name, a)
	if kind == unix.RTM_DELADDR {
		what = fmt.Sprintf("taking the address %s from %s", a, on.name)
	}
	return p.speak(func(s *socket) error {
		index, err := on.number(s)
		if err == nil {
			err = s.change(addressMessage(kind, a, index))
		}
		return refused(what, err)
	})
}

func addressMessage(kind int, a netip.Prefix, index int) message {
	h := nl.NewIfAddrmsg(family(a.Addr()))
	h.Prefixlen, h.Index = uint8(a.Bits()), uint32(index)
	m := message{kind: kind, parts: []nl.NetlinkRequestData{h}}
	m.add(unix.IFA_LOCAL, a.Addr().AsSlice())
	m.add(unix.IFA_ADDRESS, a.Addr().AsSlice())
	if kind == unix.RTM_DELADDR {
		return m
	}
	m.flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	if a.Addr().Is6() {
		h.Flags = unix.IFA_F_NODAD
	} else if a.Bits() < 31 {
		m.add(unix.IFA_BROADCAST, last(a).AsSlice())
	}
	return m
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// addresses asks for those of an interface, each with its subnet's length.
func (s *socket) addresses(index int) ([]netip.Prefix, error) {
	h := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	h.Index = uint32(index)
	answers, err := s.ask(message{kind: unix.RTM_GETADDR, flags: unix.NLM_F_DUMP, parts: []nl.NetlinkRequestData{h}})
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	var out []netip.Prefix
	for _, a := range answers {
		length := int(nl.DeserializeIfAddrmsg(a).Prefixlen)
		f := fields(a[unix.SizeofIfAddrmsg:])
		local, ok := netip.AddrFromSlice(f[unix.IFA_LOCAL])
		if !ok {
			local, ok = netip.AddrFromSlice(f[unix.IFA_ADDRESS]) // all that IPv6 has
		}
		if ok {
			out = append(out, netip.PrefixFrom(local, length))
		}
	}
	return out, nil
}
