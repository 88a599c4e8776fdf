package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// index is index.json: the layout's list of manifests, and our only record of names. Each entry is one reference to an
// image, in its familiar form under org.opencontainers.image.ref.name, where skopeo looks for it; an image that has lost its
// last name has one entry without.
type index struct{ ocispec.Index }

// readIndex reads the names; a store that does not exist yet has none.
func (s *Store) readIndex() (*index, error) {
	x := &index{ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}}
	was, err := s.index.read(s.indexPath())
	if errors.Is(err, fs.ErrNotExist) {
		x.Manifests = []ocispec.Descriptor{}
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of images: %w", err)
	}
	x.Index = was
	return x, nil
}

// changeIndex reads, changes and replaces index.json while nobody else does.
func (s *Store) changeIndex(ctx context.Context, f func(*index) error) error {
	return s.change(ctx, func() error {
		x, err := s.readIndex()
		if err != nil {
			return err
		}
		if err := f(x); err != nil {
			return err
		}
		return s.writeIndex(x)
	})
}

func (s *Store) writeIndex(x *index) error {
	return s.index.write(s.indexPath(), x.Index)
}

// refOf is the reference of an entry, in normal form; nil for a nameless one.
func refOf(d ocispec.Descriptor) reference.Named {
	name := d.Annotations[ocispec.AnnotationRefName]
	if name == "" {
		return nil
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil // written by another tool under a name that Docker would not accept: its id still finds it
	}
	return plainRef(ref)
}

// plainRef gives a reference the form in which it is kept: with a tag, or with a digest and no tag.
func plainRef(ref reference.Named) reference.Named {
	if d, ok := ref.(reference.Digested); ok {
		if c, err := reference.WithDigest(reference.TrimNamed(ref), d.Digest()); err == nil {
			return c
		}
	}
	return reference.TagNameOnly(ref)
}

// find returns the entry of a reference.
func (x *index) find(ref reference.Named) (ocispec.Descriptor, bool) {
	i := slices.IndexFunc(x.Manifests, namedBy(ref))
	if i < 0 {
		return ocispec.Descriptor{}, false
	}
	return x.Manifests[i], true
}

// namedBy tells the entries of a reference. Those that we wrote hold it in its familiar form; parsing is for others'.
func namedBy(ref reference.Named) func(ocispec.Descriptor) bool {
	ref = plainRef(ref)
	familiar, full := reference.FamiliarString(ref), ref.String()
	return func(d ocispec.Descriptor) bool {
		if d.Annotations[ocispec.AnnotationRefName] == familiar {
			return true
		}
		if d.Annotations[idNote] != "" {
			return false
		}
		r := refOf(d)
		return r != nil && r.String() == full
	}
}

// set makes ref name the manifest. An image that thereby loses its last name stays, nameless.
func (x *index) set(ref reference.Named, d ocispec.Descriptor) {
	x.unset(ref)
	x.add(reference.FamiliarString(plainRef(ref)), d)
}

// add appends an entry, and drops the nameless one that a named image no longer needs.
func (x *index) add(name string, d ocispec.Descriptor) {
	x.Manifests = slices.DeleteFunc(x.Manifests, func(e ocispec.Descriptor) bool {
		return e.Digest == d.Digest && e.Annotations[ocispec.AnnotationRefName] == ""
	})
	notes := map[string]string{}
	for k, v := range d.Annotations {
		notes[k] = v
	}
	delete(notes, ocispec.AnnotationRefName)
	if name != "" {
		notes[ocispec.AnnotationRefName] = name
	}
	d.Annotations = notes
	x.Manifests = append(x.Manifests, d)
}

// unset takes a reference away.
func (x *index) unset(ref reference.Named) {
	d, ok := x.find(ref)
	if !ok {
		return
	}
	x.Manifests = slices.DeleteFunc(x.Manifests, namedBy(ref))
	if !x.holds(d.Digest) {
		x.add("", d)
	}
}

// holds tells whether any entry leads to the manifest.
func (x *index) holds(manifest digest.Digest) bool {
	return slices.ContainsFunc(x.Manifests, func(e ocispec.Descriptor) bool { return e.Digest == manifest })
}

// drop takes all entries of an image away.
func (x *index) drop(manifests []digest.Digest) {
	x.Manifests = slices.DeleteFunc(x.Manifests, func(e ocispec.Descriptor) bool {
		return slices.Contains(manifests, e.Digest)
	})
}
