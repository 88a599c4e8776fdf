package image

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"

	"glassbox/store"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// remote is a repository that a layer was pulled from or pushed to, and the blob as which it lies there. A push need then neither pack
// nor send it again: there, and in the registry's other repositories.
type remote struct {
	Repository string        `json:"repository"` // "127.0.0.1:5000/some/thing", "docker.io/library/alpine"
	Blob       digest.Digest `json:"blob"`
	Size       int64         `json:"size"`
	MediaType  string        `json:"mediaType"`
}

const maxRemotes = 8

// remember notes where layers, by their chain ids, lie.
func (s *Store) remember(ctx context.Context, all map[digest.Digest]remote) error {
	return s.change(ctx, func() error {
		for chain, r := range all {
			l, err := s.layer(chain)
			if errors.Is(err, fs.ErrNotExist) {
				continue // not unpacked; or removed meanwhile
			}
			if err != nil {
				return err
			}
			if len(l.Remotes) > 0 && l.Remotes[0] == r {
				continue
			}
			l.Remotes = slices.DeleteFunc(l.Remotes, func(o remote) bool { return o.Repository == r.Repository })
			l.Remotes = slices.Insert(l.Remotes, 0, r)
			l.Remotes = l.Remotes[:min(len(l.Remotes), maxRemotes)]
			raw, err := json.Marshal(l)
			if err == nil {
				err = store.Replace(s.chain(chain), raw, 0o644)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// remotes are where layers lie that come from a repository.
func remotes(from reference.Named, layers []want) map[digest.Digest]remote {
	all := map[digest.Digest]remote{}
	for _, w := range layers {
		all[w.chain] = remote{from.Name(), w.blob.Digest, w.blob.Size, w.blob.MediaType}
	}
	return all
}

// near are the repositories of the same registry, other than this one, that have the layer.
func (l layer) near(to reference.Named) (all []remote) {
	for _, r := range l.Remotes {
		if ref, err := reference.ParseNamed(r.Repository); err == nil && reference.Domain(ref) == reference.Domain(to) && r.Repository != to.Name() {
			all = append(all, r)
		}
	}
	return all
}
