package engine

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"glassbox/firewall"
	"glassbox/network"
	"glassbox/program"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// lost is what the kernel lacks of a network that a running container is on.
func (k *check) lost(id string) error {
	n := k.c.networks
	r, err := n.read(id)
	if err != nil || !r.raised() {
		return gone(err)
	}
	requests, err := n.lacks(r)
	if err != nil || len(requests) == 0 {
		return err
	}
	var calls []string
	for _, request := range requests {
		calls = append(calls, firstLine(request.Call))
	}
	k.suspect("network "+r.Name, "it has lost something on this host", "made again: "+strings.Join(calls, "; "), func() error {
		_, err := n.mendOne(id)
		return err
	})
	return nil
}

// networks looks for half-made networks, and for what is known of them after they went.
func (k *check) networks() error {
	n := k.c.networks
	ids, err := k.c.root.NetworkIDs()
	errs := []error{err}
	for _, id := range ids {
		if _, err := n.read(id); errors.Is(err, fs.ErrNotExist) && k.halfMade(n.root.Network(id)) {
			k.suspect("network "+id[:12], "a command was killed while it made or removed it", "removed", func() error { return k.sweepNetwork(n.root.Network(id)) })
		}
	}
	running, err := k.c.root.NetworkRunIDs()
	errs = append(errs, err)
	for _, id := range running {
		p := n.root.Network(id)
		if _, err := os.Lstat(p.Dir); errors.Is(err, fs.ErrNotExist) {
			k.suspect("directory "+p.Run, "its network is gone", "removed", p.Remove)
			continue
		}
		errs = append(errs, k.announcements(id, p))
	}
	return errors.Join(errs...)
}

func (k *check) halfMade(p store.NetworkPlace) bool {
	if held, err := store.Held(p.Dir); err != nil || held {
		return false
	}
	_, err := os.Lstat(p.Document() + ".corrupt")
	return errors.Is(err, fs.ErrNotExist)
}

func (k *check) sweepNetwork(p store.NetworkPlace) error {
	n := k.c.networks
	lock, err := n.alone(n.root.LockNetworks)
	if err != nil {
		return err
	}
	defer lock.Release()
	swept, err := p.Sweep()
	if err == nil && !swept {
		return errNotSo
	}
	n.sweepLinks(p.ID)
	return err
}

// announcements are the names of containers that do not run.
func (k *check) announcements(id string, p store.NetworkPlace) error {
	all, err := p.Announced()
	for _, container := range all {
		if !k.c.networks.stale(container) {
			continue
		}
		r, err := k.c.networks.read(id)
		if err != nil {
			return gone(err)
		}
		k.suspect("names on network "+r.Name, k.whose(container)+" does not run", "removed", func() error {
			if !k.c.networks.stale(container) {
				return errNotSo
			}
			return silence(r, container)
		})
	}
	return err
}

// attempts to change the firewall's table while others change it, too.
const attempts = 10

// table compares what the firewall holds with what it shall hold.
func (k *check) table() error {
	for range attempts {
		if k.deaf {
			return nil
		}
		held, err := k.strays()
		if held == nil || err != nil {
			return err
		}
		words := held.Words()
		if len(words) == 0 {
			return nil
		}
		var failure error
		if k.clean {
			if failure = held.Drop(); errors.Is(failure, unix.ERESTART) {
				continue
			}
		}
		k.suspect("nftables table glassbox", "no container and no network has "+strings.Join(words, ", "), "taken out", func() error { return failure })
		return nil
	}
	return nil // so busy a table is looked at again with the next check
}

// strays are elements that nothing accounts for; nil when they cannot be told from another glassbox's.
func (k *check) strays() (*firewall.Strays, error) {
	n := k.c.networks
	// Who raises or lowers a network has the firewall know of it before, and forget it before, the network's mark says so.
	lock, err := n.alone(n.root.LockBridges)
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	held, err := firewall.Contents()
	if held == nil || err != nil {
		return nil, err
	}
	known, err := n.all()
	if err != nil {
		return nil, err
	}
	present, err := network.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, bridge := range held.Bridges() {
		mine := slices.ContainsFunc(known, func(r *networkRecord) bool { return r.Bridge == bridge })
		there := slices.ContainsFunc(present, func(i network.Present) bool { return i.Name == bridge })
		if !mine && there {
			k.foreign(bridge)
			return nil, nil
		}
	}
	desired, err := n.desired()
	if err != nil {
		return nil, err
	}
	held.Except(desired)
	return held, nil
}

func (k *check) foreign(bridge string) {
	k.leaves("bridge "+bridge, "it is in the nftables table glassbox, and no network of "+k.c.root.Data+" has it", "ip link del "+bridge)
}

// interfaces are the host's ends of containers that are gone.
func (k *check) interfaces() error {
	if k.deaf {
		return nil
	}
	left, err := lasting(k.strayInterfaces)
	for _, i := range left {
		k.suspect("interface "+i.Name, "no running container has it", "removed", func() error { return removeLink(i.Name, new(program.Ledger)) })
	}
	return err
}

func (k *check) strayInterfaces() ([]network.Present, error) {
	present, err := network.Interfaces()
	if err != nil {
		return nil, err
	}
	known, err := k.c.networks.all()
	if err != nil {
		return nil, err
	}
	running, err := k.c.wirings()
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, w := range running {
		for _, e := range w.Endpoints {
			named[e.Interface.Host] = true
		}
	}
	return slices.DeleteFunc(present, func(i network.Present) bool {
		return named[i.Name] || !slices.ContainsFunc(known, func(r *networkRecord) bool { return r.gives(i) })
	}), nil
}

// gives: the network has given the interface to a container, as its port.
func (r *networkRecord) gives(i network.Present) bool {
	return r.Driver == driverBridge && i.Kind == "veth" && i.Master == r.Bridge && len(i.Name) == len("veth")+7 && strings.HasPrefix(i.Name, "veth")
}
