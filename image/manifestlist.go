package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/distribution/reference"
	manifest "github.com/docker/cli/cli/manifest/types"
	"github.com/docker/distribution"
	"github.com/docker/distribution/manifest/manifestlist"
	"github.com/docker/distribution/manifest/ocischema"
	"github.com/docker/distribution/manifest/schema2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Manifests asks a registry what ref names: one image, or the images of a list. It speaks the types in which Docker's client keeps lists that are being made.
func (s *Store) Manifests(ctx context.Context, ref reference.Named, insecure bool) (all []manifest.ImageManifest, isList bool, err error) {
	r, err := s.manifestSide(ctx, ref, "pull", insecure)
	if err != nil {
		return nil, false, err
	}
	defer r.close()
	top, err := r.manifest(ctx, tagOrDigest(ref))
	if err != nil {
		return nil, false, noManifest(ref, err)
	}
	if !top.isList {
		one, err := r.describe(ctx, ref, top)
		return []manifest.ImageManifest{one}, false, err
	}
	for _, d := range top.manifests {
		if err := checkDigest(d.Digest); err != nil {
			return nil, true, err
		}
		m, err := r.manifest(ctx, d.Digest.String())
		if err != nil {
			return nil, true, noManifest(ref, err)
		}
		if m.isList {
			return nil, true, errors.New("unsupported manifest format: a list of lists of images")
		}
		byDigest, err := reference.WithDigest(ref, d.Digest)
		if err != nil {
			return nil, true, err
		}
		one, err := r.describe(ctx, byDigest, m)
		if err != nil {
			return nil, true, err
		}
		one.Descriptor.Platform = d.Platform
		all = append(all, one)
	}
	return all, true, nil
}

// manifestSide connects to the registry of ref.
func (s *Store) manifestSide(ctx context.Context, ref reference.Named, what string, insecure bool) (*repository, error) {
	config, err := readSettings()
	if err != nil {
		return nil, err
	}
	e := direct(reference.Domain(ref), config)
	if insecure {
		e.schemes, e.lax = []string{"https", "http"}, true
	}
	r, err := connect(ctx, e, ref, what, s.patience)
	var away *Unreachable
	if errors.As(err, &away) {
		err = fmt.Errorf("failed to configure transport: error pinging v2 registry: %w", err)
	}
	return r, err
}

// noManifest words that there is nothing, or nothing that we may see.
func noManifest(ref reference.Named, err error) error {
	var a *answer
	if errors.As(err, &a) {
		switch {
		case a.code == "UNAUTHORIZED", a.code == "MANIFEST_UNKNOWN", a.code == "NAME_UNKNOWN", a.status == http.StatusNotFound:
			return fmt.Errorf("no such manifest: %s", ref)
		}
	}
	return err
}

// describe adds to a manifest what the image's config says of its platform.
func (r *repository) describe(ctx context.Context, ref reference.Named, m document) (one manifest.ImageManifest, err error) {
	config, err := r.small(ctx, m.config)
	if err != nil {
		return one, err
	}
	d := ocispec.Descriptor{MediaType: m.descriptor.MediaType, Digest: m.descriptor.Digest, Size: m.descriptor.Size, Platform: &ocispec.Platform{}}
	if err := json.Unmarshal(config, d.Platform); err != nil {
		return one, fmt.Errorf("reading the image config: %w", err)
	}
	switch d.MediaType {
	case dockerManifestType:
		v := &schema2.DeserializedManifest{}
		err = v.UnmarshalJSON(m.raw)
		return manifest.NewImageManifest(ref, d, v), err
	case ocispec.MediaTypeImageManifest:
		v := &ocischema.DeserializedManifest{}
		err = v.UnmarshalJSON(m.raw)
		return manifest.NewOCIImageManifest(ref, d, v), err
	}
	return one, fmt.Errorf("%s is not a manifest", ref)
}

// ManifestList is the document that lists images, to be pushed as target.
func ManifestList(target reference.Named, all []manifest.ImageManifest) (*manifestlist.DeserializedManifestList, error) {
	entries := []manifestlist.ManifestDescriptor{}
	for _, m := range all {
		if from, to := reference.Domain(m.Ref), reference.Domain(target); from != to {
			return nil, fmt.Errorf("cannot use source images from a different registry than the target image: %s != %s", from, to)
		}
		if err := m.Descriptor.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("digest parse of image %q failed: %w", m.Ref, err)
		}
		e := manifestlist.ManifestDescriptor{Descriptor: distribution.Descriptor{Digest: m.Descriptor.Digest, Size: m.Descriptor.Size, MediaType: m.Descriptor.MediaType}}
		if p := manifest.PlatformSpecFromOCI(m.Descriptor.Platform); p != nil {
			e.Platform = *p
		}
		entries = append(entries, e)
	}
	return manifestlist.FromDescriptors(entries)
}

// PushManifests pushes a list of images, and before it those that lie in other repositories of the registry: by reference, their blobs
// are not sent.
func (s *Store) PushManifests(ctx context.Context, target reference.Named, all []manifest.ImageManifest, insecure bool, out io.Writer) error {
	for _, m := range all {
		if p := m.Descriptor.Platform; p == nil || p.Architecture == "" || p.OS == "" {
			return fmt.Errorf("manifest %s must have an OS and Architecture to be pushed to a registry", m.Ref)
		}
	}
	list, err := ManifestList(target, all)
	if err != nil {
		return err
	}
	r, err := s.manifestSide(ctx, target, "pull,push", insecure)
	if err != nil {
		return err
	}
	defer r.close()
	var others []manifest.ImageManifest
	for _, m := range all {
		if m.Ref.Name() != target.Name() {
			others = append(others, m)
		}
	}
	for _, m := range others {
		if err := r.mountAll(ctx, m); err != nil {
			return err
		}
	}
	for _, m := range others {
		if err := r.pushReference(ctx, m, out); err != nil {
			return err
		}
	}
	mediaType, raw, err := list.Payload()
	if err != nil {
		return err
	}
	d := describe(mediaType, raw)
	if err := r.putManifest(ctx, tagOrDigest(target), d, raw); err != nil {
		return fmt.Errorf("failed to put manifest %s: %w", target, pushError(err))
	}
	_, err = fmt.Fprintln(out, d.Digest)
	return err
}

// mountAll has the registry take an image's blobs over from where they lie.
func (r *repository) mountAll(ctx context.Context, m manifest.ImageManifest) error {
	for _, d := range m.Blobs() {
		if err := r.mountOne(ctx, m.Ref, d); err != nil {
			return err
		}
	}
	return nil
}

func (r *repository) mountOne(ctx context.Context, from reference.Named, d digest.Digest) error {
	u := &upload{r: r}
	source := reference.Path(from) + "@" + d.String()
	mounted, err := u.mount(ctx, reference.Path(from), d)
	if err != nil {
		return fmt.Errorf("failed to mount blob %s to %s: %w", source, r.ref, pushError(err))
	}
	if !mounted {
		return fmt.Errorf("error mounting %s to %s", source, r.ref)
	}
	return nil
}

func (r *repository) pushReference(ctx context.Context, m manifest.ImageManifest, out io.Writer) error {
	mediaType, raw, err := m.Payload()
	if err != nil {
		return err
	}
	if len(m.Raw) > 0 {
		raw = m.Raw
	}
	d := describe(mediaType, raw)
	if d.Digest != m.Descriptor.Digest {
		return fmt.Errorf("internal digest mismatch for %s: expected %s, got %s", m.Ref, m.Descriptor.Digest, d.Digest)
	}
	there, err := reference.WithDigest(reference.TrimNamed(r.ref), d.Digest)
	if err != nil {
		return err
	}
	if err := r.putManifest(ctx, d.Digest.String(), d, raw); err != nil {
		return fmt.Errorf("failed to put manifest %s: %w", there, pushError(err))
	}
	_, err = fmt.Fprintf(out, "Pushed ref %s with digest: %s\n", there, d.Digest)
	return err
}
