package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"glassbox/archive"
)

// Squash makes an image whose layers above those of base (nil: all) are one. Its document is the draft's; nothing of img but its layers is in
// it, and it has no parent, as its history is not its parents'. Somebody holds img meanwhile.
func (s *Store) Squash(ctx context.Context, img, base *Image, d Draft) (*Image, error) {
	below := 0
	if base != nil {
		below = len(base.Config.RootFS.DiffIDs)
		if diffs := img.Config.RootFS.DiffIDs; len(diffs) < below || !slices.Equal(diffs[:below], base.Config.RootFS.DiffIDs) {
			return nil, fmt.Errorf("image %s is not made of %s", short(img.ID), short(base.ID))
		}
	}
	layers, err := s.Layers(img)
	if err != nil {
		return nil, err
	}
	var dirs []*os.File
	defer func() {
		for _, f := range dirs {
			f.Close()
		}
	}()
	for _, path := range layers.Lower {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, f)
	}
	above := len(dirs) - below
	r := archive.Stream(func(w io.Writer) error { return archive.Merge(w, dirs[:above], dirs[above:]) })
	d.Base, d.orphan = base, true
	made, err := s.Add(ctx, r, d)
	return made, errors.Join(err, r.Close())
}
