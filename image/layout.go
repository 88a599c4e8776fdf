package image

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout loads what index.json of an OCI layout names: of a list the image for the wanted platform.
func (l *loading) layout(ctx context.Context, raw []byte) error {
	var x ocispec.Index
	if err := json.Unmarshal(raw, &x); err != nil {
		return fmt.Errorf("reading index.json: %w", err)
	}
	var unnamed []digest.Digest
	named := false
	for _, d := range x.Manifests {
		if d.Annotations["vnd.docker.reference.type"] != "" {
			continue // BuildKit's notes about another entry
		}
		m, err := l.manifest(d, maxDepth)
		if err != nil {
			return err
		}
		refs := layoutNames(d)
		a, err := l.arrival(m, refs)
		if err != nil {
			return err
		}
		id, err := a.load(ctx)
		if err != nil {
			return err
		}
		if id != "" && len(refs) == 0 {
			unnamed = append(unnamed, id)
		}
		named = named || id != "" && len(refs) > 0
	}
	if !named || len(unnamed) > 0 {
		l.unnamed(unnamed)
	}
	return nil
}

// maxDepth is how deep lists of lists may be: the specification sets no limit, and nobody needs more.
const maxDepth = 4

// manifest finds the image that a descriptor stands for, perhaps by way of lists.
func (l *loading) manifest(d ocispec.Descriptor, depth int) ([]byte, error) {
	if depth == 0 {
		return nil, fmt.Errorf("the list of images %s is nested too deep", d.Digest)
	}
	raw, err := l.blob(d)
	if err != nil {
		return nil, err
	}
	var x ocispec.Index
	if err := json.Unmarshal(raw, &x); err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
	}
	if x.Manifests == nil {
		return raw, nil
	}
	want := thisPlatform()
	if l.options.Platform != nil {
		want = *l.options.Platform
	}
	one, err := choose(x.Manifests, want)
	if err != nil {
		if len(x.Manifests) != 1 || x.Manifests[0].Platform != nil {
			return nil, err
		}
		one = x.Manifests[0] // a list that does not say for what its only image is
	}
	return l.manifest(one, depth-1)
}

// blob is a document of the layout, checked.
func (l *loading) blob(d ocispec.Descriptor) ([]byte, error) {
	if err := checkDigest(d.Digest); err != nil {
		return nil, err
	}
	raw, err := l.parts.document(blobName(d.Digest))
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(raw); got != d.Digest || int64(len(raw)) != d.Size {
		return nil, fmt.Errorf("blob %s is not what its descriptor says: %s, %d of %d bytes", d.Digest, got, len(raw), d.Size)
	}
	return raw, nil
}

// arrival collects an image's parts.
func (l *loading) arrival(manifest []byte, refs []reference.NamedTagged) (*arrival, error) {
	var m ocispec.Manifest
	err := json.Unmarshal(manifest, &m)
	if err == nil {
		err = usable(m)
	}
	if err != nil {
		return nil, err
	}
	a := &arrival{loading: l, manifest: manifest, refs: refs}
	if a.config, err = l.blob(m.Config); err != nil {
		return nil, err
	}
	for _, d := range m.Layers {
		a.names = append(a.names, blobName(d.Digest))
		p, err := l.parts.find(blobName(d.Digest))
		if err != nil {
			return nil, err
		}
		if p.made != nil && (p.made.blob.Digest != d.Digest || p.made.blob.Size != d.Size) {
			return nil, fmt.Errorf("layer %s is not what its descriptor says: %s, %d of %d bytes", d.Digest, p.made.blob.Digest, p.made.blob.Size, d.Size)
		}
	}
	return a, nil
}

// usable refuses manifests of other things than images, and layers that are elsewhere.
func usable(m ocispec.Manifest) error {
	switch m.Config.MediaType {
	case ocispec.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json":
	default:
		return fmt.Errorf("unsupported media type %s: this is no image", m.Config.MediaType)
	}
	for _, d := range m.Layers {
		if err := checkLayerType(d); err != nil {
			return err
		}
	}
	return checkDigest(m.Config.Digest)
}

// checkLayerType refuses what cannot be a layer here.
func checkLayerType(d ocispec.Descriptor) error {
	if err := checkForeign(d); err != nil {
		return err
	}
	base, _, _ := strings.Cut(d.MediaType, "+")
	switch base {
	case ocispec.MediaTypeImageLayer, "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd":
		return checkDigest(d.Digest)
	}
	return fmt.Errorf("unsupported media type %s of layer %s", d.MediaType, d.Digest)
}

// layoutNames are the names that a layout's entry gives its image: containerd's annotation, or skopeo's reference if that is more than a tag.
func layoutNames(d ocispec.Descriptor) []reference.NamedTagged {
	for _, name := range []string{d.Annotations[containerdName], d.Annotations[ocispec.AnnotationRefName]} {
		if !strings.ContainsAny(name, ":/") {
			continue
		}
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		if tagged, ok := reference.TagNameOnly(ref).(reference.NamedTagged); ok {
			return []reference.NamedTagged{tagged}
		}
	}
	return nil
}
