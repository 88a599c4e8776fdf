package namespaces

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Address is one of an interface, as it is given back where the interface has gone to.
type Address struct {
	Prefix    netip.Prefix
	Peer      netip.Addr // of a point-to-point interface; otherwise zero
	Broadcast netip.Addr // zero: none
	Flags     uint32     // IFA_F_*, beside those that the kernel sets
}

// kept are the flags of an address that are a wish and no state, rtnetlink(7) and linux/if_addr.h.
const kept = unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN

// addressesOf are those that the spec wants kept: permanent ones of global scope.
func addressesOf(ns *os.File, index int) ([]Address, error) {
	answers, err := ask(ns, unix.RTM_GETADDR, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfAddrmsg))
	if err != nil {
		return nil, err
	}
	var all []Address
	for _, a := range answers {
		if len(a) < unix.SizeofIfAddrmsg || int(binary.NativeEndian.Uint32(a[4:])) != index {
			continue
		}
		values := attributes(a[unix.SizeofIfAddrmsg:])
		flags, scope := uint32(a[2]), a[3]
		if f := values[unix.IFA_FLAGS]; len(f) == 4 {
			flags = binary.NativeEndian.Uint32(f)
		}
		if flags&unix.IFA_F_PERMANENT == 0 || scope != unix.RT_SCOPE_UNIVERSE {
			continue
		}
		all = append(all, address(values, int(a[1]), flags&kept))
	}
	return all, nil
}

func address(values map[uint16][]byte, bits int, flags uint32) Address {
	at, _ := netip.AddrFromSlice(values[unix.IFA_ADDRESS])
	local, ok := netip.AddrFromSlice(values[unix.IFA_LOCAL])
	if !ok {
		local = at // IPv6 without a peer
	}
	a := Address{Prefix: netip.PrefixFrom(local, bits), Flags: flags}
	if at != local {
		a.Peer = at
	}
	a.Broadcast, _ = netip.AddrFromSlice(values[unix.IFA_BROADCAST])
	return a
}

// add gives an interface the address.
func (a Address) add(ns *os.File, index int) error {
	family, at := byte(unix.AF_INET), a.Prefix.Addr()
	if at.Is6() {
		family = unix.AF_INET6
	}
	m := binary.NativeEndian.AppendUint32([]byte{family, byte(a.Prefix.Bits()), 0, unix.RT_SCOPE_UNIVERSE}, uint32(index))
	m = attribute(m, unix.IFA_LOCAL, at.AsSlice())
	if a.Peer.IsValid() {
		at = a.Peer
	}
	m = attribute(m, unix.IFA_ADDRESS, at.AsSlice())
	if a.Broadcast.IsValid() {
		m = attribute(m, unix.IFA_BROADCAST, a.Broadcast.AsSlice())
	}
	m = attribute(m, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, a.Flags))
	_, err := ask(ns, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, m)
	return err
}

// String is the address as ip-address(8) takes it.
func (a Address) String() string {
	s := a.Prefix.String()
	if a.Peer.IsValid() {
		s = a.Prefix.Addr().String() + " peer " + netip.PrefixFrom(a.Peer, a.Prefix.Bits()).String()
	}
	if a.Broadcast.IsValid() {
		s += " broadcast " + a.Broadcast.String()
	}
	return s
}
