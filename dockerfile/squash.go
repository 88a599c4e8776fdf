package dockerfile

import (
	"context"
	"slices"

	"glassbox/image"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// squash makes one layer of all that was added to the last stage's base image. Its history tells of the same steps, now without layers, and of
// the merge. The image of many layers stays, since the next build's cache is made of it.
func (s *stage) squash(ctx context.Context) error {
	if s.id == s.begun {
		return nil
	}
	img, err := s.load(ctx)
	if err != nil {
		return err
	}
	var base *image.Image
	below, comment := 0, "create new from "+s.id.String()
	if s.begun != "" {
		if base, err = s.engine.Images.Resolve(s.begun.String()); err != nil {
			return err
		}
		below, comment = len(base.Config.History), "merge "+s.id.String()+" to "+s.begun.String()
	}
	now := s.now()
	d := image.Draft{Hold: s.hold, Event: "create"}
	if s.Epoch != nil {
		d.Epoch = *s.Epoch
	}
	k := &d.Document
	k.Platform, k.Created, k.Author, k.Config = img.Config.Platform, &now, s.author, s.edit.ImageConfig()
	k.History = slices.Clone(img.Config.History)
	for i := below; i < len(k.History); i++ {
		k.History[i].EmptyLayer = true
	}
	k.History = append(k.History, ocispec.History{Created: &now, Comment: comment})
	if s.image, err = s.engine.Images.Squash(ctx, img, base, d); err != nil {
		return err
	}
	s.id = s.image.ID
	return nil
}
