package image

import (
	"context"
	"fmt"
)

// AddPrefix makes an image of the first layers of another one: what that was in the middle of being built. Base is its parent here.
func (s *Store) AddPrefix(ctx context.Context, of *Image, layers int, d Draft) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if layers > len(of.layers) || layers > len(of.Config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("image %s has %d layers, and its history tells of more", short(of.ID), len(of.layers))
	}
	return s.draw(d, func(m *made) error {
		m.empty, m.of, m.first = true, of, layers
		return nil
	})
}
