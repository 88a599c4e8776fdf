package network

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// device is a network interface as it shall be born. What is typed and what is sent are read from the same fields.
type device struct {
	name    string
	kind    string // ip-link(8): bridge veth macvlan ipvlan vlan dummy
	mac     net.HardwareAddr
	mtu     int
	parent  string // the interface it sits on
	master  string // the bridge it is a port of
	up      bool
	moved   bool        // it is born in a container's namespace:
	netns   *Namespace  // nil in a plan
	options string      // of its kind, as typed
	data    []attribute // and as sent
	peer    *device     // the other end of a veth pair
}

type attribute struct {
	kind int
	data []byte
}

// typed is the device as ip link add takes it.
func (d device) typed() string {
	words := []string{"ip link add"}
	if d.parent != "" {
		words = append(words, "link", d.parent, "name")
	}
	words = append(words, d.words()...)
	words = append(words, "type", d.kind)
	if d.options != "" {
		words = append(words, d.options)
	}
	if d.peer != nil {
		words = append(words, "peer", "name")
		words = append(words, d.peer.words()...)
	}
	return strings.Join(words, " ")
}

// words are the name and what may be said of every kind of interface. A transmit queue of 0 is what Docker's have: ip link shows none.
func (d device) words() []string {
	w := []string{d.name, "txqueuelen", "0"}
	if d.mac != nil {
		w = append(w, "address", d.mac.String())
	}
	if d.mtu > 0 {
		w = append(w, "mtu", strconv.Itoa(d.mtu))
	}
	if d.master != "" {
		w = append(w, "master", d.master)
	}
	if d.moved {
		w = append(w, "netns", d.netns.ref())
	}
	if d.up {
		w = append(w, "up")
	}
	return w
}

// message is RTM_NEWLINK; the socket finds the numbers of the interfaces that are named.
func (d device) message(s *socket) (message, error) {
	m := message{kind: unix.RTM_NEWLINK, flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL}
	if d.homeless() || d.peer != nil && d.peer.homeless() {
		return m, errPlan
	}
	m.parts = append(m.parts, d.header())
	for _, a := range d.attributes() {
		m.add(a.kind, a.data)
	}
	if err := errors.Join(m.refer(s, unix.IFLA_LINK, d.parent), m.refer(s, unix.IFLA_MASTER, d.master)); err != nil {
		return m, err
	}
	m.parts = append(m.parts, d.info())
	return m, nil
}

// refer adds an attribute that is the number of another interface, if one is named.
func (m *message) refer(s *socket, attribute int, name string) error {
	if name == "" {
		return nil
	}
	l, err := s.link(name)
	m.add(attribute, nl.Uint32Attr(uint32(l.index)))
	return err
}

// homeless: it shall be born in a namespace that is not made yet.
func (d device) homeless() bool { return d.moved && d.netns == nil }

func (d device) header() *nl.IfInfomsg {
	h := nl.NewIfInfomsg(unix.AF_UNSPEC)
	if d.up {
		h.Flags, h.Change = unix.IFF_UP, unix.IFF_UP
	}
	return h
}

func (d device) attributes() []attribute {
	a := []attribute{{unix.IFLA_IFNAME, nl.ZeroTerminated(d.name)}, {unix.IFLA_TXQLEN, nl.Uint32Attr(0)}}
	if d.mac != nil {
		a = append(a, attribute{unix.IFLA_ADDRESS, d.mac})
	}
	if d.mtu > 0 {
		a = append(a, attribute{unix.IFLA_MTU, nl.Uint32Attr(uint32(d.mtu))})
	}
	if d.moved {
		a = append(a, attribute{unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(d.netns.File.Fd()))})
	}
	return a
}

// info is the kind with its options; a veth's other end is a link in the link.
func (d device) info() *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(d.kind))
	if d.peer == nil && d.data == nil {
		return info
	}
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	for _, a := range d.data {
		data.AddRtAttr(a.kind, a.data)
	}
	if d.peer != nil {
		peer := data.AddRtAttr(nl.VETH_INFO_PEER, nil)
		peer.AddChild(d.peer.header())
		for _, a := range d.peer.attributes() {
			peer.AddRtAttr(a.kind, a.data)
		}
	}
	return info
}

// add is the request that makes the device; undo takes it away again.
func (d device) add(p place, from, why string, undo func() error) program.Request {
	return program.Request{Call: p.typed + d.typed(), From: from, Why: why, Undo: undo, Do: func() error {
		return p.speak(func(s *socket) error {
			m, err := d.message(s)
			if err == nil {
				err = s.change(m)
			}
			return unmade(fmt.Sprintf("making the %s interface %s", d.kind, d.name), err)
		})
	}}
}
