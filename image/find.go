package image

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// NotFound is the error for a name, digest or id that the store does not have.
type NotFound struct{ Ref string }

func (e *NotFound) Error() string { return "No such image: " + e.Ref }

// Resolve finds an image by what a user types: name, name:tag, name@digest, id or unique prefix of an id.
// A built-in image that was made by another version of this program is made anew.
func (s *Store) Resolve(ref string) (*Image, error) {
	img, entry, err := s.resolve(ref)
	if err != nil || !s.outdated(entry) {
		return img, err
	}
	made, ok, err := s.Builtin(ref)
	if ok || err != nil {
		return made, err
	}
	return img, nil
}

// resolve returns the image as it is, and the index entry of the name by which it was found.
func (s *Store) resolve(ref string) (*Image, ocispec.Descriptor, error) {
	var entry ocispec.Descriptor
	parsed, err := reference.ParseAnyReference(ref)
	if err != nil {
		return nil, entry, err
	}
	x, err := s.readIndex()
	if err != nil {
		return nil, entry, err
	}
	named, ok := parsed.(reference.Named)
	if !ok {
		img, err := s.resolveID(x, ref, parsed.String())
		return img, entry, err
	}
	entry, ok = x.find(named)
	if !ok {
		img, err := s.resolveID(x, ref, reference.FamiliarString(reference.TagNameOnly(named)))
		return img, entry, err
	}
	img, err := s.load(entry)
	if err != nil {
		return nil, entry, err
	}
	return img, entry, s.addNames(x, img)
}

// resolveID finds an image by its id or a prefix that no other id has.
func (s *Store) resolveID(x *index, ref, shown string) (*Image, error) {
	prefix := strings.TrimPrefix(ref, "sha256:")
	if prefix == "" || strings.Trim(prefix, "0123456789abcdef") != "" {
		return nil, &NotFound{shown}
	}
	var found digest.Digest
	var entry ocispec.Descriptor
	for _, d := range x.Manifests {
		id, err := s.idOf(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the index was read
		}
		if err != nil {
			return nil, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
		}
		if !strings.HasPrefix(id.Encoded(), prefix) || id == found {
			continue
		}
		if found != "" {
			return nil, &NotFound{shown} // as Docker: an ambiguous prefix names nothing
		}
		found, entry = id, d
	}
	if found == "" {
		return nil, &NotFound{shown}
	}
	img, err := s.load(entry)
	if err != nil {
		return nil, err
	}
	return img, s.addNames(x, img)
}

// List returns all images, newest first, the untagged ones included.
func (s *Store) List() ([]*Image, error) {
	x, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	return s.images(x)
}

// images loads every image of the index once, with its names, newest first.
func (s *Store) images(x *index) ([]*Image, error) {
	var all []*Image
	byManifest := map[digest.Digest]*Image{}
	byID := map[digest.Digest]*Image{}
	for _, d := range x.Manifests {
		img := byManifest[d.Digest]
		if img == nil {
			loaded, err := s.load(d)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed since the index was read
			}
			if err != nil {
				return nil, err
			}
			// Two manifests may have one config: the same image, packed differently.
			if img = byID[loaded.ID]; img == nil {
				img = loaded
				byID[img.ID] = img
				all = append(all, img)
			}
			byManifest[d.Digest] = img
		}
		img.name(d)
	}
	for _, img := range all {
		img.sortNames()
	}
	slices.SortStableFunc(all, func(a, b *Image) int {
		return strings.Compare(created(b), created(a))
	})
	return all, nil
}

func created(i *Image) string {
	if i.Config.Created == nil {
		return ""
	}
	return i.Config.Created.UTC().Format("2006-01-02T15:04:05.000000000")
}

// name notes the reference of an entry.
func (i *Image) name(d ocispec.Descriptor) {
	ref := refOf(d)
	if ref == nil {
		return
	}
	name := reference.FamiliarString(ref)
	if _, ok := ref.(reference.Digested); ok {
		i.Digests = append(i.Digests, name)
	} else {
		i.Tags = append(i.Tags, name)
	}
}

// addNames collects an image's names without loading the others.
func (s *Store) addNames(x *index, img *Image) error {
	for _, d := range x.Manifests {
		id, err := s.idOf(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading manifest %s: %w", d.Digest, err)
		}
		if id == img.ID {
			img.name(d)
		}
	}
	img.sortNames()
	return nil
}

// sortNames orders names as Docker does, by their full forms.
func (i *Image) sortNames() {
	slices.SortFunc(i.Tags, byFullName)
	slices.SortFunc(i.Digests, byFullName)
}

func byFullName(a, b string) int {
	x, errX := reference.ParseNormalizedNamed(a)
	y, errY := reference.ParseNormalizedNamed(b)
	if errX != nil || errY != nil {
		return strings.Compare(a, b)
	}
	return strings.Compare(x.String(), y.String())
}

// IDs are the ids of all images, found by one reading of the index alone.
func (s *Store) IDs() (map[digest.Digest]bool, error) {
	x, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	ids := map[digest.Digest]bool{}
	for _, d := range x.Manifests {
		id, err := s.idOf(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the index was read
		}
		if err != nil {
			return nil, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
		}
		ids[id] = true
	}
	return ids, nil
}
