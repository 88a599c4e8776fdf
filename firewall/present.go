package firewall

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Present reports whether the table is there with all its chains, sets and rules. It asks for each chain how often it is used, which the
// kernel counts: once for each of its rules, and once for each that leads to it. A set that a rule names cannot be deleted.
func Present() (bool, error) {
	w, err := dial()
	if err != nil {
		return false, err
	}
	defer w.Close()
	var all []expectation
	for _, t := range tables() {
		all = append(all, t.expectations()...)
	}
	var questions []netlink.Message
	for _, e := range all {
		questions = append(questions, question(e.kind, e.data))
	}
	answers, err := w.ask(questions)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(answers, func(a answer) bool { return !all[a.to].met(a) }), nil
}

// expectation is a question, and what attributes the answer must have.
type expectation struct {
	kind int
	data []byte
	want map[uint16]uint32
}

func (e expectation) met(a answer) bool {
	for kind, n := range e.want {
		if !bytes.Equal(a.attribute(kind), binary.BigEndian.AppendUint32(nil, n)) {
			return false
		}
	}
	return true
}

func (t *table) expectations() []expectation {
	all := []expectation{{unix.NFT_MSG_GETTABLE, t.called(unix.NFTA_TABLE_NAME), map[uint16]uint32{unix.NFTA_TABLE_FLAGS: 0}}} // not dormant
	for _, c := range t.chains {
		want := map[uint16]uint32{unix.NFTA_CHAIN_USE: uint32(len(c.rules)) + t.leading(c.name)}
		if c.hook != nil {
			want[unix.NFTA_CHAIN_POLICY] = uint32(nftables.ChainPolicyAccept)
		}
		all = append(all, expectation{unix.NFT_MSG_GETCHAIN, append(t.called(unix.NFTA_CHAIN_TABLE), text(unix.NFTA_CHAIN_NAME, c.name)...), want})
	}
	return all
}

// called begins a message about the table.
func (t *table) called(kind uint16) []byte {
	return append([]byte{byte(t.family), unix.NFNETLINK_V0, 0, 0}, text(kind, tableName)...)
}

// text is an attribute: names are far shorter than what one can hold.
func text(kind uint16, value string) []byte {
	b, _ := netlink.MarshalAttributes([]netlink.Attribute{{Type: kind, Data: []byte(value + "\x00")}})
	return b
}

// leading counts the rules that go to a chain.
func (t *table) leading(chain string) uint32 {
	n := uint32(0)
	for _, c := range t.chains {
		for _, r := range c.rules {
			for _, cl := range r.clauses {
				if v, ok := cl.exprs[0].(*expr.Verdict); ok && v.Chain == chain {
					n++
				}
			}
		}
	}
	return n
}
