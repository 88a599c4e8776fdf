package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Strays are elements of the table's sets and maps that nothing accounts for.
type Strays struct {
	elements   []nftables.SetElement
	sets       []*set // of each
	generation []byte // of the rules when they were read
}

// Contents reads what the table holds; nil when it is not there. The caller asks only afterwards what it shall hold: whoever adds
// an element has written down beforehand that it is wanted.
func Contents() (*Strays, error) {
	w, err := dial()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	answers, err := w.ask([]netlink.Message{question(unix.NFT_MSG_GETGEN, []byte{0, unix.NFNETLINK_V0, 0, 0})})
	if err != nil {
		return nil, err
	}
	all := &Strays{generation: answers[0].attribute(unix.NFTA_GEN_ID)}
	if there, err := Present(); err != nil || !there {
		return nil, err
	}
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	for _, t := range tables() {
		for _, s := range t.sets {
			elements, err := c.GetSetElements(s.nft())
			if err != nil {
				return nil, fmt.Errorf("reading the set %s of the nftables table %s: %w", s.name, tableName, err)
			}
			for _, e := range elements {
				all.elements, all.sets = append(all.elements, e), append(all.sets, s)
			}
		}
	}
	return all, nil
}

// Bridges are the interfaces that the table takes for bridges of networks.
func (s *Strays) Bridges() []string {
	var names []string
	for i, e := range s.elements {
		if s.sets[i] == bridges {
			names = append(names, string(bytes.TrimRight(e.Key, "\x00")))
		}
	}
	return names
}

// Except leaves out what is accounted for.
func (s *Strays) Except(d Desired) {
	wanted := map[string]bool{}
	for _, e := range d.elements() {
		for _, k := range e.nft() {
			wanted[identity(e.set, k)] = true
		}
	}
	rest := Strays{generation: s.generation}
	for i, e := range s.elements {
		// The kernel marks what lies before the first interval of a set by an end at its very beginning.
		if wanted[identity(s.sets[i], e)] || s.sets[i].interval && e.IntervalEnd && len(bytes.Trim(e.Key, "\x00")) == 0 {
			continue
		}
		rest.elements, rest.sets = append(rest.elements, e), append(rest.sets, s.sets[i])
	}
	*s = rest
}

func identity(s *set, e nftables.SetElement) string {
	return fmt.Sprintf("%d %s %x %x %v", s.family, s.name, e.Key, e.Val, e.IntervalEnd)
}

// Words are the elements as nft prints them, without the ends of intervals.
func (s *Strays) Words() []string {
	var all []string
	for i, e := range s.elements {
		if e.IntervalEnd {
			continue
		}
		words := s.sets[i].name + " { " + spelled(s.sets[i].key, e.Key)
		if s.sets[i].value != nil {
			words += " : " + spelled(s.sets[i].value, e.Val)
		}
		all = append(all, words+" }")
	}
	slices.Sort(all)
	return all
}

// spelled reads data side by side, each filled up to a quarter of a register.
func spelled(fields joined, b []byte) string {
	var words []string
	for _, f := range fields {
		n := min(int(f.typ.Bytes), len(b))
		words = append(words, f.spell(b[:n]))
		b = b[min((n+3)&^3, len(b)):]
	}
	return strings.Join(words, " . ")
}

func (f field) spell(b []byte) string {
	switch f.typ {
	case nftables.TypeIFName:
		return fmt.Sprintf("%q", bytes.TrimRight(b, "\x00"))
	case nftables.TypeIPAddr, nftables.TypeIP6Addr:
		a, _ := netip.AddrFromSlice(b)
		return a.String()
	case nftables.TypeEtherAddr:
		return net.HardwareAddr(b).String()
	case nftables.TypeInetService:
		return fmt.Sprint(binary.BigEndian.Uint16(b))
	case nftables.TypeInetProto:
		if name := map[byte]string{unix.IPPROTO_TCP: "tcp", unix.IPPROTO_UDP: "udp", unix.IPPROTO_SCTP: "sctp"}[b[0]]; name != "" {
			return name
		}
	}
	return fmt.Sprintf("0x%x", b)
}

// Drop takes the elements out of the table in one transaction. The error is unix.ERESTART when somebody else has changed the rules since
// they were read: look again.
func (s *Strays) Drop() error {
	w, err := dial()
	if err != nil {
		return err
	}
	defer w.Close()
	messages, err := messagesOf(func(c *nftables.Conn) error {
		for _, set := range s.inOrder() {
			var mine []nftables.SetElement
			for i, e := range s.elements {
				if s.sets[i] == set {
					mine = append(mine, e)
				}
			}
			slices.SortFunc(mine, fromStartToEnd)
			if err := c.SetDeleteElements(set.nft(), mine); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	refusals, err := w.transact(messages, s.generation)
	for _, errno := range refusals {
		return fmt.Errorf("taking elements out of the nftables table %s: %w", tableName, errno)
	}
	return err
}

// fromStartToEnd is the order in which the kernel lets intervals go: each one's beginning, then its end, which must belong to the beginning before
// it (nft_set_rbtree.c, since 6.18.y). It tells of them the other way round.
func fromStartToEnd(a, b nftables.SetElement) int {
	if c := bytes.Compare(a.Key, b.Key); c != 0 || a.IntervalEnd == b.IntervalEnd {
		return c
	}
	if a.IntervalEnd { // the end of an interval right before the one that begins here
		return -1
	}
	return 1
}

func (s *Strays) inOrder() []*set {
	var all []*set
	for _, one := range s.sets {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}
