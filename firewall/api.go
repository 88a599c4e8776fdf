// Package firewall keeps glassbox's table of nftables: which bridges there are, who may speak to whom, which ports of the host
// are whose, and what is masqueraded. The rules stand still; what comes and goes are elements of sets and maps, so that the hundredth
// container costs what the first did. Every change is one atomic batch, told as nft(8) would be given it.
package firewall

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"glassbox/program"
)

var errStub = errors.New("firewall: stub")

// Network is what the table knows of a bridge.
type Network struct {
	Bridge       string
	Subnets      []netip.Prefix
	Internal     bool         // nobody outside is reached, and nobody outside reaches it
	Isolated     bool         // its containers do not reach one another either (enable_icc=false)
	NoMasquerade bool         // outgoing traffic keeps the containers' addresses
	Sources      []netip.Addr // outgoing traffic gets these addresses instead of the outgoing interface's (host_ipv4, host_ipv6)
}

// Member is a port of a bridge: whoever sends there another member's address, or a gateway's, is not heard.
type Member struct {
	Bridge    string
	Host      string // the host's end of the veth pair
	MAC       net.HardwareAddr
	Addresses []netip.Addr
}

// Port is a published port.
type Port struct {
	Proto  string         // tcp udp sctp
	Listen netip.AddrPort // the host's side; an unspecified address stands for all of its family
	To     netip.AddrPort // the container's side, of the same family
	Bridge string
}

// Desired is all that the table shall hold.
type Desired struct {
	Networks []Network
	Members  []Member
	Ports    []Port
}

// Batch collects changes; Request makes one transaction of them. A batch that finds the table missing fails with ErrNoTable.
type Batch struct{ lines []string }

// ErrNoTable says that the table is not there, or not whole: Rebuild makes it.
var ErrNoTable = errors.New("the nftables table glassbox is missing or not whole")

func (b *Batch) AddNetwork(n Network)    {}
func (b *Batch) RemoveNetwork(n Network) {}
func (b *Batch) AddMember(m Member)      {}
func (b *Batch) RemoveMember(m Member)   {} // what is not there is not missed
func (b *Batch) Publish(p Port)          {}
func (b *Batch) Withdraw(p Port)         {}
func (b *Batch) Empty() bool             { return len(b.lines) == 0 }

// Request is the batch as one transaction; Undo is the opposite one.
func (b *Batch) Request(from, why string) program.Request {
	return program.Request{Do: func() error { return errStub }}
}

// Rebuild makes the table anew, with all it shall hold, in one transaction.
func Rebuild(d Desired) program.Request { return program.Request{Do: func() error { return errStub }} }

// Present reports whether the table is there with all its chains, sets and rules.
func Present() (bool, error) { return false, errStub }

// Remove takes the table away, if it is there.
func Remove() program.Request { return program.Request{Do: func() error { return errStub }} }

// Redirect sends what a container asks of 127.0.0.11:53 to the resolver's sockets, on 127.0.0.11 too, by a table inside its
// network namespace ns (an open /proc/PID/ns/net).
func Redirect(ns *os.File, udp, tcp uint16) program.Request {
	return program.Request{Do: func() error { return errStub }}
}

// Blocker is a rule of somebody else's that keeps our packets from passing.
type Blocker struct {
	What string // "the policy of chain FORWARD of table ip filter is drop"
	Who  string // "Docker", "firewalld", "ufw", ""
	Fix  string // a command
}

// Blockers looks through the foreign tables of nftables and the legacy ones of iptables for what drops forwarded packets
// of these bridges.
func Blockers(bridges []string) ([]Blocker, error) { return nil, errStub }
