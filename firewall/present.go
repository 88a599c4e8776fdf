package firewall

import (
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
	if err := w.send(questions); err != nil {
		return false, err
	}
	seen := 0
	for seen < len(questions) {
		messages, err := w.receive()
		if err != nil {
			return false, err
		}
		for _, m := range messages {
			seen++
			if m.Header.Type == netlink.Error {
				if e := errnoOf(m); e != unix.ENOENT {
					return false, e
				}
				uses[m.Header.Sequence] = ^uint32(0)
			} else if useOf(m) == uses[m.Header.Sequence] {
				delete(uses, m.Header.Sequence)
			}
		}
	}
	return len(uses) == 0, nil
}

// expected are the questions, and the count that each shall be answered with.
func expected() (map[uint32]uint32, []netlink.Message) {
	uses := map[uint32]uint32{}
	var questions []netlink.Message
	for _, t := range tables() {
		for _, c := range t.chains {
			n := uint32(len(questions))
			uses[n] = uint32(len(c.rules)) + t.leading(c.name)
			questions = append(questions, t.question(n, c.name))
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

func (t *table) question(sequence uint32, chain string) netlink.Message {
	attributes, _ := netlink.MarshalAttributes([]netlink.Attribute{ // no attribute here is too long
		{Type: unix.NFTA_CHAIN_TABLE, Data: []byte(tableName + "\x00")}, {Type: unix.NFTA_CHAIN_NAME, Data: []byte(chain + "\x00")}})
	data := append([]byte{byte(t.family), unix.NFNETLINK_V0, 0, 0}, attributes...)
	return netlink.Message{Data: data, Header: netlink.Header{
		Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETCHAIN, Flags: netlink.Request, Sequence: sequence, Length: uint32(unix.SizeofNlMsghdr + len(data))}}
}

func useOf(m netlink.Message) uint32 {
	d, err := netlink.NewAttributeDecoder(m.Data[4:])
	if err != nil {
		return 0
	}
	for d.Next() {
		if d.Type() == unix.NFTA_CHAIN_USE {
			return binary.BigEndian.Uint32(d.Bytes())
		}
	}
	return 0
}
