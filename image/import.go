package image

import (
	"context"
	"io"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImportTar makes an image of one layer from an archive, packed (gzip, zstd) or not, in a single reading. config says what
// to run; its RootFS is filled in, and its platform when empty. An empty tag leaves the image nameless.
func (s *Store) ImportTar(r io.Reader, tag string, config ocispec.Image) (*Image, error) {
	return s.importTar(context.Background(), r, tag, config, nil)
}

// importTar notes notes beside the image's entry in the index.
func (s *Store) importTar(ctx context.Context, r io.Reader, tag string, config ocispec.Image, notes map[string]string) (*Image, error) {
	d := Draft{notes: notes}
	d.Document.DockerOCIImage = dockerspec.DockerOCIImage{Image: config, Config: dockerspec.DockerOCIImageConfig{ImageConfig: config.Config}}
	if tag != "" {
		var err error
		if d.Ref, err = tagRef(tag); err != nil {
			return nil, err
		}
	}
	return s.Add(ctx, r, d)
}
