package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"glassbox/store"
	vol "glassbox/volume"
)

// claimed is a kind of thing that has one owner.
type claimed struct {
	kind   string
	claims store.Claims
	lost   func(name, owner string) bool // the owner has no right to it
	free   func(name string) error       // what goes with the claim; may be nil
}

// claimKinds are all of them but networks' addresses.
func (c *Containers) claimKinds() []claimed {
	return []claimed{
		{kind: "name", claims: c.root.Names(), lost: func(name, owner string) bool { return c.lost(owner, name) }},
		{kind: "block of host ids", claims: c.root.Ranges(), lost: func(name, owner string) bool { return c.lostRange(owner, name) }},
		{kind: "project", claims: c.root.Projects(), lost: func(name, owner string) bool {
			n, err := strconv.ParseUint(name, 10, 32)
			return err == nil && c.lostProject(owner, uint32(n))
		}, free: func(name string) error {
			n, err := strconv.ParseUint(name, 10, 32)
			if err != nil {
				return err
			}
			return vol.Limit(c.root.Data, uint32(n), 0)
		}},
	}
}

// sweep releases what is lost, and tells of each; where tell says no, it stays claimed.
func (k claimed) sweep(tell func(name, owner string) bool) error {
	var errs []error
	err := k.claims.Sweep(func(name, owner string) bool {
		if !k.lost(name, owner) || !tell(name, owner) {
			return false
		}
		if k.free != nil {
			errs = append(errs, k.free(name))
		}
		return true
	})
	return errors.Join(append(errs, err)...)
}

// sweepClaims releases the names, id ranges and projects of containers that do not exist: a command was killed between two steps.
func (c *Containers) sweepClaims() error {
	var errs []error
	for _, kind := range c.claimKinds() {
		errs = append(errs, kind.sweep(func(string, string) bool { return true }))
	}
	return errors.Join(errs...)
}

// claims are those whose owners have no right to them.
func (k *check) claims() error {
	n := k.c.networks
	kinds := append(k.c.claimKinds(), claimed{kind: "network name", claims: k.c.root.NetworkNames(), lost: n.lostName})
	all, err := n.all()
	for _, r := range all {
		kinds = append(kinds, claimed{kind: "address on network " + r.Name, claims: r.place.Addresses(), lost: func(_, owner string) bool { return n.stale(owner) }})
	}
	errs := []error{err}
	for _, kind := range kinds {
		errs = append(errs, k.sweep(kind))
	}
	return errors.Join(errs...)
}

func (k *check) sweep(kind claimed) error {
	// A network's directory of claims is read often, and has rarely anything to sweep.
	return kind.sweep(func(name, owner string) bool {
		what := "it is claimed for " + k.whose(owner) + ", which has no right to it"
		k.suspect(fmt.Sprintf("%s %s", kind.kind, name), what, "released", func() error { return nil })
		return k.clean
	})
}

// lostName: the network that has claimed the name is gone, or has another one.
func (n *Networks) lostName(claim, owner string) bool {
	r, err := n.read(owner)
	return errors.Is(err, fs.ErrNotExist) || err == nil && store.NetworkClaim(r.Name) != claim
}
