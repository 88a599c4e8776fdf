package network

import (
	"fmt"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// pair are the requests for a cable from the bridge into the container. One message makes both ends, each where it belongs.
func (i Interface) pair(n *Namespace) []program.Request {
	p := n.host()
	d := device{name: i.Host, kind: "veth", mtu: i.MTU, master: i.Master, up: true,
		peer: &device{name: i.Name, mac: i.MAC, mtu: i.MTU, netns: n, moved: true}}
	why := "make a cable: one end is a port of the bridge, the other is " + i.Name + " in the container"
	return []program.Request{d.add(p, i.From, why, dropped(p, i.Host)), i.hairpin(p)}
}

// Rejoin returns the requests that put the host's end back into its bridge, if it is there and in none or in another: after the bridge was
// deleted and raised again. (What was cut inside the container, only a new start mends.)
func (i Interface) Rejoin() ([]program.Request, error) {
	if i.Kind != KindBridge {
		return nil, nil
	}
	end, err := find(i.Host)
	if err != nil || end == nil {
		return nil, err
	}
	bridge, err := find(i.Master)
	if err != nil || bridge == nil || end.master == bridge.index && end.up {
		return nil, err
	}
	return []program.Request{i.plugIn(), i.hairpin(here)}, nil
}

// plugIn is the request ip link set HOST master BRIDGE up.
func (i Interface) plugIn() program.Request {
	call := "ip link set " + i.Host + " master " + i.Master + " up"
	return program.Request{Call: call, From: i.From, Why: "plug " + i.Name + " of the container into the bridge again", Do: func() error {
		return here.speak(func(s *socket) error {
			m := raised(i.Host)
			err := m.refer(s, unix.IFLA_MASTER, i.Master)
			if err == nil {
				err = s.change(m)
			}
			return refused("plugging "+i.Host+" into "+i.Master, err)
		})
	}}
}

// hairpin lets the bridge send a packet back out of the port by which it came; and the host's end gets no link-local address, which
// nobody would use.
func (i Interface) hairpin(p place) program.Request {
	call := p.typed + "ip link set " + i.Host + " addrgenmode none type bridge_slave hairpin on"
	why := "the bridge may send back what comes in by this port: the container can reach itself through a published port"
	return program.Request{Call: call, From: i.From, Why: why, Do: func() error {
		return p.speak(func(s *socket) error {
			return refused(fmt.Sprintf("setting hairpin mode of %s", i.Host), s.change(portMessage(i.Host)))
		})
	}}
}

const noAddress = 1 // IN6_ADDR_GEN_MODE_NONE

func portMessage(name string) message {
	m := named(unix.RTM_NEWLINK, name)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil).AddRtAttr(nl.IFLA_BRPORT_MODE, nl.Uint8Attr(1))
	spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, nl.Uint8Attr(noAddress))
	m.parts = append(m.parts, info, spec)
	return m
}
