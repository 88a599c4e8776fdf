package dockerfile

import (
	"errors"
	"reflect"
	"slices"

	"glassbox/image"
	"glassbox/progress"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// openSources finds the images of --cache-from. Those that are not here are left out, as in Docker: nothing is pulled for a cache.
func (b *build) openSources() error {
	for _, name := range b.CacheFrom {
		img, err := b.engine.Images.Resolve(name)
		var missing *image.NotFound
		if errors.As(err, &missing) {
			continue
		}
		if err != nil {
			return err
		}
		b.sources = append(b.sources, img)
	}
	return nil
}

// madeFrom tells whether one of --cache-from's images was made from that one.
func (s *stage) madeFrom(id digest.Digest) (bool, error) {
	for _, img := range s.sources {
		for parent := img.Parent; parent != ""; {
			if parent == id {
				return true, nil
			}
			up, err := s.engine.Images.Resolve(parent.String())
			var missing *image.NotFound
			if errors.As(err, &missing) {
				break
			}
			if err != nil {
				return false, err
			}
			parent = up.Parent
		}
	}
	return false, nil
}

// borrow finds a step in the history of one of --cache-from's images: if that agrees with all that was done so far, and with what is to be done now,
// its layer is the step's. nil: there is none.
func (s *stage) borrow(a action) (*image.Image, error) {
	base, err := s.load(s.ctx)
	if err != nil {
		return nil, err
	}
	var was []ocispec.History
	var layers []digest.Digest
	if base != nil {
		was, layers = base.Config.History, base.Config.RootFS.DiffIDs
	}
	for _, of := range s.borrowed {
		k := of.Config
		if len(k.History) <= len(was) || !slices.EqualFunc(was, k.History[:len(was)], sameHistory) {
			continue
		}
		if len(k.RootFS.DiffIDs) < len(layers) || !slices.Equal(layers, k.RootFS.DiffIDs[:len(layers)]) || k.History[len(was)].CreatedBy != a.said {
			continue
		}
		s.borrowed = []*image.Image{of} // a step of one image and the next of another do not make a build
		if len(k.History) == len(was)+1 {
			return of, nil
		}
		return s.partOf(of, base, len(was), len(layers))
	}
	return nil, nil
}

func sameHistory(a, b ocispec.History) bool { return reflect.DeepEqual(a, b) }

// partOf makes the image that another one was after a step of its history.
func (s *stage) partOf(of, base *image.Image, step, layers int) (*image.Image, error) {
	d := image.Draft{Base: base, Hold: s.hold, Event: "create"}
	h := of.Config.History
	if !h[step].EmptyLayer {
		layers++
	}
	k := &d.Document
	k.Platform, k.History, k.Created, k.Author, k.Config = of.Config.Platform, h[:step+1], h[step].Created, s.author, s.edit.ImageConfig()
	return s.engine.Images.AddPrefix(s.ctx, of, layers, d)
}

// reuse is what --cache-from allows: the local cache where that made one of its images, else a step of their histories.
func (s *stage) reuse(w progress.Work, key string, a action) (done bool, err error) {
	if known, ok := s.cache.find(key); ok {
		if ok, err := s.madeFrom(known.Image); err != nil || ok {
			return err == nil, errors.Join(err, s.hit(w, key, known, a))
		}
	}
	if s.NoCache || s.missed || s.Plan {
		return false, nil
	}
	img, err := s.borrow(a)
	if img == nil || err != nil {
		return false, err
	}
	known := record{Image: img.ID, Parent: s.id, Text: a.said, Inputs: a.inputs, Made: s.now()}
	if img.Config.Created != nil {
		known.Made = *img.Config.Created
	}
	err = errors.Join(s.hold.Add(s.ctx, img.ID), s.hit(w, key, known, a), s.cache.keep(key, known, a.files))
	s.image = img
	return err == nil, err
}
