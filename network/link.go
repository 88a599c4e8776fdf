package network

import (
	"errors"
	"fmt"

	"glassbox/program"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const skipStatistics = 8 // RTEXT_FILTER_SKIP_STATS: they are half of an answer

// named asks for an interface by its name.
func named(kind int, name string) message {
	m := message{kind: kind, parts: []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC)}}
	m.add(unix.IFLA_IFNAME, nl.ZeroTerminated(name))
	return m
}

// link is what the kernel tells of an interface.
type link struct {
	index  int
	name   string
	kind   string // empty for a physical one
	up     bool
	mtu    int
	master int

	forwarding bool // as the port of a bridge
}

func parseLink(answer []byte) link {
	h := nl.DeserializeIfInfomsg(answer)
	f := fields(answer[unix.SizeofIfInfomsg:])
	l := link{index: int(h.Index), name: word(f[unix.IFLA_IFNAME]), up: h.Flags&unix.IFF_UP != 0}
	l.mtu, l.master = number(f[unix.IFLA_MTU]), number(f[unix.IFLA_MASTER])
	info := fields(f[unix.IFLA_LINKINFO])
	l.kind, l.forwarding = word(info[nl.IFLA_INFO_KIND]), forwarding(info)
	return l
}

// link asks for an interface by its name; ENODEV says that there is none.
func (s *socket) link(name string) (link, error) {
	answers, err := s.ask(named(unix.RTM_GETLINK, name))
	if err != nil {
		return link{}, fmt.Errorf("looking for the interface %s: %w", name, err)
	}
	if len(answers) == 0 {
		return link{}, fmt.Errorf("looking for the interface %s: no answer", name)
	}
	return parseLink(answers[0]), nil
}

// links asks for all interfaces, or those that are ports of a bridge.
func (s *socket) links(master int) ([]link, error) {
	m := message{kind: unix.RTM_GETLINK, flags: unix.NLM_F_DUMP, parts: []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC)}}
	m.add(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStatistics))
	if master > 0 {
		m.add(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master)))
	}
	answers, err := s.ask(m)
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var out []link
	for _, a := range answers {
		out = append(out, parseLink(a))
	}
	return out, nil
}

// known is an interface whose number is asked for once.
type known struct {
	name  string
	index int
}

func (k *known) number(s *socket) (int, error) {
	if k.index > 0 {
		return k.index, nil
	}
	l, err := s.link(k.name)
	k.index = l.index
	return l.index, err
}

// setUp is the request ip link set NAME up.
func setUp(p place, name, from, why string) program.Request {
	return program.Request{Call: p.typed + "ip link set " + name + " up", From: from, Why: why, Do: func() error {
		return p.speak(func(s *socket) error {
			return unmade("bringing "+name+" up", s.change(raised(name)))
		})
	}}
}

// rename gives an interface that is down another name; undo removes it.
func rename(p place, name, to, from, why string) program.Request {
	return program.Request{Call: p.typed + "ip link set " + name + " name " + to, From: from, Why: why, Undo: dropped(p, to), Do: func() error {
		return p.speak(func(s *socket) error {
			l, err := s.link(name)
			if err != nil {
				return err
			}
			h := nl.NewIfInfomsg(unix.AF_UNSPEC)
			h.Index = int32(l.index)
			m := message{kind: unix.RTM_NEWLINK, parts: []nl.NetlinkRequestData{h}}
			m.add(unix.IFLA_IFNAME, nl.ZeroTerminated(to))
			return refused("renaming "+name+" to "+to, s.change(m))
		})
	}}
}

// raised is the message that brings an interface up.
func raised(name string) message { return flagged(name, unix.IFF_UP) }

// lowered is the one that takes it down.
func lowered(name string) message { return flagged(name, 0) }

func flagged(name string, up uint32) message {
	m := named(unix.RTM_NEWLINK, name)
	h := nl.NewIfInfomsg(unix.AF_UNSPEC)
	h.Flags, h.Change = up, unix.IFF_UP
	m.parts[0] = h
	return m
}

// remove is the request ip link del NAME. An interface that is gone already is as it should be.
func remove(p place, name, from, why string) program.Request {
	return program.Request{Call: p.typed + "ip link del " + name, From: from, Why: why, Do: func() error {
		return missing(drop(p, name))
	}}
}

// missing tolerates that an interface is not there any more.
func missing(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return program.Tolerated{Errno: unix.ENODEV}
	}
	return err
}

func drop(p place, name string) error {
	return p.speak(func(s *socket) error {
		return refused("removing the interface "+name, s.change(named(unix.RTM_DELLINK, name)))
	})
}

// dropped is the way back of what made an interface.
func dropped(p place, name string) func() error {
	return func() error {
		if err := drop(p, name); err != nil && !errors.Is(err, unix.ENODEV) {
			return err
		}
		return nil
	}
}

// Leftover returns the requests that remove a veth's end, or another interface of ours, from the host by its name, if it is there.
func Leftover(name string) ([]program.Request, error) {
	l, err := find(name)
	if err != nil || l == nil {
		return nil, err
	}
	return []program.Request{remove(here, name, "", "remove "+name+", which was left when its container went")}, nil
}

// find is an interface of the host, nil if there is none of that name.
func find(name string) (found *link, err error) {
	err = here.speak(func(s *socket) error {
		l, err := s.link(name)
		found = &l
		return err
	})
	if errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	return found, err
}

// setMTU is the request ip link set NAME mtu N.
func setMTU(p place, name string, mtu int, from string) program.Request {
	call := fmt.Sprintf("%sip link set %s mtu %d", p.typed, name, mtu)
	return program.Request{Call: call, From: from, Why: fmt.Sprintf("packets of up to %d bytes", mtu), Do: func() error {
		return p.speak(func(s *socket) error {
			m := named(unix.RTM_NEWLINK, name)
			m.add(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu)))
			return refused(fmt.Sprintf("setting the MTU of %s", name), s.change(m))
		})
	}}
}
