package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"glassbox/store"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is one image of the store.
type Image struct {
	ID       digest.Digest      // digest of the config blob: Docker's image id
	Manifest ocispec.Descriptor // of the manifest for this platform
	Config   ocispec.Image      // what to run, and the diff ids
	Docker   DockerConfig       // what Docker adds to the OCI config: Healthcheck, Shell, OnBuild
	Tags     []string           // familiar references: "alpine:latest"
	Digests  []string           // "alpine@sha256:..."
	Size     int64              // of the unpacked layers, in bytes
	Parent   digest.Digest      // the image that it was made of here; empty: it came as it is

	layers []ocispec.Descriptor
}

// DockerConfig is what Docker images hold beyond the OCI config.
type DockerConfig struct {
	dockerspec.DockerOCIImageConfigExt        // Healthcheck, OnBuild, Shell
	ArgsEscaped                        bool   // of config: only Windows images set it
	Hostname, Domainname               string // of config: written by builders before 2021, ignored when running
	DockerVersion, Comment             string // of the document itself, shown by inspect
}

// ChainIDs names the image's layers, lowest first: each stands for itself and all below it.
func (i *Image) ChainIDs() []digest.Digest {
	return identity.ChainIDs(slices.Clone(i.Config.RootFS.DiffIDs))
}

// entry is what the index holds of the image, but for its name.
func (i *Image) entry() ocispec.Descriptor {
	d := i.Manifest
	d.Annotations = map[string]string{idNote: i.ID.String()}
	if i.Parent != "" {
		d.Annotations[parentNote] = i.Parent.String()
	}
	return d
}

// maxDocument bounds manifests and configs, as containerd and Docker bound them.
const maxDocument = 8 << 20

// load reads the image that a manifest describes. Its references are the caller's to add.
func (s *Store) load(d ocispec.Descriptor) (*Image, error) {
	raw, err := s.document(d.Digest)
	if err != nil {
		return nil, err
	}
	var m struct {
		ocispec.Manifest
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
	}
	if m.Manifests != nil {
		// Another tool has put a list of images here; ours is the one for this machine.
		one, err := choose(m.Manifests, thisPlatform())
		if err != nil {
			return nil, fmt.Errorf("reading manifest list %s: %w", d.Digest, err)
		}
		return s.loadOne(one)
	}
	return s.loadManifest(d, m.Manifest)
}

// loadOne is load for an entry of a list, which must not be a list again.
func (s *Store) loadOne(d ocispec.Descriptor) (*Image, error) {
	m, err := s.manifest(d.Digest)
	if err != nil {
		return nil, err
	}
	return s.loadManifest(d, m)
}

func (s *Store) loadManifest(d ocispec.Descriptor, m ocispec.Manifest) (*Image, error) {
	raw, err := s.document(m.Config.Digest)
	if err != nil {
		return nil, err
	}
	img, err := parseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("reading image config %s: %w", m.Config.Digest, err)
	}
	img.ID, img.layers, img.Parent = m.Config.Digest, m.Layers, parentOf(d)
	img.Manifest = ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Platform: d.Platform}
	img.Size, err = s.size(img)
	return img, err
}

// document reads a small blob.
func (s *Store) document(d digest.Digest) ([]byte, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	raw, err := store.ReadFile(s.blob(d))
	if err == nil && len(raw) > maxDocument {
		return nil, fmt.Errorf("blob %s is larger than a manifest or config may be", d)
	}
	return raw, err
}

// checkDigest keeps digests out of paths that are not plain sha256.
func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %q: only sha256 is supported", d)
	}
	return nil
}

// parseConfig reads an image config with Docker's additions.
func parseConfig(raw []byte) (*Image, error) {
	var doc struct {
		Config struct {
			dockerspec.DockerOCIImageConfigExt
			ArgsEscaped          bool
			Hostname, Domainname string
		} `json:"config"`
		DockerVersion string `json:"docker_version"`
		Comment       string `json:"comment"`
	}
	img := &Image{}
	if err := errors.Join(json.Unmarshal(raw, &img.Config), json.Unmarshal(raw, &doc)); err != nil {
		return nil, err
	}
	for _, d := range img.Config.RootFS.DiffIDs {
		if err := checkDigest(d); err != nil {
			return nil, err
		}
	}
	img.Docker = DockerConfig{
		DockerOCIImageConfigExt: doc.Config.DockerOCIImageConfigExt, ArgsEscaped: doc.Config.ArgsEscaped,
		Hostname: doc.Config.Hostname, Domainname: doc.Config.Domainname,
		DockerVersion: doc.DockerVersion, Comment: doc.Comment,
	}
	return img, nil
}

// size is what `images` shows. A layer that is not unpacked (the layout was written by another tool) counts when it is.
func (s *Store) size(img *Image) (int64, error) {
	var sum int64
	sizes, err := s.LayerSizes(img)
	for _, n := range sizes {
		sum += n
	}
	return sum, err
}
