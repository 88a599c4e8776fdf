package engine

import (
	"errors"
	"fmt"

	"glassbox/image"

	"github.com/containerd/platforms"
	dockerimage "github.com/docker/docker/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImageHistory is `history`: the steps by which an image was made, the last one first. Those of images that are here, because the
// image was made of them here, bear their ids.
func (e *Engine) ImageHistory(ref string, platform *ocispec.Platform) ([]dockerimage.HistoryResponseItem, error) {
	img, err := e.imageFor(ref, platform)
	if err != nil {
		return nil, err
	}
	sizes, err := e.Images.LayerSizes(img)
	if err != nil {
		return nil, err
	}
	steps := img.Config.History
	all := make([]dockerimage.HistoryResponseItem, len(steps))
	for i, step := range steps {
		item := dockerimage.HistoryResponseItem{ID: "<missing>", CreatedBy: step.CreatedBy, Comment: step.Comment}
		if step.Created != nil {
			item.Created = step.Created.Unix()
		}
		if !step.EmptyLayer {
			if len(sizes) == 0 {
				return nil, errors.New("too many non-empty layers in History section")
			}
			item.Size, sizes = sizes[0], sizes[1:]
		}
		all[len(all)-1-i] = item
	}
	return all, e.nameSteps(all, img)
}

// nameSteps fills in what is known of the images after each step.
func (e *Engine) nameSteps(steps []dockerimage.HistoryResponseItem, img *image.Image) error {
	for i := range steps {
		steps[i].ID, steps[i].Tags = img.ID.String(), img.Tags
		if img.Parent == "" {
			return nil
		}
		parent, err := e.Images.Resolve(img.Parent.String())
		var missing *image.NotFound
		if errors.As(err, &missing) {
			return nil
		}
		if err != nil {
			return err
		}
		img = parent
	}
	return nil
}

// imageFor resolves an image, which must be for the platform if one is given.
func (e *Engine) imageFor(ref string, platform *ocispec.Platform) (*image.Image, error) {
	img, err := e.Images.Resolve(ref)
	if err != nil || platform == nil {
		return img, err
	}
	k := img.Config
	is := ocispec.Platform{OS: k.OS, Architecture: k.Architecture, Variant: k.Variant}
	if platforms.Only(*platform).Match(is) {
		return img, nil
	}
	return nil, &Error{Class: NotFound, Text: fmt.Sprintf("image with reference %s was found but its platform (%s) does not match the specified platform (%s)",
		ref, platforms.FormatAll(is), platforms.FormatAll(*platform))}
}
