package network

import (
	"fmt"
	"strconv"
	"strings"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
)

// Parent returns the requests for the parent of a macvlan or ipvlan network, if it lacks: a VLAN sub-interface (eth0.10), or a
// dummy for an internal network. made says whether it is ours to remove when the network goes.
func Parent(name string, internal bool) (requests []program.Request, made bool, err error) {
	l, err := find(name)
	if err != nil || l != nil {
		return nil, false, err
	}
	d, why := device{name: name, kind: "dummy"}, "make the network's parent: an interface behind which there is nothing"
	if !internal {
		if d, err = vlan(name); err != nil {
			return nil, false, err
		}
		why = "make the network's parent: what leaves by it carries the number of the virtual LAN (802.1Q)"
	}
	return []program.Request{unlessThere(d.add(here, "", why, dropped(here, name))), setUp(here, name, "", "its children carry packets while it is up")}, true, nil
}

// vlan reads eth0.10; the messages are Docker's.
func vlan(name string) (device, error) {
	parent, number, ok := strings.Cut(name, ".")
	if !ok {
		return device{}, fmt.Errorf("invalid subinterface vlan name %s, example formatting is eth0.10", name)
	}
	if strings.Contains(number, ".") {
		return device{}, fmt.Errorf("required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received %s", name)
	}
	id, err := strconv.Atoi(number)
	if err != nil {
		return device{}, fmt.Errorf("unable to parse a valid vlan id from: %s (ex. eth0.10 for vlan 10)", number)
	}
	if id < 1 || id > 4094 {
		return device{}, fmt.Errorf("vlan id must be between 1-4094, received: %d", id)
	}
	l, err := find(parent)
	if err != nil {
		return device{}, err
	}
	if l == nil {
		return device{}, fmt.Errorf("-o parent interface was not found on the host: %s", parent)
	}
	return device{name: name, kind: "vlan", parent: parent, options: "id " + number, data: []attribute{{nl.IFLA_VLAN_ID, nl.Uint16Attr(uint16(id))}}}, nil
}
