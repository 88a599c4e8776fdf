package engine

import (
	"context"
	"errors"
	"io"

	"glassbox/image"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImagesSave is `save`: the images that names lead to, as one archive. All must be for the platform, if one is given.
func (e *Engine) ImagesSave(ctx context.Context, names []string, platform *ocispec.Platform, w io.Writer) error {
	chosen, err := e.Images.Chosen(names)
	if err != nil {
		return err
	}
	for _, c := range chosen {
		k := c.Image.Config
		if platform != nil && !platforms.OnlyStrict(*platform).Match(ocispec.Platform{OS: k.OS, Architecture: k.Architecture, Variant: k.Variant}) {
			return errors.New("no suitable export target found for platform " + platforms.FormatAll(*platform))
		}
	}
	return e.Images.Save(ctx, w, chosen, image.SaveOptions{})
}
