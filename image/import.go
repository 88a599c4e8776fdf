package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"

	"glassbox/event"

	"github.com/distribution/reference"
	"github.com/klauspost/compress/gzip"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
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

// Draft is an image to be: one more layer on those of another image.
type Draft struct {
	Base     *Image   // nil: nothing is below
	Document Document // all but RootFS; the platform is this machine's where it says none
	Ref      reference.Named
	Pack     bool   // the layer comes as a plain archive and is kept compressed
	Sparse   bool   // an archive without entries is no layer: the last step of the history is then said to have none
	Event    string // what is told of the image, beside its name: create or import; empty: nothing

	notes map[string]string
}

// Document is an image's config as Docker writes it.
type Document struct {
	dockerspec.DockerOCIImage
	Comment string `json:"comment,omitempty"`
}

// Add makes an image: it reads the layer's archive once, and what it needs of Base must still be here then. An image made so, that
// is given no name, stays until it is removed.
func (s *Store) Add(ctx context.Context, r io.Reader, d Draft) (*Image, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	m, err := s.read(ctx, r, d)
	if err != nil {
		return nil, err
	}
	if err := m.describe(d.Document); err != nil {
		return nil, errors.Join(err, m.discard())
	}
	lease, err := s.lease(ctx, m.held())
	if err != nil {
		return nil, errors.Join(err, m.discard())
	}
	if err = m.keep(ctx, s); err == nil {
		err = s.changeIndex(ctx, func(x *index) error { return m.enter(s, x) })
	}
	if err = errors.Join(err, lease.discard()); err != nil {
		return nil, errors.Join(err, s.collect(context.WithoutCancel(ctx)))
	}
	entry := m.descriptor
	entry.Annotations = m.annotations()
	img, err := s.load(entry)
	if err != nil {
		return nil, err
	}
	m.announce(s, img)
	x, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	return img, s.addNames(x, img)
}

// announce tells of the image in Docker's order: an import is told of when it has its name, a commit before.
func (m *made) announce(s *Store, img *Image) {
	if m.Event == "" {
		return
	}
	all := []event.Event{img.event(string(img.ID), m.Event, string(img.ID))}
	if m.Ref != nil {
		all = append(all, img.event(string(img.ID), "tag", reference.FamiliarString(m.Ref)))
	}
	if m.Event == "import" {
		slices.Reverse(all)
	}
	s.tell(all...)
}

// made is an image whose topmost layer's digests are known only after the archive was read: till then its parts lie in temp.
type made struct {
	Draft
	dir, file  *claim
	layer      layer
	empty      bool // Sparse, and there was nothing in the archive: the parts in temp are of no use
	layers     []ocispec.Descriptor
	diffs      []digest.Digest
	config     []byte
	manifest   []byte
	configID   digest.Digest
	descriptor ocispec.Descriptor
}

// emptyTar is the digest of an archive of no entries: two blocks of zeros.
var emptyTar = digest.FromBytes(make([]byte, 1024))

// read reads the archive once: into a blob, into a directory, and through both digests.
func (s *Store) read(ctx context.Context, r io.Reader, d Draft) (*made, error) {
	name := "import-" + randomName()
	dir, _, err := claimDir(ctx, s.layers+"/temp/"+name)
	if err != nil {
		return nil, err
	}
	file, _, err := claimFile(ctx, s.dir+"/temp/"+name)
	if err != nil {
		return nil, errors.Join(err, dir.discard())
	}
	m := &made{Draft: d, dir: dir, file: file}
	blob, err := m.take(ctx, r)
	if err != nil {
		return nil, errors.Join(err, m.discard())
	}
	if d.Base != nil {
		m.layers, m.diffs = ociLayers(d.Base.layers), slices.Clone(d.Base.Config.RootFS.DiffIDs)
	}
	if m.empty = d.Sparse && m.layer.Diff == emptyTar; !m.empty {
		m.layers, m.diffs = append(m.layers, blob), append(m.diffs, m.layer.Diff)
	}
	return m, nil
}

// take writes the archive to both places and describes the blob.
func (m *made) take(ctx context.Context, r io.Reader) (ocispec.Descriptor, error) {
	sum, size, u := sha256.New(), &counter{}, &unpacking{root: m.dir.file}
	blob := io.MultiWriter(m.file.file, sum, size)
	packed, kind := blob, func() compression { return u.kind }
	finish := func() error { return nil }
	if m.Pack {
		z, err := gzip.NewWriterLevel(blob, gzip.BestSpeed)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		packed, kind, finish = z, func() compression { return gzipped }, z.Close
	}
	if err := errors.Join(u.run(ctx, io.TeeReader(r, packed)), finish()); err != nil {
		return ocispec.Descriptor{}, err
	}
	d := ocispec.Descriptor{MediaType: kind().mediaType(), Digest: digestOf(sum), Size: size.n}
	m.layer = layer{Diff: u.diff, Blob: d.Digest, Size: u.size}
	return d, nil
}

// ociLayers gives layers that came in a manifest of Docker's their names in one of OCI's: a manifest speaks one language.
func ociLayers(layers []ocispec.Descriptor) []ocispec.Descriptor {
	all := slices.Clone(layers)
	for i := range all {
		if all[i].MediaType == "application/vnd.docker.image.rootfs.diff.tar.gzip" {
			all[i].MediaType = ocispec.MediaTypeImageLayerGzip
		}
	}
	return all
}

func (m *made) discard() error { return errors.Join(m.dir.discard(), m.file.discard()) }

// describe makes config and manifest.
func (m *made) describe(config Document) error {
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: m.diffs}
	here := thisPlatform()
	if config.OS == "" {
		config.OS = here.OS
	}
	if config.Architecture == "" {
		config.Architecture, config.Variant = here.Architecture, here.Variant
	}
	if n := len(config.History); n > 0 && m.empty {
		config.History = slices.Clone(config.History)
		config.History[n-1].EmptyLayer = true
	}
	var err error
	if m.config, err = json.Marshal(config); err != nil {
		return err
	}
	m.configID = digest.FromBytes(m.config)
	c := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: m.configID, Size: int64(len(m.config))}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: c, Layers: m.layers}
	if m.manifest, err = json.Marshal(manifest); err != nil {
		return err
	}
	m.descriptor = ocispec.Descriptor{MediaType: manifest.MediaType, Digest: digest.FromBytes(m.manifest), Size: int64(len(m.manifest)),
		Platform: &ocispec.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}}
	return nil
}

func (m *made) held() held {
	h := held{Blobs: []digest.Digest{m.configID, m.descriptor.Digest}, Chains: identity.ChainIDs(slices.Clone(m.diffs))}
	for _, l := range m.layers {
		h.Blobs = append(h.Blobs, l.Digest)
	}
	return h
}

// keep gives all parts their places; what is there already stays.
func (m *made) keep(ctx context.Context, s *Store) error {
	err := errors.Join(s.putBlob(ctx, m.configID, m.config), s.putBlob(ctx, m.descriptor.Digest, m.manifest))
	if m.empty {
		return errors.Join(err, m.discard())
	}
	chain := identity.ChainID(slices.Clone(m.diffs))
	return errors.Join(err, s.keepBlob(m.file, m.layer.Blob, nil), s.commit(ctx, m.dir, chain, m.layer))
}

// enter puts the image into the index, unless its base has been removed since it was looked up.
func (m *made) enter(s *Store, x *index) error {
	if m.Base != nil && !s.names(x, m.Base) {
		return &NotFound{m.Base.ID.String()}
	}
	d := m.descriptor
	d.Annotations = m.annotations()
	if m.Ref != nil {
		x.set(m.Ref, d)
	} else if !x.holds(d.Digest) {
		x.add("", d)
	}
	return nil
}

func (m *made) annotations() map[string]string {
	all := map[string]string{idNote: m.configID.String()}
	if m.Base != nil {
		all[parentNote] = m.Base.ID.String()
	}
	maps.Copy(all, m.notes)
	return all
}

// counter counts what is written to it.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
