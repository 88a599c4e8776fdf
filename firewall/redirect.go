package firewall

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"glassbox/program"
)

// Redirect returns the requests that send what a container asks of 127.0.0.11:53 to the resolver's sockets, on 127.0.0.11 too, by a
// table inside its network namespace ns (an open /proc/PID/ns/net). Answers come from port 53 again, since the kernel turns back in the
// answers of a connection what it changed in the questions. Port 53 of all other addresses stays the container's own.
//
// A table that an earlier resolver had is removed first: only then, since the kernel takes 7 to 12 ms to remove one.
func Redirect(ns *os.File, udp, tcp uint16) ([]program.Request, error) {
	t := &table{family: nftables.TableFamilyIPv4, chains: []chain{{"output",
		&hook{nftables.ChainTypeNAT, nftables.ChainHookOutput, "output", -100, "-100"},
		[]rule{askedFor("udp", udp), askedFor("tcp", tcp)}}}}
	remove := program.Request{
		Call: fmt.Sprintf("delete table %s", t), Why: "the resolver that was here before listened at other ports",
		Do: func() error {
			return inside(ns, func(c *nftables.Conn) error { c.DelTable(t.nft()); return nil })
		},
	}
	add := program.Request{
		Call: t.script(nil),
		Why:  "the resolver listens at any free port of 127.0.0.11, so that port 53 stays free for the container's own servers",
		Do:   func() error { return inside(ns, func(c *nftables.Conn) error { return t.write(c, nil) }) },
		Undo: remove.Do,
	}
	there, err := hasTable(ns)
	if there {
		return []program.Request{remove, add}, nil
	}
	return []program.Request{add}, err
}

// hasTable: the namespace has such a table.
func hasTable(ns *os.File) (bool, error) {
	if ns == nil {
		return false, nil
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())))
	if err != nil {
		return false, err
	}
	all, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	return slices.ContainsFunc(all, func(t *nftables.Table) bool { return t.Name == tableName }), err
}

// inside carries out a batch in another network namespace.
func inside(ns *os.File, build func(*nftables.Conn) error) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())))
	if err != nil {
		return err
	}
	if err := build(c); err != nil {
		return err
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables inside the container's network namespace: %w", err)
	}
	return nil
}

func askedFor(proto string, port uint16) rule {
	resolver := netip.MustParseAddr("127.0.0.11")
	asked := clause{text: proto + " dport 53", exprs: []expr.Any{
		l4proto.load(1), equals(protocolName(proto).bytes), dport.load(1), equals(service(53).bytes)}}
	sent := clause{text: fmt.Sprintf("dnat to %s:%d", resolver, port), exprs: []expr.Any{
		&expr.Immediate{Register: 1, Data: resolver.AsSlice()},
		&expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2}}}
	return because("glassbox's resolver", within(ipDaddr, "127.0.0.11/32"), asked, sent)
}

// Redirected is the port of 127.0.0.11 to which UDP questions to its port 53 go in a network namespace, as its rules are now; 0: no rule
// of ours sends them anywhere.
func Redirected(ns *os.File) (port uint16, err error) {
	c, err := nftables.New(nftables.WithNetNSFd(int(ns.Fd())))
	if err != nil {
		return 0, err
	}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return 0, err
	}
	for _, ch := range chains {
		if ch.Table.Name != tableName {
			continue
		}
		rules, err := c.GetRules(ch.Table, ch)
		if err != nil {
			return 0, err
		}
		for _, r := range rules {
			if to := sentTo(r, unix.IPPROTO_UDP); to != 0 {
				return to, nil
			}
		}
	}
	return 0, nil
}

// sentTo is the port to which a rule as askedFor makes them sends packets of a protocol.
func sentTo(r *nftables.Rule, protocol byte) (port uint16) {
	ofProtocol := false
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Cmp:
			ofProtocol = ofProtocol || len(e.Data) == 1 && e.Data[0] == protocol
		case *expr.Immediate:
			if ofProtocol && e.Register == 2 && len(e.Data) >= 2 {
				port = binary.BigEndian.Uint16(e.Data)
			}
		}
	}
	return port
}
