package image

import (
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// parentNote notes in an index entry the image that its image was made of here. It stands in no config: elsewhere it would mean nothing.
const parentNote = "glassbox.parent"

func parentOf(entry ocispec.Descriptor) digest.Digest {
	return digest.Digest(entry.Annotations[parentNote])
}

// hasChild tells whether an image was made of that one.
func (x *index) hasChild(id digest.Digest) bool {
	return slices.ContainsFunc(x.Manifests, func(d ocispec.Descriptor) bool { return parentOf(d) == id })
}

// Heads are the images that no other was made of.
func Heads(all []*Image) []*Image {
	parents := map[digest.Digest]bool{}
	for _, img := range all {
		parents[img.Parent] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(img *Image) bool { return parents[img.ID] })
}
