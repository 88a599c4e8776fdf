package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nftGates are the base chains of nftables where packets are forwarded, ours left out.
func nftGates(errs *[]error) ([]*gate, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	chains, err := c.ListChains()
	if err != nil {
		return nil, fmt.Errorf("listing the chains of nftables: %w", err)
	}
	var gates []*gate
	for _, ch := range chains {
		if !forwards(ch) {
			continue
		}
		f := &foreignTable{conn: c, table: ch.Table, errs: errs, sets: map[string][]nftables.SetElement{}, rules: map[string][]foreign{}}
		g := &gate{where: fmt.Sprintf("table %s %s", families[ch.Table.Family], ch.Table.Name), table: ch.Table.Name, chain: ch.Name,
			family: byte(ch.Table.Family), drops: ch.Policy != nil && *ch.Policy == nftables.ChainPolicyDrop, rules: f.rulesOf}
		for _, other := range chains {
			if *other.Table == *ch.Table {
				g.chains = append(g.chains, other.Name)
			}
		}
		gates = append(gates, g)
	}
	return gates, nil
}

func forwards(c *nftables.Chain) bool {
	switch c.Table.Family {
	case nftables.TableFamilyINet, nftables.TableFamilyIPv4, nftables.TableFamilyIPv6:
		return c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward && c.Table.Name != tableName
	}
	return false
}

// foreignTable reads rules and sets as they are needed.
type foreignTable struct {
	conn  *nftables.Conn
	table *nftables.Table
	sets  map[string][]nftables.SetElement
	rules map[string][]foreign
	errs  *[]error
}

func (f *foreignTable) rulesOf(chain string) []foreign {
	if all, known := f.rules[chain]; known {
		return all
	}
	rules, err := f.conn.GetRules(f.table, &nftables.Chain{Name: chain, Table: f.table})
	if err != nil {
		*f.errs = append(*f.errs, fmt.Errorf("reading chain %s of table %s: %w", chain, f.table.Name, err))
	}
	var all []foreign
	for _, r := range rules {
		all = append(all, func(p passer) (certainty, bool, deed) {
			j := judge{table: f, p: p, match: yes}
			for _, e := range r.Exprs {
				j.see(e)
			}
			return j.match, j.named, j.deed
		})
	}
	f.rules[chain] = all
	return all
}

func (f *foreignTable) elements(set string) []nftables.SetElement {
	if all, known := f.sets[set]; known {
		return all
	}
	all, err := f.conn.GetSetElements(&nftables.Set{Table: f.table, Name: set})
	if err != nil {
		*f.errs = append(*f.errs, fmt.Errorf("reading set %s of table %s: %w", set, f.table.Name, err))
	}
	f.sets[set] = all
	return all
}

// judge executes one rule for a packet of which not everything is known.
type judge struct {
	table *foreignTable
	p     passer
	words [20]quarter // the kernel's registers
	match certainty
	named bool
	deed  deed
}

// quarter is four bytes of a register.
type quarter struct {
	bytes [4]byte
	known bool
	ours  bool // the bridge's name or index
}

func (j *judge) see(e expr.Any) {
	switch e := e.(type) {
	case *expr.Meta:
		if !e.SourceRegister {
			value, ours := j.meta(e.Key)
			j.load(e.Register, value, 16, ours)
		}
	case *expr.Ct:
		if !e.SourceRegister {
			j.load(e.Register, j.connection(e.Key), 16, false)
		}
	case *expr.Immediate:
		j.load(e.Register, e.Data, len(e.Data), false)
	case *expr.Payload:
		j.load(e.DestRegister, nil, 16, false)
	case *expr.Bitwise:
		j.mask(e)
	case *expr.Cmp:
		j.compare(e)
	case *expr.Lookup:
		j.lookup(e)
	case *expr.Verdict:
		j.deed = deedOf(e)
	case *expr.Reject:
		j.deed = deed{kind: drops}
	case *expr.Target:
		if e.Name == "REJECT" {
			j.deed = deed{kind: drops}
		}
	case *expr.Match:
		if e.Name != "comment" {
			j.atMost(perhaps)
		}
	case *expr.Counter, *expr.Log, *expr.FlowOffload, *expr.SecMark, *expr.CtHelper, *expr.CtTimeout:
	default:
		// Conditions that depend on what we do not know: limits, quotas, fib, ranges.
		j.atMost(perhaps)
	}
}

func (j *judge) atMost(a certainty) { j.match = min(j.match, a) }

// place is the register's first quarter, whichever way it is numbered.
func place(register uint32) int {
	if register >= unix.NFT_REG32_00 {
		return int(register - unix.NFT_REG32_00)
	}
	return int(register-1) * 4
}

// load fills a register; a value that is not known makes all that it could fill unknown.
func (j *judge) load(register uint32, value []byte, size int, ours bool) {
	for i := place(register); size > 0 && i >= 0 && i < len(j.words); i, size = i+1, size-4 {
		q := quarter{known: len(value) > 0, ours: ours}
		n := copy(q.bytes[:], value)
		value = value[n:]
		if j.words[i] = q; q.known && len(value) == 0 {
			return
		}
	}
}

// read takes a value out of registers; nil when it is not known.
func (j *judge) read(register uint32, size int) (value []byte, ours bool) {
	for i := place(register); len(value) < size; i++ {
		if i < 0 || i >= len(j.words) || !j.words[i].known {
			return nil, false
		}
		value, ours = append(value, j.words[i].bytes[:]...), ours || j.words[i].ours
	}
	return value[:size], ours
}

func (j *judge) meta(key expr.MetaKey) (value []byte, ours bool) {
	switch key {
	case expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME, expr.MetaKeyIIF, expr.MetaKeyOIF:
		link := j.p.in
		if key == expr.MetaKeyOIFNAME || key == expr.MetaKeyOIF {
			link = j.p.out
		}
		return interfaceValue(link, key == expr.MetaKeyIIF || key == expr.MetaKeyOIF), link == j.p.bridge
	case expr.MetaKeyNFPROTO:
		return []byte{j.p.family}, false
	}
	return nil, false
}

func interfaceValue(link string, index bool) []byte {
	if link == "" {
		return nil
	}
	if !index {
		return name(link).bytes
	}
	i, err := net.InterfaceByName(link)
	if err != nil {
		return nil
	}
	return binary.NativeEndian.AppendUint32(nil, uint32(i.Index))
}

// connection is what conntrack says of a connection's first packet.
func (j *judge) connection(key expr.CtKey) []byte {
	switch {
	case key == expr.CtKeySTATE:
		return binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW)
	case key == expr.CtKeySTATUS && j.p.dnat:
		return binary.NativeEndian.AppendUint32(nil, 0x20) // IPS_DST_NAT
	case key == expr.CtKeySTATUS:
		return make([]byte, 4)
	}
	return nil
}

func (j *judge) mask(e *expr.Bitwise) {
	value, ours := j.read(e.SourceRegister, int(e.Len))
	if value == nil || len(e.Mask) < len(value) || len(e.Xor) < len(value) {
		j.load(e.DestRegister, nil, int(e.Len), false)
		return
	}
	for i := range value {
		value[i] = value[i]&e.Mask[i] ^ e.Xor[i]
	}
	j.load(e.DestRegister, value, len(value), ours)
}

// compare answers perhaps where it compares what is not known. Shorter data than the register's are a prefix: "eth*".
func (j *judge) compare(e *expr.Cmp) {
	value, ours := j.read(e.Register, len(e.Data))
	if value == nil {
		j.atMost(perhaps)
		return
	}
	order := bytes.Compare(value, e.Data)
	holds := map[expr.CmpOp]bool{expr.CmpOpEq: order == 0, expr.CmpOpNeq: order != 0, expr.CmpOpLt: order < 0, expr.CmpOpLte: order <= 0,
		expr.CmpOpGt: order > 0, expr.CmpOpGte: order >= 0}[e.Op]
	if !holds {
		j.atMost(no)
	}
	j.named = j.named || ours && order == 0 && e.Op == expr.CmpOpEq
}

// lookup asks a set, or a map of verdicts.
func (j *judge) lookup(e *expr.Lookup) {
	elements := j.table.elements(e.SetName)
	if len(elements) == 0 {
		if !e.Invert {
			j.atMost(no)
		}
		return
	}
	value, ours := j.read(e.SourceRegister, len(elements[0].Key))
	if value == nil {
		j.atMost(perhaps)
		return
	}
	found := holding(elements, value)
	switch {
	case (found != nil) == e.Invert:
		j.atMost(no)
	case e.IsDestRegSet && e.DestRegister == unix.NFT_REG_VERDICT:
		j.deed = deedOf(verdictIn(found.Val))
	case e.IsDestRegSet:
		j.load(e.DestRegister, found.Val, len(found.Val), false)
	}
	j.named = j.named || ours && found != nil && !e.Invert
}

// holding finds the element of a value: equal, or of a set of intervals the last start that is not behind it.
func holding(elements []nftables.SetElement, value []byte) *nftables.SetElement {
	intervals := false
	var below *nftables.SetElement
	for i, e := range elements {
		intervals = intervals || e.IntervalEnd
		if bytes.Equal(e.Key, value) && !e.IntervalEnd {
			return &elements[i]
		}
		if bytes.Compare(e.Key, value) <= 0 && (below == nil || bytes.Compare(below.Key, e.Key) <= 0) {
			below = &elements[i]
		}
	}
	if !intervals || below == nil || below.IntervalEnd {
		return nil
	}
	return below
}

// verdictIn decodes the verdict of a map's element: NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN.
func verdictIn(b []byte) *expr.Verdict {
	v := &expr.Verdict{}
	d, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return v
	}
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_VERDICT_CODE:
			if code := d.Bytes(); len(code) == 4 {
				v.Kind = expr.VerdictKind(int32(binary.BigEndian.Uint32(code)))
			}
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = d.String()
		}
	}
	return v
}

func deedOf(v *expr.Verdict) deed {
	kinds := map[expr.VerdictKind]deedKind{expr.VerdictAccept: accepts, expr.VerdictDrop: drops, expr.VerdictReturn: returns,
		expr.VerdictJump: jumps, expr.VerdictGoto: goes}
	return deed{kinds[v.Kind], v.Chain}
}
