package network

import (
	"crypto/sha256"
	"errors"
	"iter"
	"net/netip"
	"slices"
)

// Pool is a range from which subnets of one size are cut.
type Pool struct {
	Base netip.Prefix
	Size int // prefix length of a subnet
}

// DefaultPools are Docker's.
func DefaultPools() []Pool {
	p := netip.MustParsePrefix
	return []Pool{
		{p("172.17.0.0/16"), 16}, {p("172.18.0.0/16"), 16}, {p("172.19.0.0/16"), 16},
		{p("172.20.0.0/14"), 16}, {p("172.24.0.0/14"), 16}, {p("172.28.0.0/14"), 16},
		{p("192.168.0.0/16"), 20},
	}
}

// UniqueLocalPool is where IPv6 subnets come from when none is named: RFC 4193's unique local addresses, with a global id that an
// id of this host stands for, as Docker derives it.
func UniqueLocalPool(id string) Pool {
	sum := sha256.Sum256([]byte(id))
	base := [16]byte{0xfd}
	copy(base[1:6], sum[3:8])
	return Pool{netip.PrefixFrom(netip.AddrFrom16(base), 48), 64}
}

// ErrExhausted says that no subnet or address is free.
var ErrExhausted = errors.New("none is free")

// Free returns the first subnet of the pools that overlaps none of those taken.
func Free(pools []Pool, taken []netip.Prefix) (netip.Prefix, error) {
	for _, p := range pools {
		if s, ok := p.free(taken); ok {
			return s, nil
		}
	}
	return netip.Prefix{}, ErrExhausted
}

// free goes once through what is taken, in order, and past each that is in the way.
func (p Pool) free(taken []netip.Prefix) (netip.Prefix, bool) {
	var inside []netip.Prefix
	for _, t := range taken {
		if t.Overlaps(p.Base) {
			inside = append(inside, t.Masked())
		}
	}
	slices.SortFunc(inside, netip.Prefix.Compare)
	next := netip.PrefixFrom(p.Base.Masked().Addr(), p.Size)
	for _, t := range inside {
		if t.Overlaps(next) {
			next = netip.PrefixFrom(last(wider(t, next)).Next(), p.Size)
		}
		if !next.Addr().IsValid() || !p.Base.Contains(next.Addr()) {
			return netip.Prefix{}, false
		}
	}
	return next, true
}

func wider(a, b netip.Prefix) netip.Prefix {
	if a.Bits() < b.Bits() {
		return a
	}
	return b
}

// last is the highest address of a prefix: in IPv4 that of broadcasts.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// Candidates yields the addresses of a subnet that hosts may have, in order, from within (which may be the whole subnet, or
// --ip-range): without network and broadcast address in IPv4 (but both of a /31, RFC 3021), without the all-zero one in IPv6,
// which stands for any router (RFC 4291).
func Candidates(subnet, within netip.Prefix) iter.Seq[netip.Addr] {
	subnet, within = subnet.Masked(), within.Masked()
	first, end := subnet.Addr(), last(subnet)
	small := subnet.Addr().Is4() && subnet.Bits() >= 31
	return func(yield func(netip.Addr) bool) {
		for a := within.Addr(); a.IsValid() && within.Contains(a); a = a.Next() {
			if !small && (a == first || a.Is4() && a == end) || !subnet.Contains(a) {
				continue
			}
			if !yield(a) {
				return
			}
		}
	}
}
