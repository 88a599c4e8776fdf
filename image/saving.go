package image

import (
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
)

// NoReference is the error for a name that leads to no image, where an id would not be looked for.
type NoReference struct{}

func (*NoReference) Error() string { return "reference does not exist" }

// Chosen finds what `save` is to save, each image once: of a name without a tag all tags, of an id no name.
func (s *Store) Chosen(names []string) ([]Saved, error) {
	x, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	c := &choice{store: s, index: x, at: map[digest.Digest]int{}}
	for _, name := range names {
		if err := c.add(name); err != nil {
			return nil, err
		}
	}
	return c.all, nil
}

type choice struct {
	store *Store
	index *index
	all   []Saved
	at    map[digest.Digest]int
}

func (c *choice) add(name string) error {
	ref, err := reference.ParseAnyReference(name)
	if err != nil {
		return err
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return c.byID(ref.String(), ref.String())
	}
	if reference.FamiliarName(named) == string(digest.Canonical) { // sha256:0123, which reads like a name and a tag
		return c.byID(name, name)
	}
	if !reference.IsNameOnly(named) {
		entry, ok := c.index.find(named)
		if !ok {
			return &NoReference{}
		}
		img, err := c.store.load(entry)
		if err != nil {
			return err
		}
		c.take(img, named)
		return nil
	}
	return c.repository(name, named)
}

// repository takes all tags of a repository, or what has such an id where there is no such repository.
func (c *choice) repository(name string, repository reference.Named) error {
	found := false
	for _, entry := range c.index.Manifests {
		ref := refOf(entry)
		if ref == nil || ref.Name() != repository.Name() {
			continue
		}
		img, err := c.store.load(entry)
		if err != nil {
			return err
		}
		c.take(img, ref)
		found = true
	}
	if found {
		return nil
	}
	return c.byID(name, name)
}

func (c *choice) byID(id, shown string) error {
	img, err := c.store.resolveID(c.index, id, shown)
	if err != nil {
		return err
	}
	c.take(img, nil)
	return nil
}

// take notes an image, and the name by which it was asked for if that is one that it may have elsewhere.
func (c *choice) take(img *Image, ref reference.Named) {
	i, ok := c.at[img.ID]
	if !ok {
		i = len(c.all)
		c.at[img.ID] = i
		c.all = append(c.all, Saved{Image: img})
	}
	tagged, ok := ref.(reference.NamedTagged)
	if !ok {
		return
	}
	one := &c.all[i]
	if !slices.ContainsFunc(one.Names, func(n reference.NamedTagged) bool { return n.String() == tagged.String() }) {
		one.Names = append(one.Names, tagged)
	}
}
