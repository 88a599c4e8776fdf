package attendant

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"glassbox/store"
)

// What an attendant has in DIR:
//
//	attendant.json   Config               written by the engine
//	attendant.log    what it had to complain about
//	attendant.lock   flock held by the living attendant; its pid is inside
const (
	configName = "attendant.json"
	logName    = "attendant.log"
	lockName   = "attendant.lock"
)

// Config is DIR/attendant.json, which the attendant reads at its start and again when it was replaced.
type Config struct {
	ID    string
	Pid   int    // the container's first process, when the attendant is started: when it has ended and Alive is free, the attendant ends
	Alive string // the monitor's lock: while it is held the container may be started again
	State string // the monitor's word of the container, which then names the new process
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
	Ndots    bool     // the container's resolv.conf has ndots above 0: a name without a dot is not forwarded, as the search list follows
	Links    []Link   `json:",omitempty"`
}

// Link is a name that this container alone has for another one (--link name:alias). Both are in lower case.
type Link struct{ Network, Alias, Name string }

// Zone is a network whose containers are found by name. Dir holds one Host document for each, <container id>.json, written by
// renaming (store.Write).
type Zone struct{ Network, Dir string }

// Host is a container as others find it.
type Host struct {
	ID        string
	Names     []string // name, aliases, short id; answered with the network's name appended as well; lower case
	Addresses []netip.Addr
}

// Read is what the attendant of a directory was told last.
func Read(dir string) (Config, error) { return readConfig(filepath.Join(dir, configName)) }

// readConfig leaves a damaged document where it is: the engine, which writes it, is to see it.
func readConfig(path string) (c Config, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	if err := store.Decode(data, &c); err != nil {
		return c, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}
