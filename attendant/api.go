// Package attendant is the process that stays with a container's network, where it needs one: it answers the names of
// user-defined networks at 127.0.0.11, and holds the sockets of published ports, forwarding what the kernel cannot (::1, and
// IPv6 to a container that has only IPv4).
package attendant

import (
	"errors"
	"net/netip"
	"os"
)

var errStub = errors.New("attendant: stub")

// Config is DIR/attendant.json, which the attendant reads at its start and whenever it is replaced (inotify(7)).
type Config struct {
	ID    string
	Pid   int    // the container's first process: when it has ended and Alive is free, the attendant ends
	Alive string // the monitor's lock: while it is held the container may be started again
	Ports []Port `json:",omitempty"` // their listening sockets are descriptors, in this order
	Names *Names `json:",omitempty"`
}

// Port is a published port whose socket the attendant holds.
type Port struct {
	Proto  string // tcp udp sctp
	Listen netip.AddrPort
	To     netip.AddrPort // the container's address and port, of either family
}

// Names is how names are answered.
type Names struct {
	Zones    []Zone
	Servers  []string // asked for all other names: address, or address:port; from the host's network namespace
	Internal bool     // no zone leads outside: nothing is forwarded
}

// Zone is a network whose containers are found by name. Dir holds one Host document for each, <container id>.json.
type Zone struct{ Network, Dir string }

// Host is a container as others find it.
type Host struct {
	ID        string
	Names     []string // name, aliases, short id; answered with the network's name appended as well; lower case
	Addresses []netip.Addr
}

// Spawn starts the attendant of the container whose state directory is dir, from a sealed copy of glassrun, and returns when it
// serves. sockets are: the listening sockets of c.Ports in their order, then, with c.Names, the resolver's UDP and TCP sockets,
// which the caller made inside the container's network namespace.
func Spawn(glassrun, dir string, c Config, sockets []*os.File) error { return errStub }

// Update replaces the configuration of a running attendant; ports cannot change that way.
func Update(dir string, c Config) error { return errStub }

// Running reports whether dir has a living attendant (it holds DIR/attendant.lock).
func Running(dir string) (bool, error) { return false, errStub }

// Stop ends the attendant of dir and returns when its sockets are closed; it is no error when there is none.
func Stop(dir string) error { return errStub }

// Run is `glassrun attend DIR`.
func Run(args []string) error { return errStub }
