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
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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
		if err := s.mark(d.Digest, blobs, chains); err != nil {
			return nil, nil, err
		}
	}
	if err := s.markKept(chains); err != nil {
		return nil, nil, err
	}
	leases, err := s.leased()
	if err != nil {
		return nil, nil, err
	}
	for _, h := range leases {
		note(blobs, h.Blobs)
		note(chains, h.Chains)
	}
	return blobs, chains, nil
}

// mark notes what an image, or each image of a list, consists of. What is missing (a list's images for other machines) needs nothing.
func (s *Store) mark(manifest digest.Digest, blobs, chains map[string]bool) error {
	if blobs[manifest.Encoded()] {
		return nil
	}
	raw, err := s.document(manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var m struct {
		ocispec.Manifest
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return err
	}
	blobs[manifest.Encoded()] = true
	for _, d := range m.Manifests {
		if err := s.mark(d.Digest, blobs, chains); err != nil {
			return err
		}
	}
	for _, l := range m.Layers {
		blobs[l.Digest.Encoded()] = true
	}
	if m.Config.Digest == "" {
		return nil
	}
	blobs[m.Config.Digest.Encoded()] = true
	img, err := s.loadOne(ocispec.Descriptor{Digest: manifest})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		note(chains, img.ChainIDs())
	}
	return err
}

// keep notes the layers of an image that is removed by force although a stopped container needs them: the image goes, its layers
// stay until the container goes, as in Docker.
func (s *Store) keep(img *Image) error {
	raw, err := json.Marshal(held{Chains: img.ChainIDs()})
	if err != nil {
		return err
	}
	return store.Replace(filepath.Join(s.dir, "kept", img.ID.Encoded()), raw, 0o644)
}

func (s *Store) markKept(chains map[string]bool) error {
	entries, err := os.ReadDir(s.dir + "/kept")
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(s.dir, "kept", e.Name())
		if s.InUse != nil {
			if c, _ := s.InUse(digest.NewDigestFromEncoded(digest.SHA256, e.Name())); c == "" {
				if err := os.Remove(path); err != nil {
					return err
				}
				continue
			}
		}
		raw, err := os.ReadFile(path)
		var h held
		if err == nil {
			err = json.Unmarshal(raw, &h)
		}
		if err != nil {
			return err
		}
		note(chains, h.Chains)
	}
	return nil
}

// Collect deletes the layers that were kept for containers which are gone. It costs one look into an empty directory when
// there are none; whoever removes a container calls it.
func (s *Store) Collect(ctx context.Context) error {
	entries, err := os.ReadDir(s.dir + "/kept")
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return s.collect(ctx)
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
