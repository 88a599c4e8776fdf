package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"glassbox/store"

	"github.com/docker/docker/api/types/filters"
	dockernetwork "github.com/docker/docker/api/types/network"
)

// Remove takes a network away that nobody is on. Stopped containers that ask for it do not keep it.
func (n *Networks) Remove(ref string) error {
	r, err := n.load(ref)
	if Is(err, NotFound) {
		return n.removeDamaged(ref, err)
	}
	if err != nil {
		return err
	}
	if r.predefined() {
		return forbidden("%s is a pre-defined network and cannot be removed", r.Name)
	}
	lock, err := n.alone(func(ctx context.Context) (*store.Lock, error) { return store.Exclusive(ctx, r.place.Dir) })
	if errors.Is(err, fs.ErrNotExist) {
		return noNetwork(ref)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	// Read only now: while we waited it may have been removed.
	if r, err = n.read(r.ID); errors.Is(err, fs.ErrNotExist) {
		return noNetwork(ref)
	}
	if err != nil {
		return err
	}
	return n.remove(r)
}

// removeDamaged takes away what a network whose document was damaged has left, by its id.
func (n *Networks) removeDamaged(ref string, missing error) error {
	ids, err := n.root.NetworkIDs()
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, ref) })
	if len(ids) != 1 || len(ref) < 12 {
		return missing
	}
	p := n.root.Network(ids[0])
	lock, err := n.alone(func(ctx context.Context) (*store.Lock, error) { return store.Exclusive(ctx, p.Dir) })
	if err != nil {
		return missing
	}
	defer lock.Release()
	n.sweepLinks(p.ID)
	return p.Remove()
}

func (n *Networks) remove(r *networkRecord) error {
	if err := n.removable(r); err != nil {
		return prefixed("error while removing network", err)
	}
	if err := n.lower(r); err != nil {
		return fmt.Errorf("error while removing network: %w", err)
	}
	err := errors.Join(r.place.Remove(), n.unname(r))
	if err == nil && !r.ConfigOnly {
		n.containers.tellAll(r.membership().event("destroy"))
	}
	return err
}

func (n *Networks) removable(r *networkRecord) error {
	if r.ConfigOnly {
		all, err := n.all()
		for _, o := range all {
			if o.ConfigFrom == r.Name {
				return forbidden("configuration network %q is in use", r.Name)
			}
		}
		return err
	}
	guests, err := n.guests(r)
	if err != nil || len(guests) == 0 {
		return err
	}
	var names []string
	for _, g := range guests {
		names = append(names, fmt.Sprintf("name:%q id:%q", g.name, g.endpoint.ID[:12]))
	}
	return forbidden("network %s has active endpoints (%s)", r.Name, strings.Join(names, ", "))
}

// Prune removes the networks that nobody is on.
func (n *Networks) Prune(f filters.Args) (dockernetwork.PruneReport, error) {
	var report dockernetwork.PruneReport
	if err := f.Validate(map[string]bool{"label": true, "label!": true, "until": true}); err != nil {
		return report, invalid("%w", err)
	}
	until, err := pruneUntil(f)
	if err != nil {
		return report, err
	}
	all, err := n.everything()
	if err != nil {
		return report, err
	}
	used, err := n.used()
	if err != nil {
		return report, err
	}
	for _, r := range all {
		if r.predefined() || r.ConfigOnly || used[r.ID] || !until.IsZero() && r.Created.After(until) || !labelsMatch(f, r.Labels) {
			continue
		}
		if err := n.Remove(r.ID); err != nil {
			n.warn(fmt.Sprintf("could not remove local network %s: %v", r.Name, err))
			continue
		}
		report.NetworksDeleted = append(report.NetworksDeleted, r.Name)
	}
	n.containers.tellAll(pruned("network", 0))
	return report, n.tidy()
}

// tidy deletes what killed commands left of networks.
func (n *Networks) tidy() error {
	lock, err := n.alone(n.root.LockNetworks)
	if err != nil {
		return err
	}
	defer lock.Release()
	return errors.Join(n.root.NetworkNames().Sweep(n.lostName), n.sweep())
}
