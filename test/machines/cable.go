package machines

import (
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
)

// Plug is one end of a cable.
type Plug struct {
	Machine   *Machine
	Interface string
	Addresses []string // with their prefix lengths
}

// Cable joins two machines by a veth pair, both ends up.
func Cable(a, b Plug) error {
	err := a.Machine.EnterNetwork(func() error {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = a.Interface
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: b.Interface, PeerNamespace: netlink.NsPid(b.Machine.Pid())})
	})
	if err != nil {
		return fmt.Errorf("laying a cable from %s to %s: %w", a.Machine.Name, b.Machine.Name, err)
	}
	for _, p := range []Plug{a, b} {
		if err := p.Machine.EnterNetwork(p.raise); err != nil {
			return fmt.Errorf("%s of %s: %w", p.Interface, p.Machine.Name, err)
		}
	}
	return nil
}

func (p Plug) raise() error {
	link, err := netlink.LinkByName(p.Interface)
	if err != nil {
		return err
	}
	// Without duplicate address detection IPv6 addresses can be used at once, the link-local one too. The file is that of the thread's
	// network namespace, whichever /proc it is read through.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+p.Interface+"/accept_dad", []byte("0"), 0); err != nil {
		return err
	}
	for _, text := range p.Addresses {
		address, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("adding %s: %w", text, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// Route sends what goes to a destination ("default" for all) to a gateway.
func (m *Machine) Route(destination, gateway string) error {
	_, err := m.Output("ip", "route", "replace", destination, "via", gateway)
	return err
}

// Forward makes the machine a router.
func (m *Machine) Forward() error {
	_, err := m.Output("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	return err
}
