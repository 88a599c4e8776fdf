package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"glassbox/archive"
	"glassbox/event"

	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Draft is an image to be: the layers of another image, and perhaps one more.
type Draft struct {
	Base     *Image   // nil: nothing is below
	Document Document // all but RootFS; the platform is this machine's where it says none
	Ref      reference.Named
	Sparse   bool      // a layer without entries is none: the last step of the history is then said to have none
	Epoch    time.Time // AddTree: no file of the layer is later than that; zero: times stay
	Hold     *Hold     // holds the image from the moment that it is there; nil: nobody
	Event    string    // what is told of the image, beside its name: create or import; empty: nothing

	notes  map[string]string
	orphan bool // Base is not noted as its parent
}

// Document is an image's config as Docker writes it.
type Document struct {
	dockerspec.DockerOCIImage
	Comment string `json:"comment,omitempty"`
}

// Add makes an image: it reads the layer's archive once, and what it needs of Base must still be here then. An image made so, that
// is given no name, stays until it is removed.
func (s *Store) Add(ctx context.Context, r io.Reader, d Draft) (*Image, error) {
	return s.draw(d, func(m *made) error {
		dir, _, err := claimDir(ctx, s.layers+"/temp/"+m.name)
		if err != nil {
			return err
		}
		m.dir = dir
		return m.read(ctx, r)
	})
}

// AddTree makes an image whose topmost layer is a directory: the upper one of an overlay which is mounted no longer, on the store's file
// system. The directory becomes the layer, and is gone from its place also after most errors.
func (s *Store) AddTree(ctx context.Context, upper string, d Draft) (*Image, error) {
	return s.draw(d, func(m *made) (err error) {
		if m.dir, err = takeDir(upper, s.layers+"/temp/"+m.name); err != nil {
			return err
		}
		return m.settle(ctx)
	})
}

// AddConfig makes an image of the layers of Base alone. The last step of its history is said to have none.
func (s *Store) AddConfig(ctx context.Context, d Draft) (*Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.draw(d, func(m *made) error {
		m.empty = true
		return nil
	})
}

// draw has the topmost layer made, and then all that is known only when that is there.
func (s *Store) draw(d Draft, layer func(*made) error) (*Image, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	m := &made{Draft: d, store: s, name: "new-" + randomName()}
	err := layer(m)
	if err == nil {
		err = m.describe()
	}
	var img *Image
	if err == nil {
		img, err = m.enter()
	}
	if err = errors.Join(err, m.discard()); err != nil {
		return nil, err
	}
	m.announce(img)
	return img, nil
}

// made is an image whose topmost layer's digests are known only after it was read: till then its parts lie in temp.
type made struct {
	Draft
	store      *Store
	name       string // of the parts in temp
	dir        *claim // the layer, unpacked; nil: there is none, or it has its place
	file       *claim // its blob
	blob       ocispec.Descriptor
	layer      layer
	empty      bool   // there is no layer of its own
	of         *Image // its layers are the first of this image's, and Base's are not looked at
	first      int    // how many of them
	layers     []ocispec.Descriptor
	diffs      []digest.Digest
	config     []byte
	manifest   []byte
	configID   digest.Digest
	descriptor ocispec.Descriptor
}

// emptyTar is the digest of an archive of no entries: two blocks of zeros.
var emptyTar = digest.FromBytes(make([]byte, 1024))

// read reads the layer's archive once: into a blob, into a directory, and through both digests.
func (m *made) read(ctx context.Context, r io.Reader) error {
	u := &unpacking{root: m.dir.file, summed: true}
	err := m.write(ctx, func(blob io.Writer) error { return u.run(ctx, io.TeeReader(r, blob)) })
	if err != nil {
		return err
	}
	if u.kind == plain {
		u.diff = m.blob.Digest
	}
	m.blob.MediaType = u.kind.mediaType()
	m.layer = layer{Diff: u.diff, Blob: m.blob.Digest, Size: u.size, Plain: u.plain}
	m.empty = m.Sparse && u.diff == emptyTar
	return nil
}

// settle writes the directory into a blob, which is not compressed: who sends it somewhere does that.
func (m *made) settle(ctx context.Context) error {
	var size int64
	err := m.write(ctx, func(blob io.Writer) (err error) {
		size, err = archive.Settle(blob, m.dir.file, m.Epoch)
		return err
	})
	if err != nil {
		return err
	}
	m.blob.MediaType = plain.mediaType()
	m.layer = layer{Diff: m.blob.Digest, Blob: m.blob.Digest, Size: size, Plain: m.blob.Size}
	m.empty = m.Sparse && m.layer.Diff == emptyTar
	return nil
}

// write makes the blob, and describes it.
func (m *made) write(ctx context.Context, to func(io.Writer) error) (err error) {
	if m.file, _, err = claimFile(ctx, m.store.dir+"/temp/"+m.name); err != nil {
		return err
	}
	w := &summed{ctx: ctx, to: m.file.file, sum: sha256.New()}
	err = errors.Join(to(w), w.close())
	m.blob.Digest, m.blob.Size = digestOf(w.sum), w.size
	return err
}

// describe makes config and manifest.
func (m *made) describe() error {
	if m.Base != nil {
		m.layers, m.diffs = ociLayers(m.Base.layers), slices.Clone(m.Base.Config.RootFS.DiffIDs)
	}
	if m.of != nil {
		m.layers, m.diffs = ociLayers(m.of.layers[:m.first]), slices.Clone(m.of.Config.RootFS.DiffIDs[:m.first])
	}
	if !m.empty {
		m.layers, m.diffs = append(m.layers, m.blob), append(m.diffs, m.layer.Diff)
	}
	config := m.Document
	// Never null: not every reader knows that as an empty list.
	config.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: append([]digest.Digest{}, m.diffs...)}
	here := thisPlatform()
	if config.OS == "" {
		config.OS = here.OS
	}
	if config.Architecture == "" {
		config.Architecture, config.Variant = here.Architecture, here.Variant
	}
	if n := len(config.History); n > 0 && m.empty && m.of == nil {
		config.History = slices.Clone(config.History)
		config.History[n-1].EmptyLayer = true
	}
	var err error
	if m.config, err = json.Marshal(config); err != nil {
		return err
	}
	m.configID = digest.FromBytes(m.config)
	return m.manifestFor(&ocispec.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant})
}

// manifestFor makes the manifest of config and layers.
func (m *made) manifestFor(p *ocispec.Platform) (err error) {
	c := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: m.configID, Size: int64(len(m.config))}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: c, Layers: append([]ocispec.Descriptor{}, m.layers...)}
	if m.manifest, err = json.Marshal(manifest); err != nil {
		return err
	}
	m.descriptor = ocispec.Descriptor{MediaType: manifest.MediaType, Digest: digest.FromBytes(m.manifest), Size: int64(len(m.manifest)), Platform: p}
	return nil
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

// enter gives all parts their places, unless the base has been removed since it was looked up. The store is locked once for everything,
// so that nobody takes them for what no image needs.
func (m *made) enter() (img *Image, err error) {
	ctx, s := context.Background(), m.store
	err = s.change(ctx, func() error {
		x, err := s.readIndex()
		if err != nil {
			return err
		}
		for _, needed := range []*Image{m.Base, m.of} {
			if needed != nil && !s.names(x, needed) {
				return &NotFound{needed.ID.String()}
			}
		}
		if err := m.keep(ctx); err != nil {
			return err
		}
		d := m.descriptor
		d.Annotations = m.annotations()
		switch {
		case m.Ref != nil:
			x.set(m.Ref, d)
		case !x.holds(d.Digest):
			x.add("", d)
		}
		if err := errors.Join(m.Hold.note(m.configID), s.writeIndex(x)); err != nil {
			return err
		}
		img, err = m.image(x)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.collect(ctx))
	}
	return img, nil
}

// keep gives the parts their places; what is there already stays. The caller holds the store's lock.
func (m *made) keep(ctx context.Context) error {
	err := errors.Join(m.store.putBlob(ctx, m.configID, m.config), m.store.putBlob(ctx, m.descriptor.Digest, m.manifest))
	if m.empty || err != nil {
		return err
	}
	file, dir := m.file, m.dir
	m.file, m.dir = nil, nil
	return errors.Join(m.store.keepBlob(file, m.blob.Digest, nil), m.store.place(dir, identity.ChainID(slices.Clone(m.diffs)), m.layer))
}

// image is what was made, without another look at the disk.
func (m *made) image(x *index) (*Image, error) {
	img, err := parseConfig(m.config)
	if err != nil {
		return nil, err
	}
	img.ID, img.layers, img.Manifest, img.Size = m.configID, m.layers, m.descriptor, m.layer.Size
	if m.empty {
		img.Size = 0
	}
	if m.Base != nil {
		img.Size += m.Base.Size
	}
	if m.of != nil {
		if img.Size, err = m.store.size(img); err != nil {
			return nil, err
		}
	}
	img.Parent = digest.Digest(m.annotations()[parentNote])
	return img, m.store.addNames(x, img)
}

func (m *made) annotations() map[string]string {
	all := map[string]string{idNote: m.configID.String()}
	if m.Base != nil && m.Base.ID != m.configID && !m.orphan {
		all[parentNote] = m.Base.ID.String()
	}
	maps.Copy(all, m.notes)
	return all
}

// path is where the blob is now.
func (m *made) path() string {
	if m.file != nil {
		return m.file.path
	}
	return m.store.blob(m.blob.Digest)
}

// discard removes what has not got a place.
func (m *made) discard() error {
	var err error
	for _, c := range []*claim{m.dir, m.file} {
		if c != nil {
			err = errors.Join(err, c.discard())
		}
	}
	return err
}

// announce tells of the image in Docker's order: an import is told of when it has its name, a commit before.
func (m *made) announce(img *Image) {
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
	m.store.tell(all...)
}
