package network

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Who had the address before may have had another hardware address, and neighbours keep what they know for half a minute. On a bridge
// this cannot be where the hardware address goes with the IP address (HardwareAddressOf); otherwise the kernel is told to announce
// it, unasked, when the interface comes up: arp_notify and ndisc_notify in ip-sysctl.
func (i Interface) announces() bool {
	switch i.Kind {
	case KindIPvlan:
		return or(i.Mode, "l2") == "l2"
	case KindMacvlan:
		return true
	}
	return i.MAC != nil && !slices.ContainsFunc(i.Addresses, func(a netip.Prefix) bool {
		return bytes.Equal(i.MAC, HardwareAddressOf(a.Addr()))
	})
}

// notify are the requests that let the kernel announce the addresses.
func (i Interface) notify(p place) []program.Request {
	if !i.announces() {
		return nil
	}
	why := "tell neighbours who has the address now, when the interface comes up: another may have had it before"
	var out []program.Request
	if slices.ContainsFunc(i.Addresses, func(a netip.Prefix) bool { return a.Addr().Is4() }) {
		out = append(out, set(p, conf("ipv4", i.Name, "arp_notify"), "1", i.From, why))
	}
	if i.ipv6() {
		out = append(out, set(p, conf("ipv6", i.Name, "ndisc_notify"), "1", i.From, why))
	}
	return out
}

// again is the request that announces once more on a bridge: when the interface came up, its port did not forward yet. That a
// hardware address is set, even to what it was, is an occasion for the kernel.
func (i Interface) again(n *Namespace) []program.Request {
	if i.Kind != KindBridge || !i.announces() {
		return nil
	}
	p := n.inside()
	call := fmt.Sprintf("%sip link set %s address %s", p.typed, i.Name, i.MAC)
	return []program.Request{{Call: call, From: i.From, Why: "announce it now that the bridge's port forwards", Do: func() error {
		if err := i.forwards(n.host()); err != nil {
			return err
		}
		return p.speak(func(s *socket) error {
			return refused("announcing the addresses of "+i.Name, s.change(addressed(i.Name, i.MAC)))
		})
	}}}
}

func addressed(name string, mac net.HardwareAddr) message {
	m := named(unix.RTM_NEWLINK, name)
	m.add(unix.IFLA_ADDRESS, mac)
	return m
}

// forwards waits for the port: the bridge hears of the cable's other end in a work queue of the kernel's. Without an announcement
// neighbours learn a little later, so a port that takes longer is no error.
func (i Interface) forwards(p place) error {
	for range 50 {
		var l link
		err := p.speak(func(s *socket) (err error) {
			l, err = s.link(i.Host)
			return err
		})
		if err != nil || l.forwarding {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// forwarding reads the state of a bridge's port: linux/if_bridge.h's BR_STATE_FORWARDING.
func forwarding(info map[uint16][]byte) bool {
	state := fields(info[nl.IFLA_INFO_SLAVE_DATA])[nl.IFLA_BRPORT_STATE]
	return len(state) == 1 && state[0] == 3
}
