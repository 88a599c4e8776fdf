package network

import (
	"fmt"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
)

// macvlanModes and the two below are the kernel's numbers: linux/if_link.h.
var (
	macvlanModes = map[string]uint32{"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
	ipvlanModes  = map[string]uint16{"l2": 0, "l3": 1, "l3s": 2}
	ipvlanFlags  = map[string]uint16{"bridge": 0, "private": 1, "vepa": 2}
)

// child are the requests for an interface of the container that sits on one of the host's. It is born under a name that nobody else has:
// kernels before 6.14 make it beside its parent and move it, and the parent may well be another eth0.
func (i Interface) child(n *Namespace) []program.Request {
	birth := or(i.Host, i.Name)
	d := device{name: birth, kind: i.Kind, mac: i.MAC, mtu: i.MTU, parent: i.Master, netns: n, moved: true}
	why := "make an interface of the container on top of " + i.Master + ", with a hardware address of its own"
	if i.Kind == KindMacvlan {
		i.macvlan(&d)
	} else {
		i.ipvlan(&d)
		why = "make an interface of the container on top of " + i.Master + ", whose hardware address it shares"
	}
	out := []program.Request{d.add(n.host(), i.From, why, dropped(n.inside(), birth))}
	if birth != i.Name {
		out = append(out, rename(n.inside(), birth, i.Name, i.From, "its name in the container"))
	}
	return out
}

func (i Interface) macvlan(d *device) {
	mode := or(i.Mode, "bridge")
	d.options = "mode " + mode
	d.data = []attribute{{nl.IFLA_MACVLAN_MODE, nl.Uint32Attr(macvlanModes[mode])}}
}

// ipvlan has no hardware address to choose.
func (i Interface) ipvlan(d *device) {
	mode, flag := or(i.Mode, "l2"), or(i.Flag, "bridge")
	d.mac, d.options = nil, "mode "+mode
	if flag != "bridge" {
		d.options += " " + flag
	}
	d.data = []attribute{{nl.IFLA_IPVLAN_MODE, nl.Uint16Attr(ipvlanModes[mode])}, {nl.IFLA_IPVLAN_FLAG, nl.Uint16Attr(ipvlanFlags[flag])}}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Check says what is wrong with the mode or the flag.
func (i Interface) Check() error {
	_, macvlan := macvlanModes[or(i.Mode, "bridge")]
	_, mode := ipvlanModes[or(i.Mode, "l2")]
	_, flag := ipvlanFlags[or(i.Flag, "bridge")]
	switch {
	case i.Kind == KindMacvlan && !macvlan:
		return fmt.Errorf("unknown macvlan mode: %s", i.Mode)
	case i.Kind == KindIPvlan && !mode:
		return fmt.Errorf("unknown ipvlan mode: %s", i.Mode)
	case i.Kind == KindIPvlan && !flag:
		return fmt.Errorf("unknown ipvlan flag: %s", i.Flag)
	}
	return nil
}
