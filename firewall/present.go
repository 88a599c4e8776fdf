package firewall

import (
	"bytes"
	"encoding/binary"

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
	uses, questions := expected()
	replies, err := w.ask(questions)
	if err != nil {
		return false, err
	}
	for i, r := range replies {
		if r.Header.Type == netlink.Error || !bytes.Equal(attribute(r.Data[4:], unix.NFTA_CHAIN_USE), uses[i]) {
			return false, nil
		}
	}
	return true, nil
}

// expected are the questions, and the count that each shall be answered with.
func expected() (uses [][]byte, questions []netlink.Message) {
	for _, t := range tables() {
		for _, c := range t.chains {
			uses = append(uses, binary.BigEndian.AppendUint32(nil, uint32(len(c.rules))+t.leading(c.name)))
			questions = append(questions, t.question(len(questions), c.name))
		}
	}
	return uses, questions
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

func (t *table) question(sequence int, chain string) netlink.Message {
	attributes, _ := netlink.MarshalAttributes([]netlink.Attribute{ // no attribute here is too long
		{Type: unix.NFTA_CHAIN_TABLE, Data: []byte(tableName + "\x00")}, {Type: unix.NFTA_CHAIN_NAME, Data: []byte(chain + "\x00")}})
	return question(unix.NFT_MSG_GETCHAIN, sequence, append([]byte{byte(t.family), unix.NFNETLINK_V0, 0, 0}, attributes...))
}
