package firewall

import (
	"encoding/binary"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// field is something of a packet that rules look at.
type field struct {
	text string
	typ  nftables.SetDatatype
	load func(register uint32) expr.Any
	need string // the protocol without which the packet does not have it
	raw  bool   // nft 1.0.6 has no name for it, so that sets of it are declared by typeof
	note []byte // how nft finds the expression again of which a set was declared by typeof: libnftnl's udata
}

// The registers of the kernel are 16 bytes wide and can be used in quarters: nft_parse_register. word is the n-th quarter; what begins
// a whole one goes by the old number, as nft writes it.
func word(n uint32) uint32 {
	if n%4 == 0 {
		return unix.NFT_REG_1 + n/4
	}
	return unix.NFT_REG32_00 + n
}

func meta(text string, key expr.MetaKey, typ nftables.SetDatatype, note uint32) field {
	return field{text: text, typ: typ, load: func(r uint32) expr.Any { return &expr.Meta{Key: key, Register: r} },
		note: metaNote(note)}
}

func payload(text string, base expr.PayloadBase, offset, length uint32, typ nftables.SetDatatype, need string) field {
	return field{text: text, typ: typ, need: need, load: func(r uint32) expr.Any {
		return &expr.Payload{OperationType: expr.PayloadLoad, DestRegister: r, Base: base, Offset: offset, Len: length}
	}}
}

const (
	link      = expr.PayloadBaseLLHeader
	network   = expr.PayloadBaseNetworkHeader
	transport = expr.PayloadBaseTransportHeader
)

// The names are nft's; the offsets are those of the headers: ethernet, RFC 791, RFC 8200, RFC 826, RFC 4861.
var (
	iifname    = meta("iifname", expr.MetaKeyIIFNAME, nftables.TypeIFName, unix.NFT_META_IIFNAME)
	oifname    = meta("oifname", expr.MetaKeyOIFNAME, nftables.TypeIFName, unix.NFT_META_OIFNAME)
	mark       = meta("meta mark", expr.MetaKeyMARK, nftables.TypeMark, unix.NFT_META_MARK)
	l4proto    = meta("meta l4proto", expr.MetaKeyL4PROTO, nftables.TypeInetProto, unix.NFT_META_L4PROTO)
	etherSaddr = payload("ether saddr", link, 6, 6, nftables.TypeEtherAddr, "")
	arpSaddr   = payload("arp saddr ip", network, 14, 4, nftables.TypeIPAddr, "arp")
	ipSaddr    = payload("ip saddr", network, 12, 4, nftables.TypeIPAddr, "ip")
	ipDaddr    = payload("ip daddr", network, 16, 4, nftables.TypeIPAddr, "ip")
	ip6Saddr   = payload("ip6 saddr", network, 8, 16, nftables.TypeIP6Addr, "ip6")
	ip6Daddr   = payload("ip6 daddr", network, 24, 16, nftables.TypeIP6Addr, "ip6")
	dport      = payload("th dport", transport, 2, 2, nftables.TypeInetService, "")
	target     = rawTarget() // the address that a neighbour advertisement speaks of
)

func rawTarget() field {
	f := payload("@th,64,128", transport, 8, 16, nftables.TypeInteger, "")
	f.raw, f.typ.Bytes = true, 16
	// payload_expr_build_udata: no protocol; base transport, offset and length in bits
	f.note = typeNote(7, [][2]uint32{{0, 0}, {1, 0}, {2, 3}, {3, 64}, {4, 128}})
	return f
}

// metaNote is meta_expr_build_udata of nft.
func metaNote(key uint32) []byte { return typeNote(9, [][2]uint32{{0, key}}) }

func typeNote(kind uint32, values [][2]uint32) []byte {
	var inner []byte
	for _, v := range values {
		inner = appendNumber(inner, byte(v[0]), v[1])
	}
	return nested(kind, inner)
}

// nested is an expression's kind (enum expr_types of nft) and what there is to know of it.
func nested(kind uint32, inner []byte) []byte {
	return append(append(appendNumber(nil, 0, kind), 1, byte(len(inner))), inner...)
}

// note is concat_expr_build_udata.
func (j joined) note() []byte {
	var parts []byte
	for i, f := range j {
		parts = append(append(parts, byte(i), byte(len(f.note))), f.note...)
	}
	return nested(13, parts)
}

func appendNumber(b []byte, tag byte, n uint32) []byte {
	return binary.NativeEndian.AppendUint32(append(b, tag, 4), n)
}

// joined are several fields side by side, as nft's concatenation: each begins a quarter of a register.
type joined []field

func (j joined) String() string {
	var words []string
	for _, f := range j {
		words = append(words, f.text)
	}
	return strings.Join(words, " . ")
}

func (j joined) datatype() nftables.SetDatatype {
	if len(j) == 1 {
		return j[0].typ
	}
	var types []nftables.SetDatatype
	for _, f := range j {
		types = append(types, f.typ)
	}
	return nftables.MustConcatSetType(types...)
}

// load puts the fields into registers from the first on.
func (j joined) load() []expr.Any {
	var loads []expr.Any
	at := uint32(0)
	for _, f := range j {
		loads = append(loads, f.load(word(at)))
		at += (f.typ.Bytes + 3) / 4
	}
	return loads
}

func (j joined) need() string {
	for _, f := range j {
		if f.need != "" {
			return f.need
		}
	}
	return ""
}

// byteOrder is nft's: 1 the host's, 2 the network's, 0 none, which concatenations have.
func (j joined) byteOrder() uint32 {
	switch {
	case len(j) > 1:
		return 0
	case j[0].typ == nftables.TypeIFName || j[0].typ == nftables.TypeMark:
		return 1
	}
	return 2
}
