package image

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"glassbox/store"

	"github.com/opencontainers/go-digest"
)

// randomName is a name that nobody else uses.
func randomName() string { return store.NewID()[:24] }

// collect deletes blobs and layers that no image and no pull going on needs.
func (s *Store) collect(ctx context.Context) error {
	var doomed []string
	err := s.change(ctx, func() error {
		x, err := s.readIndex()
		if err != nil {
			return err
		}
		doomed, err = s.unneeded(x)
		return err
	})
	return errors.Join(err, removeAll(doomed))
}

func removeAll(paths []string) error {
	var err error
	for _, p := range paths {
		err = errors.Join(err, os.RemoveAll(p))
	}
	return err
}

// unneeded takes what nothing needs out of its place, by renaming, and returns where it lies now: the deletion itself may take
// long and needs no lock. The caller holds the store's.
func (s *Store) unneeded(x *index) ([]string, error) {
	blobs, chains, err := s.needed(x)
	if err != nil {
		return nil, err
	}
	numbers, err := s.dropChains(chains)
	if err != nil {
		return nil, err
	}
	doomed, err := s.dropLayers(numbers)
	return doomed, errors.Join(err, s.dropBlobs(blobs))
}

// needed collects, from images and leases, all blobs and layers in use.
func (s *Store) needed(x *index) (blobs, chains map[string]bool, err error) {
	blobs, chains = map[string]bool{}, map[string]bool{}
	for _, d := range x.Manifests {
		if blobs[d.Digest.Encoded()] {
			continue
		}
		img, err := s.load(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		blobs[d.Digest.Encoded()], blobs[img.ID.Encoded()] = true, true
		for _, l := range img.layers {
			blobs[l.Digest.Encoded()] = true
		}
		note(chains, img.ChainIDs())
	}
	leases, err := os.ReadDir(s.dir + "/leases")
	if err != nil {
		return nil, nil, err
	}
	for _, e := range leases {
		path := filepath.Join(s.dir, "leases", e.Name())
		if err := removeOrphan(path); err != nil {
			return nil, nil, err
		}
		raw, err := os.ReadFile(path)
		var h held
		if err != nil || json.Unmarshal(raw, &h) != nil {
			continue // it has just been given back
		}
		note(blobs, h.Blobs)
		note(chains, h.Chains)
	}
	return blobs, chains, nil
}

func note(set map[string]bool, all []digest.Digest) {
	for _, d := range all {
		set[d.Encoded()] = true
	}
}

// dropChains deletes the records of layers that are not needed, and returns the numbers of the others.
func (s *Store) dropChains(needed map[string]bool) (map[string]bool, error) {
	entries, err := os.ReadDir(s.layers + "/chain")
	if err != nil {
		return nil, err
	}
	numbers := map[string]bool{}
	for _, e := range entries {
		if needed[e.Name()] {
			l, err := s.layer(digest.NewDigestFromEncoded(digest.SHA256, e.Name()))
			if err != nil {
				return nil, err
			}
			numbers[strconv.Itoa(l.Number)] = true
		} else if err := os.Remove(filepath.Join(s.layers, "chain", e.Name())); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// dropLayers moves the directories that no record names into temp.
func (s *Store) dropLayers(needed map[string]bool) (doomed []string, err error) {
	entries, err := os.ReadDir(s.layers)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || needed[e.Name()] {
			continue
		}
		to := filepath.Join(s.layers, "temp", "gone-"+e.Name())
		if err := os.Rename(filepath.Join(s.layers, e.Name()), to); err != nil {
			return doomed, err
		}
		doomed = append(doomed, to)
	}
	return doomed, nil
}

func (s *Store) dropBlobs(needed map[string]bool) error {
	entries, err := os.ReadDir(s.blobs())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !needed[e.Name()] {
			if err := os.Remove(filepath.Join(s.blobs(), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
