package firewall

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// clause is a part of a rule, as nft would have it typed and as the kernel gets it.
type clause struct {
	text  string
	need  string // a protocol: nft asks for it once, before the first clause that needs it
	exprs []expr.Any
}

// is matches what the set holds.
func is(s *set, fields ...field) clause { return lookup(s, fields, false) }

// isnt matches what the set does not hold.
func isnt(s *set, fields ...field) clause { return lookup(s, fields, true) }

func lookup(s *set, fields joined, invert bool) clause {
	not := ""
	if invert {
		not = "!= "
	}
	return clause{fmt.Sprintf("%s %s@%s", fields, not, s.name), fields.need(),
		append(fields.load(), &expr.Lookup{SourceRegister: 1, SetName: s.name, SetID: s.id, Invert: invert})}
}

// within matches addresses of a prefix. A mask of whole bytes is compared without one, as nft does it.
func within(f field, prefix string) clause {
	p := netip.MustParsePrefix(prefix)
	c := clause{text: f.text + " " + prefix, need: f.need}
	if p.IsSingleIP() {
		c.text = f.text + " " + p.Addr().String()
	}
	load := f.load(1).(*expr.Payload)
	value := p.Addr().AsSlice()
	c.exprs = []expr.Any{load}
	if p.Bits()%8 == 0 {
		load.Len = uint32(p.Bits() / 8)
		value = value[:load.Len]
	} else {
		mask := make([]byte, len(value))
		for i := range p.Bits() {
			mask[i/8] |= 0x80 >> (i % 8)
		}
		c.exprs = append(c.exprs, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: load.Len, Mask: mask, Xor: make([]byte, len(value))})
	}
	c.exprs = append(c.exprs, equals(value))
	return c
}

func equals(value []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value} }

// notLoopback matches what did not come in by lo.
func notLoopback() clause {
	return clause{text: `iifname != "lo"`, exprs: []expr.Any{iifname.load(1), &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: name("lo").bytes}}}
}

// toThisHost matches addresses that are the host's own: ip_route_output's RTN_LOCAL.
func toThisHost() clause {
	return clause{text: "fib daddr type local", exprs: []expr.Any{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}, equals(binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL))}}
}

func bits(text string, key expr.CtKey, mask uint32) clause {
	zero := make([]byte, 4)
	return clause{text: text, exprs: []expr.Any{
		&expr.Ct{Key: key, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binary.NativeEndian.AppendUint32(nil, mask), Xor: zero},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: zero}}}
}

// known matches packets of connections that were let through before.
func known() clause {
	return bits("ct state established,related", expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
}

// redirected matches packets of connections whose destination was changed by dnat: IPS_DST_NAT.
func redirected() clause { return bits("ct status dnat", expr.CtKeySTATUS, 0x20) }

// advertisement matches neighbour advertisements of IPv6: RFC 4861.
func advertisement() clause {
	return clause{text: "icmpv6 type nd-neighbor-advert", need: "ether ip6", exprs: []expr.Any{
		l4proto.load(1), equals([]byte{unix.IPPROTO_ICMPV6}),
		payload("", transport, 0, 1, nftables.TypeICMP6Type, "").load(1), equals([]byte{136})}}
}

func verdict(text string, kind expr.VerdictKind, chain string) clause {
	return clause{text: text, exprs: []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}}
}

func drop() clause   { return verdict("drop", expr.VerdictDrop, "") }
func accept() clause { return verdict("accept", expr.VerdictAccept, "") }
func back() clause   { return verdict("return", expr.VerdictReturn, "") }
func follow(chain string) clause {
	return verdict("goto "+chain, expr.VerdictGoto, chain)
}

// dnat sends the packet to the address and port that the map has for it.
func dnat(family string, m *set, fields ...field) clause { return nat("dnat", family, m, fields) }

// snat gives the packet the source address that the map has for it.
func snat(family string, m *set, fields ...field) clause { return nat("snat", family, m, fields) }

func nat(kind, family string, m *set, fields joined) clause {
	e := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}
	if kind == "snat" {
		e.Type = expr.NATTypeSourceNAT
	}
	if family == "ip6" {
		e.Family = unix.NFPROTO_IPV6
	}
	if len(m.value) > 1 {
		e.RegProtoMin = word(m.value[0].typ.Bytes / 4)
	}
	find := &expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: m.name, SetID: m.id}
	return clause{fmt.Sprintf("%s %s to %s map @%s", kind, family, fields, m.name), fields.need(), append(fields.load(), find, e)}
}

// masquerade gives the packet the address of the interface by which it leaves.
func masquerade() clause { return clause{text: "masquerade", exprs: []expr.Any{&expr.Masq{}}} }

// marked notes on the packet what the map has for it.
func marked(m *set, f field) clause {
	return clause{fmt.Sprintf("meta mark set %s map @%s", f.text, m.name), "", []expr.Any{f.load(1),
		&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: m.name, SetID: m.id},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}}
}

// unmarked takes the note off.
func unmarked() clause {
	return clause{text: "meta mark set 0x00000000", exprs: []expr.Any{&expr.Immediate{Register: 1, Data: make([]byte, 4)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}}
}

// exprs is the rule as the kernel gets it in a table of that family: the clauses, and before the first that needs a
// protocol the question whether the packet is of it.
func (r rule) exprs(family nftables.TableFamily) []expr.Any {
	var all []expr.Any
	asked := map[string]bool{"": true}
	for _, c := range r.clauses {
		if !asked[c.need] {
			all = append(all, protocol(c.need, family)...)
			asked[c.need] = true
		}
		all = append(all, c.exprs...)
	}
	return all
}

// protocol is how nft asks for one: by the family of the hook in inet, by the frame's type in bridge, not at all where the table has but one.
func protocol(need string, family nftables.TableFamily) []expr.Any {
	numbers := map[string]struct {
		family byte
		ether  uint16
	}{"ip": {unix.NFPROTO_IPV4, unix.ETH_P_IP}, "ip6": {unix.NFPROTO_IPV6, unix.ETH_P_IPV6}, "ether ip6": {0, unix.ETH_P_IPV6}, "arp": {0, unix.ETH_P_ARP}}
	n := numbers[need]
	ether := equals(binary.BigEndian.AppendUint16(nil, n.ether))
	switch {
	case family == nftables.TableFamilyINet:
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equals([]byte{n.family})}
	case family == nftables.TableFamilyBridge && n.family != 0:
		return []expr.Any{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, ether}
	case family == nftables.TableFamilyBridge:
		return []expr.Any{payload("", link, 12, 2, nftables.TypeEtherType, "").load(1), ether}
	}
	return nil
}
