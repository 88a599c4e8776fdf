package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Conflict is the error for an image that something still needs.
type Conflict struct{ message string }

func (e *Conflict) Error() string { return "conflict: " + e.message }

// Remove untags ref and deletes what nothing names any longer. inUse reports which container, if any, uses an image id, and
// whether that container runs (one that runs first); nil: InUse is asked. The rules are those of moby's ImageDelete.
func (s *Store) Remove(ref string, force bool, inUse func(digest.Digest) (container string, running bool)) (untagged, deleted []string, err error) {
	if inUse == nil {
		inUse = s.InUse
	}
	img, _, err := s.resolve(ref)
	if err != nil {
		return nil, nil, err
	}
	ctx := context.Background()
	if err := s.prepare(); err != nil {
		return nil, nil, err
	}
	var doomed []string
	err = s.change(ctx, func() error {
		x, err := s.readIndex()
		if err != nil {
			return err
		}
		r := &removal{store: s, index: x, img: img, ref: ref, force: force}
		if inUse != nil {
			r.container, r.running = inUse(img.ID)
		}
		if err := r.run(); err != nil {
			return err
		}
		if r.gone && r.container != "" {
			if err := s.keep(img); err != nil {
				return err
			}
		}
		untagged = r.untagged
		if err := s.writeIndex(x); err != nil || !r.gone {
			return err
		}
		before := s.ownChains(img)
		if doomed, err = s.unneeded(x); err != nil {
			return err
		}
		deleted = append(deleted, img.ID.String())
		for _, chain := range before {
			if !s.hasLayer(chain) {
				deleted = append(deleted, chain.String())
			}
		}
		return nil
	})
	return untagged, deleted, errors.Join(err, removeAll(doomed))
}

// ownChains lists the image's unpacked layers, topmost first, as Docker deletes them.
func (s *Store) ownChains(img *Image) []digest.Digest {
	var all []digest.Digest
	for _, chain := range img.ChainIDs() {
		if s.hasLayer(chain) {
			all = append([]digest.Digest{chain}, all...)
		}
	}
	return all
}

// removal is one `rmi` while the store is locked.
type removal struct {
	store     *Store
	index     *index
	img       *Image
	ref       string
	force     bool
	container string
	running   bool
	refs      []reference.Named
	untagged  []string
	gone      bool
}

func (r *removal) run() error {
	manifests, err := r.load()
	if err != nil {
		return err
	}
	byID := strings.HasPrefix(r.img.ID.String(), r.ref) || strings.HasPrefix(r.img.ID.Encoded(), r.ref)
	quiet := false
	if !byID {
		done, err := r.untag()
		if err != nil || done {
			return err
		}
		quiet = true
	} else if oneRepository(r.refs) {
		if err := r.conflict(false); err != nil {
			return err
		}
		r.untagAll(r.refs)
	}
	if err := r.conflict(!quiet); err != nil {
		if quiet {
			return nil // the name is gone, the image stays for its container
		}
		return err
	}
	r.untagAll(r.refs)
	r.index.drop(manifests)
	r.gone = true
	return nil
}

// load finds the image's references as they are now, tags first as they were given.
func (r *removal) load() (manifests []digest.Digest, err error) {
	for _, d := range r.index.Manifests {
		id, err := r.store.idOf(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if id != r.img.ID {
			continue
		}
		manifests = append(manifests, d.Digest)
		if ref := refOf(d); ref != nil {
			r.refs = append(r.refs, ref)
		}
	}
	if len(manifests) == 0 {
		return nil, &NotFound{r.ref} // another process was quicker
	}
	return manifests, nil
}

// untag takes the given reference away, and the digests of its repository with the repository's last tag. done: others remain.
func (r *removal) untag() (done bool, err error) {
	if !r.force && r.container != "" && oneRepository(r.refs) {
		return false, &Conflict{fmt.Sprintf("unable to remove repository reference %q (must force) - container %s is using its referenced image %s",
			r.ref, r.container[:min(12, len(r.container))], short(r.img.ID))}
	}
	named, err := reference.ParseNormalizedNamed(r.ref)
	if err != nil {
		return false, err
	}
	ref := plainRef(named)
	r.untagAll([]reference.Named{ref})
	if _, ok := ref.(reference.Canonical); !ok {
		var digests []reference.Named
		for _, other := range r.refs {
			if other.Name() != ref.Name() {
				continue
			}
			if _, ok := other.(reference.Canonical); !ok {
				digests = nil
				break
			}
			digests = append(digests, other)
		}
		r.untagAll(digests)
	}
	return len(r.refs) > 0, nil
}

func (r *removal) untagAll(refs []reference.Named) {
	for _, ref := range append([]reference.Named(nil), refs...) {
		r.index.unset(ref)
		r.untagged = append(r.untagged, reference.FamiliarString(ref))
		kept := r.refs[:0]
		for _, other := range r.refs {
			if other.String() != ref.String() {
				kept = append(kept, other)
			}
		}
		r.refs = kept
	}
}

// conflict says what forbids the deletion of the image. references: its names do, too.
func (r *removal) conflict(references bool) error {
	unable := func(forced, why string) error {
		return &Conflict{fmt.Sprintf("unable to delete %s (%s) - %s", short(r.img.ID), forced, why)}
	}
	id := r.container[:min(12, len(r.container))]
	switch {
	case r.running && r.container != "":
		return unable("cannot be forced", "image is being used by running container "+id)
	case r.force:
		return nil
	case references && len(r.refs) > 0:
		return unable("must be forced", "image is referenced in multiple repositories")
	case r.container != "":
		return unable("must be forced", "image is being used by stopped container "+id)
	}
	return nil
}

// oneRepository tells that all references are of one repository, with at most one tag among them; false for none.
func oneRepository(refs []reference.Named) bool {
	tags := 0
	for _, r := range refs {
		if r.Name() != refs[0].Name() {
			return false
		}
		if _, ok := r.(reference.Canonical); !ok {
			tags++
		}
	}
	return len(refs) > 0 && tags <= 1
}
