package engine

import (
	"net/netip"

	"glassbox/firewall"
	"glassbox/network"
)

// wiring is what a container has of networks while it runs: network.json in its run directory, gone after a reboot. What it was
// asked to have is in its record (Networks), by the network's name.
type wiring struct {
	Endpoints []endpoint `json:",omitempty"` // in the order of their interfaces
	Bound     []bound    `json:",omitempty"` // published ports
}

// endpoint is the container's place on one network.
type endpoint struct {
	ID        string // 64 hexadecimal digits, as inspect shows it
	Network   string // the network's id
	Name      string // the network's name
	Driver    string
	Interface network.Interface
	Member    *firewall.Member `json:",omitempty"` // on bridges
	Aliases   []string         // names under which others find it, as inspect shows them (DNSNames)
	Internal  bool
}

// bound is a published port as it was bound at the start.
type bound struct {
	Port    firewall.Port
	Host    netip.AddrPort // what -p asked for, with the number that a random one got
	Target  uint16         // the container's port
	Network string         // id of the network whose address To is
}
