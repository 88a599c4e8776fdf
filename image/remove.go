package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"glassbox/event"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// Conflict is the error for an image that something still needs.
type Conflict struct{ message string }

func (e *Conflict) Error() string { return "conflict: " + e.message }

// Remove untags ref and deletes what nothing names any longer, with the nameless images that it was made of. inUse reports which
// container, if any, uses an image id, and whether that container runs (one that runs first); nil: InUse is asked. The rules are
// those of moby's ImageDelete.
func (s *Store) Remove(ref string, force bool, inUse func(digest.Digest) (container string, running bool)) (untagged, deleted []string, err error) {
	return s.remove(ref, &removal{force: force, parents: true}, inUse)
}

// RemoveAlone is Remove, but leaves what the image was made of.
func (s *Store) RemoveAlone(ref string, force bool) (untagged, deleted []string, err error) {
	return s.remove(ref, &removal{force: force}, nil)
}

func (s *Store) remove(ref string, r *removal, inUse func(digest.Digest) (string, bool)) (untagged, deleted []string, err error) {
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
	r.store, r.img, r.ref, r.inUse = s, img, ref, inUse
	var doomed []string
	err = s.change(ctx, func() error {
		if r.index, err = s.readIndex(); err != nil {
			return err
		}
		if err := r.run(); err != nil {
			return err
		}
		untagged = r.untagged
		if err := s.writeIndex(r.index); err != nil {
			return err
		}
		s.tell(r.told...)
		if len(r.gone) == 0 {
			return nil
		}
		before := s.ownChains(r.gone)
		if doomed, err = s.unneeded(r.index); err != nil {
			return err
		}
		deleted = s.deleted(r.gone, before)
		return nil
	})
	return untagged, deleted, errors.Join(err, removeAll(doomed))
}

// ownChains lists each image's unpacked layers, topmost first, as Docker deletes them. A layer that several have goes with the
// last of them.
func (s *Store) ownChains(images []*Image) [][]digest.Digest {
	all := make([][]digest.Digest, len(images))
	seen := map[digest.Digest]bool{}
	for i, img := range slices.Backward(images) {
		for _, chain := range slices.Backward(img.ChainIDs()) {
			if !seen[chain] && s.hasLayer(chain) {
				seen[chain] = true
				all[i] = append(all[i], chain)
			}
		}
	}
	return all
}

// deleted names the images and those of their layers that are not there any longer.
func (s *Store) deleted(images []*Image, chains [][]digest.Digest) []string {
	var all []string
	for i, img := range images {
		all = append(all, img.ID.String())
		for _, chain := range chains[i] {
			if !s.hasLayer(chain) {
				all = append(all, chain.String())
			}
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
	parents   bool // nameless images of which the image was made go, too
	inUse     func(digest.Digest) (container string, running bool)
	container string // that uses img
	running   bool
	refs      []reference.Named
	untagged  []string
	gone      []*Image
	told      []event.Event
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
			return nil // the name is gone, the image stays for its container or for those made of it
		}
		return err
	}
	r.untagAll(r.refs)
	if err := r.drop(manifests); err != nil || !r.parents {
		return err
	}
	return r.dropParents()
}

// drop takes the image out of the index. One that a container needs leaves it its layers.
func (r *removal) drop(manifests []digest.Digest) error {
	r.index.drop(manifests)
	r.gone = append(r.gone, r.img)
	r.told = append(r.told, event.Event{Type: "image", Action: "delete", ID: string(r.img.ID), Attributes: map[string]string{"name": string(r.img.ID)}})
	if r.container == "" {
		return nil
	}
	return r.store.keep(r.img)
}

// dropParents goes on with what the image was made of, as long as nothing else needs that.
func (r *removal) dropParents() error {
	for r.img.Parent != "" {
		parent, err := r.store.resolveID(r.index, r.img.Parent.String(), "")
		var unknown *NotFound
		if errors.As(err, &unknown) {
			return nil
		}
		if err != nil {
			return err
		}
		r.img, r.ref, r.refs, r.force = parent, parent.ID.String(), nil, false
		manifests, err := r.load()
		if err != nil {
			return err
		}
		if r.conflict(true) != nil {
			return nil
		}
		if err := r.drop(manifests); err != nil {
			return err
		}
	}
	return nil
}

// load finds who uses the image, and its references as they are now, in Docker's order.
func (r *removal) load() (manifests []digest.Digest, err error) {
	r.container, r.running = "", false
	if r.inUse != nil {
		r.container, r.running = r.inUse(r.img.ID)
	}
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
	slices.SortFunc(r.refs, func(a, b reference.Named) int { return strings.Compare(a.String(), b.String()) })
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
		r.unset(digests)
	}
	return len(r.refs) > 0, nil
}

func (r *removal) untagAll(refs []reference.Named) {
	for range refs {
		r.told = append(r.told, r.img.event(string(r.img.ID), "untag", string(r.img.ID)))
	}
	r.unset(refs)
}

func (r *removal) unset(refs []reference.Named) {
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
	building, err := r.store.building(r.img.ID)
	switch {
	case err != nil:
		return err
	case building:
		return unable("cannot be forced", "image is being used by a build that is going on")
	case r.index.hasChild(r.img.ID):
		return unable("cannot be forced", "image has dependent child images")
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
