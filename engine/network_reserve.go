package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"glassbox/network"
	"glassbox/store"
)

// hold keeps the network from being removed while a container is plugged in.
func (n *Networks) hold(ctx context.Context, r *networkRecord) (*store.Lock, error) {
	lock, err := store.Shared(ctx, r.place.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noNetwork(r.Name)
	}
	if err != nil {
		return nil, err
	}
	// While we waited it may have been removed.
	if _, err := os.Lstat(r.place.Document()); err != nil {
		return nil, errors.Join(noNetwork(r.Name), lock.Release())
	}
	return lock, nil
}

// reserve claims an address of each family that the network has: the wanted one, or the lowest that is free. Each comes with
// its subnet's length, IPv4 first. What the container had claimed before stays its own. After an error nothing is claimed.
func (n *Networks) reserve(r *networkRecord, container string, want4, want6 netip.Addr) ([]netip.Prefix, error) {
	if err := n.settle(r); err != nil {
		return nil, err
	}
	taken, err := n.claimed(r)
	if err != nil {
		return nil, err
	}
	s := &search{n: n, r: r, owner: container, taken: taken}
	var given []netip.Prefix
	for _, f := range []struct {
		v6, has bool
		want    netip.Addr
	}{{false, r.EnableIPv4, want4}, {true, r.EnableIPv6, want6}} {
		if !f.has || r.kind() == "" {
			continue
		}
		a, err := s.find(f.v6, f.want)
		if err != nil {
			return nil, errors.Join(err, n.release(r, container, given...))
		}
		given = append(given, a)
	}
	return given, nil
}

// claimed are the addresses that somebody holds. The first to ask since the machine was started drops the claims of those who do not
// run any more: later on, whoever ends gives his back, and what a kill has left over is reclaimed when nothing else is free.
func (n *Networks) claimed(r *networkRecord) (map[string]bool, error) {
	if _, err := os.Lstat(r.place.Run); errors.Is(err, fs.ErrNotExist) {
		if err := r.place.Addresses().Sweep(func(_, owner string) bool { return n.stale(owner) }); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(r.place.Run, 0o711); err != nil {
			return nil, err
		}
	}
	all, err := r.place.Addresses().All()
	taken := make(map[string]bool, len(all))
	for _, name := range all {
		taken[name] = true
	}
	return taken, err
}

// stale: the container is gone, or does not run and is not being started. Whoever starts it holds its lock.
func (n *Networks) stale(container string) bool {
	c := n.containers
	if held, err := store.Held(c.root.Container(container).Dir); err != nil || held {
		return false
	}
	r, err := c.read(container)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	s, err := c.state(r)
	return err == nil && !s.Running
}

// search looks for addresses of one network for one container.
type search struct {
	n     *Networks
	r     *networkRecord
	owner string
	taken map[string]bool
}

func (s *search) find(v6 bool, want netip.Addr) (netip.Prefix, error) {
	for i := range s.r.Pools {
		p := &s.r.Pools[i]
		if p.v6() != v6 || want.IsValid() && !p.Subnet.Contains(want) {
			continue
		}
		if want.IsValid() {
			return s.exactly(p, want)
		}
		for _, reclaim := range []bool{false, true} {
			if a, err := s.lowest(p, reclaim); err != nil || a.IsValid() {
				return a, err
			}
		}
	}
	if want.IsValid() {
		return netip.Prefix{}, invalid("invalid address %s: It does not belong to any of this network's subnets", want)
	}
	family := 4
	if v6 {
		family = 6
	}
	return netip.Prefix{}, fmt.Errorf("no available IPv%d addresses on this network's address pools: %s (%s)", family, s.r.Name, s.r.ID)
}

var errAddressInUse = &Error{Class: Forbidden, Text: "Address already in use"}

func (s *search) exactly(p *addressPool, want netip.Addr) (netip.Prefix, error) {
	if p.kept(want) {
		return netip.Prefix{}, errAddressInUse
	}
	ok, err := s.claim(want)
	if err == nil && !ok {
		err = errAddressInUse
	}
	return netip.PrefixFrom(want, p.Subnet.Bits()), err
}

// lowest claims the first address that nobody has; with reclaim also one whose owner has lost the right to it. The result is invalid
// when there is none.
func (s *search) lowest(p *addressPool, reclaim bool) (netip.Prefix, error) {
	for a := range network.Candidates(p.Subnet, p.within()) {
		if s.taken[a.String()] && !reclaim || p.kept(a) {
			continue
		}
		if ok, err := s.claim(a); ok || err != nil {
			return netip.PrefixFrom(a, p.Subnet.Bits()), err
		}
	}
	return netip.Prefix{}, nil
}

func (s *search) claim(a netip.Addr) (bool, error) {
	err := s.r.place.Addresses().Claim(a.String(), s.owner, s.n.stale)
	var taken *store.Taken
	if errors.As(err, &taken) {
		return false, nil
	}
	return err == nil, err
}

// release gives a container's addresses back: those named, or all that it has claimed.
func (n *Networks) release(r *networkRecord, container string, addresses ...netip.Prefix) error {
	claims := r.place.Addresses()
	var names []string
	for _, a := range addresses {
		names = append(names, a.Addr().String())
	}
	var errs []error
	if len(addresses) == 0 {
		all, err := claims.All()
		names, errs = all, append(errs, err)
	}
	for _, name := range names {
		if owner, err := claims.Owner(name); err == nil && owner == container {
			errs = append(errs, claims.Release(name))
		}
	}
	return errors.Join(errs...)
}
