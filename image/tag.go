package image

import (
	"context"
	"fmt"
	"slices"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Tag makes target name what source names.
func (s *Store) Tag(source, target string) error {
	img, err := s.Resolve(source)
	if err != nil {
		return err
	}
	ref, err := tagRef(target)
	if err != nil {
		return err
	}
	err = s.changeIndex(context.Background(), func(x *index) error {
		if !s.names(x, img) {
			return &NotFound{source} // removed in the meantime
		}
		// As another name of it, without what the first name's entry may note of its origin.
		if d, ok := x.find(ref); !ok || d.Digest != img.Manifest.Digest {
			x.set(ref, img.entry())
		}
		return nil
	})
	if err == nil {
		s.tell(img.event(string(img.ID), "tag", reference.FamiliarString(ref)))
	}
	return err
}

// names tells whether an entry of the index still leads to the image.
func (s *Store) names(x *index, img *Image) bool {
	return slices.ContainsFunc(x.Manifests, func(d ocispec.Descriptor) bool {
		id, err := s.idOf(d)
		return err == nil && id == img.ID
	})
}

// tagRef reads a name that may be given to an image, as Docker checks it.
func tagRef(name string) (reference.Named, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("Error parsing reference: %q is not a valid repository/tag: %w", name, err)
	}
	if _, ok := ref.(reference.Canonical); ok {
		return nil, fmt.Errorf("refusing to create a tag with a digest reference")
	}
	return reference.TagNameOnly(ref), nil
}
