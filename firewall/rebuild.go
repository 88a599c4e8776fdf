package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"glassbox/program"
)

// Rebuild makes the table anew, with all it shall hold, in one transaction.
func Rebuild(d Desired) program.Request {
	elements := d.elements()
	text := gone()
	for _, t := range tables() {
		text += t.script(elements)
	}
	return program.Request{
		Call: text,
		Why:  "one table tells what our bridges may do; it is replaced as a whole, so that no packet meets half of it",
		Do:   func() error { return replace(func(c *nftables.Conn) error { return writeTables(c, elements) }) },
	}
}

// Remove takes the table away, if it is there.
func Remove() program.Request {
	return program.Request{
		Call: gone(),
		Why:  "without networks there is nothing to judge",
		Do:   func() error { return replace(func(c *nftables.Conn) error { return forget(c, tables()) }) },
	}
}

// gone is how nft is told to have a table no longer that need not be there.
func gone() string {
	var b strings.Builder
	for _, t := range tables() {
		fmt.Fprintf(&b, "add table %s\ndelete table %s\n", t, t)
	}
	return b.String()
}

func forget(c *nftables.Conn, all []*table) error {
	for _, t := range all {
		c.AddTable(t.nft())
		c.DelTable(t.nft())
	}
	return nil
}

// replace sends a batch that does not depend on what is there.
func replace(build func(*nftables.Conn) error) error {
	w, err := dial()
	if err != nil {
		return err
	}
	defer w.Close()
	var t tries
	for t.more() {
		messages, err := messagesOf(build)
		if err != nil {
			return err
		}
		if err := annotate(messages); err != nil {
			return err
		}
		refusals, err := w.transact(messages, nil)
		if err != nil || len(refusals) == 0 {
			return err
		}
		for i, errno := range refusals {
			if !passing(errno) {
				return fmt.Errorf("making the nftables table %s: %s: %w", tableName, subject(messages[i+1]), errno)
			}
		}
	}
	return fmt.Errorf("making the nftables table %s: others changed it %d times at the same time", tableName, t.n)
}

// subject is what a message of a batch makes.
func subject(m netlink.Message) string {
	named := func(kind uint16) string { return string(bytes.TrimRight(attribute(m.Data[4:], kind), "\x00")) }
	switch m.Header.Type &^ (unix.NFNL_SUBSYS_NFTABLES << 8) {
	case unix.NFT_MSG_NEWCHAIN:
		return "chain " + named(unix.NFTA_CHAIN_NAME)
	case unix.NFT_MSG_NEWSET:
		return "set " + named(unix.NFTA_SET_NAME)
	case unix.NFT_MSG_NEWSETELEM:
		return "elements of " + named(unix.NFTA_SET_ELEM_LIST_SET)
	case unix.NFT_MSG_NEWRULE:
		why, _ := userdata.GetString(attribute(m.Data[4:], unix.NFTA_RULE_USERDATA), userdata.TypeComment)
		return fmt.Sprintf("rule %q of chain %s", why, named(unix.NFTA_RULE_CHAIN))
	}
	return "batch"
}

func writeTables(c *nftables.Conn, elements []element) error {
	forget(c, tables())
	for _, t := range tables() {
		if err := t.write(c, elements); err != nil {
			return err
		}
	}
	return nil
}

// write makes the table: chains and sets before the rules that name them.
func (t *table) write(c *nftables.Conn, elements []element) error {
	c.AddTable(t.nft())
	for _, ch := range t.chains {
		c.AddChain(ch.nft(t))
	}
	for _, s := range t.sets {
		if err := c.AddSet(s.nft(), nil); err != nil {
			return err
		}
	}
	for _, s := range t.sets {
		if err := s.fill(c, elements); err != nil {
			return err
		}
	}
	for _, ch := range t.chains {
		for _, r := range ch.rules {
			c.AddRule(&nftables.Rule{Table: t.nft(), Chain: ch.nft(t), Exprs: r.exprs(t.family), UserData: r.comment()})
		}
	}
	return nil
}

func (r rule) comment() []byte {
	if r.why == "" {
		return nil
	}
	return userdata.AppendString(nil, userdata.TypeComment, r.why)
}

func (c chain) nft(t *table) *nftables.Chain {
	n := &nftables.Chain{Name: c.name, Table: t.nft()}
	if c.hook != nil {
		policy := nftables.ChainPolicyAccept
		n.Type, n.Hooknum, n.Priority, n.Policy = c.hook.kind, c.hook.at, &c.hook.priority, &policy
	}
	return n
}

// fill adds the set's elements, not too many in one message: the length of a netlink attribute has 16 bits.
func (s *set) fill(c *nftables.Conn, elements []element) error {
	var mine []nftables.SetElement
	for _, e := range elements {
		if e.set != s {
			continue
		}
		if mine = append(mine, e.nft()...); len(mine) >= 250 {
			if err := c.SetAddElements(s.nft(), mine); err != nil {
				return err
			}
			mine = nil
		}
	}
	if len(mine) == 0 {
		return nil
	}
	return c.SetAddElements(s.nft(), mine)
}

// annotate adds to the messages that make sets what nft would note there: nftables.Set has no place for all of it.
func annotate(messages []netlink.Message) error {
	for i, m := range messages {
		if m.Header.Type != netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWSET) {
			continue
		}
		id := attribute(m.Data[4:], unix.NFTA_SET_ID)
		for _, t := range tables() {
			for _, s := range t.sets {
				if s.id != binary.BigEndian.Uint32(id) {
					continue
				}
				if err := extend(&messages[i], unix.NFTA_SET_USERDATA, s.notes()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
