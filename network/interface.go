package network

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Kinds of interfaces.
const (
	KindBridge  = "bridge" // a veth pair, one end in a bridge
	KindMacvlan = "macvlan"
	KindIPvlan  = "ipvlan"
)

// Interface is what one container has of one network.
type Interface struct {
	Kind      string
	Master    string           // the bridge, or the parent interface of the host
	Mode      string           // macvlan: bridge (default) vepa passthru private; ipvlan: l2 (default) l3 l3s
	Flag      string           // ipvlan: bridge (default) private vepa
	Host      string           // name of the host's end of a veth pair; of another kind, the name under which it is born
	Name      string           // inside: eth0
	MAC       net.HardwareAddr // nil: the kernel's choice
	Addresses []netip.Prefix
	Gateways  []netip.Addr // default routes through this interface, at most one of each family; 0.0.0.0 or ::: straight into it
	MTU       int
	Sysctls   map[string]string // net.ipv4.conf.IFNAME.x=y, IFNAME already replaced
	From      string
}

// Plug returns the requests that give the container the interface, up, with addresses and routes.
func (i Interface) Plug(n *Namespace) []program.Request {
	p, on := n.inside(), &known{name: i.Name}
	out := append(i.make(n), i.protocol(p))
	for _, a := range i.Addresses {
		out = append(out, addAddress(p, a, on, i.From, "the container's address on the network"))
	}
	out = append(out, i.notify(p)...)
	for _, key := range slices.Sorted(maps.Keys(i.Sysctls)) {
		out = append(out, set(p, i.key(key), i.Sysctls[key], i.From, "a setting that was asked for"))
	}
	out = append(out, setUp(p, i.Name, i.From, "the interface carries packets when it is up"))
	for _, g := range i.Gateways {
		out = append(out, over(i.Name, g).ask(p, "add", on, i.From, "what is not on a network of the container goes through "+i.Name))
	}
	out = append(out, i.again(n)...)
	if i.Kind != KindBridge {
		patient(out[1:]) // not with the making: there EBUSY is a parent that is used otherwise
	}
	return out
}

// make are the requests that make the interface.
func (i Interface) make(n *Namespace) []program.Request {
	if i.Kind == KindBridge {
		return i.pair(n)
	}
	return i.child(n)
}

// patient lets requests wait for a predecessor of the interface that goes with its namespace, in the kernel's own time: two children
// of one parent cannot have one hardware address (macvlan: EBUSY) or one IP address (ipvlan: EADDRINUSE).
func patient(requests []program.Request) {
	for k, r := range requests {
		requests[k].Do = func() (err error) {
			for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
				err = r.Do()
				if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EADDRINUSE) || time.Since(began) > 2*time.Second {
					return err
				}
			}
		}
	}
}

// ipv6 says whether the network has it.
func (i Interface) ipv6() bool {
	return slices.ContainsFunc(i.Addresses, func(a netip.Prefix) bool { return a.Addr().Is6() })
}

// protocol turns IPv6 on exactly where the network has it: with a link-local address alone, an interface would listen to whoever
// advertises routes.
func (i Interface) protocol(p place) program.Request {
	key := conf("ipv6", i.Name, "disable_ipv6")
	if i.ipv6() {
		return set(p, key, "0", i.From, "the network has IPv6")
	}
	return set(p, key, "1", i.From, "the network has no IPv6: not even a link-local address, by which neighbours could advertise routes")
}

// key is a setting's key with slashes where the interface's name has dots.
func (i Interface) key(key string) string {
	if !strings.Contains(i.Name, ".") {
		return key
	}
	before, after, _ := strings.Cut(key, "."+i.Name+".")
	return strings.ReplaceAll(before, ".", "/") + "/" + i.Name + "/" + after
}

// Unplug returns the requests that take it away again. That of a bridge needs no namespace: both ends of the pair go with the host's.
// The kernel takes 10 to 20 ms for it, nearly all of them asleep (rcu_barrier).
func (i Interface) Unplug(n *Namespace) []program.Request {
	if i.Kind == KindBridge {
		return []program.Request{remove(n.host(), i.Host, i.From, "remove the pair: "+i.Name+" in the container is its other end")}
	}
	return []program.Request{remove(n.inside(), i.Name, i.From, "remove "+i.Name+" from the container")}
}

// Cut returns the requests that silence the interface of a container that has ended, in well under a millisecond: the bridge forgets it
// at once, and its address can be used again. The kernel removes it together with the namespace, a little later.
func (i Interface) Cut() []program.Request {
	if i.Kind != KindBridge {
		return nil
	}
	call := "ip link set " + i.Host + " down"
	why := "cut the cable: the kernel removes it with the container's network namespace, which nobody uses any more"
	return []program.Request{{Call: call, From: i.From, Why: why, Do: func() error {
		return here.speak(func(s *socket) error {
			return missing(refused("cutting "+i.Host, s.change(lowered(i.Host))))
		})
	}}}
}
