package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/rootfs"
	"glassbox/store"

	"github.com/opencontainers/go-digest"
)

// layer is an unpacked layer, as layers/chain records it.
type layer struct {
	Number int           `json:"number"` // its directory below layers/
	Diff   digest.Digest `json:"diff"`   // of the uncompressed archive
	Blob   digest.Digest `json:"blob"`   // of the archive as the registry sent it
	Size   int64         `json:"size"`   // of its files
	Plain  int64         `json:"plain"`  // of the uncompressed archive; 0: noted by nobody
	// Remotes are the repositories that are known to have it, the latest first.
	Remotes []remote `json:"remotes,omitempty"`
}

// layer reads the record of an unpacked layer; the error is fs.ErrNotExist when it is not unpacked.
func (s *Store) layer(chain digest.Digest) (layer, error) {
	var l layer
	raw, err := store.ReadFile(s.chain(chain))
	if err == nil {
		err = json.Unmarshal(raw, &l)
	}
	return l, err
}

func (s *Store) hasLayer(chain digest.Digest) bool {
	_, err := os.Stat(s.chain(chain))
	return err == nil
}

func (s *Store) layerDir(number int) string { return filepath.Join(s.layers, strconv.Itoa(number)) }

// commit gives a completely unpacked layer its number and its record, unless it has them by now. The claim ends.
func (s *Store) commit(ctx context.Context, c *claim, chain digest.Digest, l layer) error {
	err := s.change(ctx, func() error {
		err := s.place(c, chain, l)
		c = nil
		return err
	})
	if c != nil { // the store could not be locked
		err = errors.Join(err, c.discard())
	}
	return err
}

// place is commit for who holds the store's lock.
func (s *Store) place(c *claim, chain digest.Digest, l layer) error {
	if s.hasLayer(chain) {
		return c.discard()
	}
	if err := s.number(c, chain, l); err != nil {
		return errors.Join(err, c.discard())
	}
	return c.moved()
}

func (s *Store) number(c *claim, chain digest.Digest, l layer) error {
	// The directory was made for nobody but its maker; as a root directory everybody passes through it.
	if err := c.file.Chmod(0o755); err != nil {
		return err
	}
	last, err := s.lastNumber()
	if err != nil {
		return err
	}
	l.Number = last + 1
	if err := store.Replace(s.layers+"/last", []byte(strconv.Itoa(l.Number)), 0o644); err != nil {
		return err
	}
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := os.Rename(c.path, s.layerDir(l.Number)); err != nil {
		return err
	}
	return store.Replace(s.chain(chain), raw, 0o644)
}

// lastNumber is the highest number ever given to a layer.
func (s *Store) lastNumber() (int, error) {
	raw, err := os.ReadFile(s.layers + "/last")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("reading %s/last: %w", s.layers, err)
	}
	return n, nil
}

// Layers describes img's unpacked layers as the lower part of an overlay; Upper, Work and Mount are the caller's.
// A layer that is not unpacked yet, because another tool put the image here, is unpacked from its blob.
func (s *Store) Layers(img *Image) (rootfs.Layers, error) {
	var r rootfs.Layers
	for n, chain := range img.ChainIDs() {
		l, err := s.layer(chain)
		if errors.Is(err, fs.ErrNotExist) {
			if err = s.unpackBlob(img, n); err == nil {
				l, err = s.layer(chain)
			}
		}
		if err != nil {
			return r, fmt.Errorf("layer %s of image %s: %w", short(chain), short(img.ID), err)
		}
		dir, err := filepath.Abs(s.layerDir(l.Number))
		if err != nil {
			return r, err
		}
		r.Lower = append(r.Lower, dir)
	}
	slices.Reverse(r.Lower)
	return r, nil
}
