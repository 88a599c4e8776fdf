package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"maps"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImportTar makes an image of one layer from an archive, packed (gzip, zstd) or not, in a single reading. config says what
// to run; its RootFS is filled in, and its platform when empty. An empty tag leaves the image nameless.
func (s *Store) ImportTar(r io.Reader, tag string, config ocispec.Image) (*Image, error) {
	return s.importTar(context.Background(), r, tag, config, nil)
}

// importTar notes notes beside the image's entry in the index.
func (s *Store) importTar(ctx context.Context, r io.Reader, tag string, config ocispec.Image, notes map[string]string) (*Image, error) {
	var ref reference.Named
	if tag != "" {
		var err error
		if ref, err = tagRef(tag); err != nil {
			return nil, err
		}
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	m, err := s.read(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := m.describe(config); err != nil {
		return nil, errors.Join(err, m.discard())
	}
	lease, err := s.lease(ctx, m.held())
	if err != nil {
		return nil, errors.Join(err, m.discard())
	}
	if err = m.keep(ctx, s); err == nil {
		err = s.changeIndex(ctx, func(x *index) error { m.name(x, ref, notes); return nil })
	}
	if err = errors.Join(err, lease.discard()); err != nil {
		return nil, errors.Join(err, s.collect(context.WithoutCancel(ctx)))
	}
	img, err := s.load(m.descriptor)
	if err != nil {
		return nil, err
	}
	x, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	return img, s.addNames(x, img)
}

// made is an image of one layer whose digests are known only after the archive was read: till then its parts lie in temp.
type made struct {
	dir, file  *claim
	layer      layer
	blob       ocispec.Descriptor
	config     []byte
	manifest   []byte
	configID   digest.Digest
	descriptor ocispec.Descriptor
}

// read reads the archive once: into a blob, into a directory, and through both digests.
func (s *Store) read(ctx context.Context, r io.Reader) (*made, error) {
	name := "import-" + randomName()
	dir, _, err := claimDir(ctx, s.layers+"/temp/"+name)
	if err != nil {
		return nil, err
	}
	file, _, err := claimFile(ctx, s.dir+"/temp/"+name)
	if err != nil {
		return nil, errors.Join(err, dir.discard())
	}
	m := &made{dir: dir, file: file}
	sum, u := sha256.New(), &unpacking{root: dir.file}
	counted := &counter{r: io.TeeReader(r, io.MultiWriter(file.file, sum))}
	if err := u.run(ctx, counted); err != nil {
		return nil, errors.Join(err, m.discard())
	}
	m.blob = ocispec.Descriptor{MediaType: u.kind.mediaType(), Digest: digestOf(sum), Size: counted.n}
	m.layer = layer{Diff: u.diff, Blob: m.blob.Digest, Size: u.size}
	return m, nil
}

func (m *made) discard() error { return errors.Join(m.dir.discard(), m.file.discard()) }

// describe makes config and manifest.
func (m *made) describe(config ocispec.Image) error {
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{m.layer.Diff}}
	here := thisPlatform()
	if config.OS == "" {
		config.OS = here.OS
	}
	if config.Architecture == "" {
		config.Architecture, config.Variant = here.Architecture, here.Variant
	}
	var err error
	if m.config, err = json.Marshal(config); err != nil {
		return err
	}
	m.configID = digest.FromBytes(m.config)
	c := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: m.configID, Size: int64(len(m.config))}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: c, Layers: []ocispec.Descriptor{m.blob}}
	if m.manifest, err = json.Marshal(manifest); err != nil {
		return err
	}
	m.descriptor = ocispec.Descriptor{MediaType: manifest.MediaType, Digest: digest.FromBytes(m.manifest), Size: int64(len(m.manifest)),
		Platform: &ocispec.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}}
	return nil
}

func (m *made) held() held {
	return held{Blobs: []digest.Digest{m.blob.Digest, m.configID, m.descriptor.Digest}, Chains: []digest.Digest{m.layer.Diff}}
}

// keep gives all parts their places; what is there already stays. The chain id of a lowest layer is its diff id.
func (m *made) keep(ctx context.Context, s *Store) error {
	return errors.Join(
		s.keepBlob(m.file, m.blob.Digest, nil),
		s.commit(ctx, m.dir, m.layer.Diff, m.layer),
		s.putBlob(ctx, m.configID, m.config),
		s.putBlob(ctx, m.descriptor.Digest, m.manifest))
}

func (m *made) name(x *index, ref reference.Named, notes map[string]string) {
	d := m.descriptor
	d.Annotations = map[string]string{idNote: m.configID.String()}
	maps.Copy(d.Annotations, notes)
	if ref != nil {
		x.set(ref, d)
	} else if !x.holds(d.Digest) {
		x.add("", d)
	}
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
