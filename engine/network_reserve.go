package engine

import (
	"context"
	"net/netip"

	"glassbox/store"
)

// hold keeps the network from being removed while a container is plugged in.
func (n *Networks) hold(ctx context.Context, r *networkRecord) (*store.Lock, error) {
	return store.Shared(ctx, r.place.Dir)
}

// reserve claims an address of each family that the network has: the wanted one, or the lowest that is free. Each comes with
// its subnet's length, IPv4 first. Asked again by the same container with a wanted address it already has, it is kept.
func (n *Networks) reserve(r *networkRecord, container string, want4, want6 netip.Addr) ([]netip.Prefix, error) {
	return nil, errStub
}

// release gives a container's addresses back: those named, or all that it has claimed.
func (n *Networks) release(r *networkRecord, container string, addresses ...netip.Prefix) error {
	return errStub
}
