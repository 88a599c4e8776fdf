package image

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Hold keeps images from being removed while somebody builds on them: a lease of a living process. An image's parents need no hold of
// their own, for they cannot be removed before it.
type Hold struct {
	store *Store
	claim *claim
	held  []digest.Digest
	size  int64 // of the lease's file
}

// Hold begins to hold nothing yet.
func (s *Store) Hold(ctx context.Context) (*Hold, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	c, err := s.lease(ctx, held{})
	if err != nil {
		return nil, err
	}
	info, err := c.file.Stat()
	if err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return &Hold{store: s, claim: c, size: info.Size()}, nil
}

// Add holds images too, which must be there.
func (h *Hold) Add(ctx context.Context, ids ...digest.Digest) error {
	return h.store.change(ctx, func() error {
		x, err := h.store.readIndex()
		if err != nil {
			return err
		}
		for _, id := range ids {
			if !h.store.names(x, &Image{ID: id}) {
				return &NotFound{id.String()}
			}
			if err := h.note(id); err != nil {
				return err
			}
		}
		return nil
	})
}

// note holds an image. The caller holds the store's lock, as who looks for holds does.
func (h *Hold) note(id digest.Digest) error {
	if h == nil || slices.Contains(h.held, id) {
		return nil
	}
	raw, err := json.Marshal(held{Images: []digest.Digest{id}})
	if err != nil {
		return err
	}
	if _, err := h.claim.file.WriteAt(raw, h.size); err != nil {
		return errors.Join(err, h.claim.file.Truncate(h.size)) // half a document would be in everybody's way
	}
	h.size += int64(len(raw))
	h.held = append(h.held, id)
	return nil
}

// Release lets go of all.
func (h *Hold) Release() error { return h.claim.discard() }

// held is what a process relies on while it lives: a pull, on what no image names yet; a build, on images. A lease's file is a row of such.
type held struct {
	Blobs  []digest.Digest `json:"blobs,omitempty"`
	Chains []digest.Digest `json:"chains,omitempty"`
	Images []digest.Digest `json:"images,omitempty"`
}

// leased is all that living processes rely on. The leases of dead ones are removed.
func (s *Store) leased() (all []held, err error) {
	leases, err := os.ReadDir(s.dir + "/leases")
	if err != nil {
		return nil, err
	}
	for _, e := range leases {
		path := filepath.Join(s.dir, "leases", e.Name())
		if err := removeOrphan(path); err != nil {
			return nil, err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just been given back
		}
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(f)
		for {
			var h held
			if err = d.Decode(&h); err != nil {
				break
			}
			all = append(all, h)
		}
		f.Close()
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return all, nil
}

// building tells that somebody builds on the image. The caller holds the store's lock.
func (s *Store) building(id digest.Digest) (bool, error) {
	all, err := s.leased()
	return slices.ContainsFunc(all, func(h held) bool { return slices.Contains(h.Images, id) }), err
}
