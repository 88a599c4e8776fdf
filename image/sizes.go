package image

import (
	"errors"
	"io/fs"

	"github.com/opencontainers/go-digest"
)

// LayerSizes are the sizes of the image's layers, lowest first; one that is not unpacked counts as nothing.
func (s *Store) LayerSizes(img *Image) ([]int64, error) {
	var sizes []int64
	for _, id := range img.ChainIDs() {
		l, err := s.layer(id)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		sizes = append(sizes, l.Size)
	}
	return sizes, nil
}

// Usage is how much the images' layers take on the disk, each layer counted once, and how much of each image it shares with others.
func (s *Store) Usage(images []*Image) (total int64, shared map[digest.Digest]int64, err error) {
	sizes, users := map[digest.Digest]int64{}, map[digest.Digest]int{}
	for _, img := range images {
		all, err := s.LayerSizes(img)
		if err != nil {
			return 0, nil, err
		}
		for i, chain := range img.ChainIDs() {
			sizes[chain] = all[i]
			users[chain]++
		}
	}
	shared = map[digest.Digest]int64{}
	for _, img := range images {
		shared[img.ID] = 0
		for _, chain := range img.ChainIDs() {
			if users[chain] > 1 {
				shared[img.ID] += sizes[chain]
			}
		}
	}
	for _, n := range sizes {
		total += n
	}
	return total, shared, nil
}
