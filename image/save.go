package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Saved is an image that is saved, and the names which it is to have where it is loaded.
type Saved struct {
	Image *Image
	Names []reference.NamedTagged
}

// SaveOptions says how images are saved.
type SaveOptions struct {
	OCI bool // an OCI layout alone, its manifests and layers as they lie here
}

// Save writes images as Docker does: an OCI layout whose layers are not compressed, each once, and beside it what `docker load` of any
// version reads. Nothing is written to the disk for it, and every layer is checked on its way.
func (s *Store) Save(ctx context.Context, w io.Writer, images []Saved, o SaveOptions) error {
	a := &saving{SaveOptions: o, store: s, ctx: ctx, files: map[string]saved{}, repositories: map[string]map[string]string{}}
	lease, err := s.lease(ctx, heldBySaved(images))
	if err != nil {
		return err
	}
	for _, img := range images {
		if err = a.image(img); err != nil {
			break
		}
	}
	if err == nil {
		err = a.write(w)
	}
	if err = errors.Join(err, lease.discard()); err != nil {
		return err
	}
	for _, img := range images {
		s.tell(img.Image.event(string(img.Image.ID), "save", string(img.Image.ID)))
	}
	return s.collectRemoved(ctx, images)
}

func heldBySaved(images []Saved) (h held) {
	for _, img := range images {
		h.Blobs = append(h.Blobs, img.Image.ID, img.Image.Manifest.Digest)
		for _, l := range img.Image.layers {
			h.Blobs = append(h.Blobs, l.Digest)
		}
	}
	return h
}

// collectRemoved deletes the blobs of what was removed while it was saved: the lease has kept them.
func (s *Store) collectRemoved(ctx context.Context, images []Saved) error {
	ids, err := s.IDs()
	if err != nil || !slices.ContainsFunc(images, func(img Saved) bool { return !ids[img.Image.ID] }) {
		return err
	}
	return s.collect(ctx)
}

// saving is an archive that is being put together: what is in it must be known before its first byte, since an archive goes by name.
type saving struct {
	SaveOptions
	store        *Store
	ctx          context.Context
	files        map[string]saved
	manifests    []ocispec.Descriptor
	items        []item
	repositories map[string]map[string]string
	time         time.Time // of the directories: that of the last image
}

// saved is a file of the archive.
type saved struct {
	time time.Time
	text []byte
	size int64
	open func() (io.ReadCloser, error) // a layer
	want digest.Digest
}

func (a *saving) add(d digest.Digest, f saved) { a.files[blobName(d)] = f }

func blobName(d digest.Digest) string {
	return ocispec.ImageBlobsDir + "/" + d.Algorithm().String() + "/" + d.Encoded()
}

func (a *saving) text(text []byte, t time.Time) digest.Digest {
	d := digest.FromBytes(text)
	a.add(d, saved{time: t, text: text, size: int64(len(text))})
	return d
}

func (a *saving) image(img Saved) error {
	all, err := wants(img.Image, img.Image.layers)
	if err != nil {
		return err
	}
	if len(all) == 0 && !a.OCI {
		return errors.New("empty export - not implemented") // Docker's words: its archives name an image by its topmost layer
	}
	config, err := a.store.document(img.Image.ID)
	if err != nil {
		return err
	}
	a.time = time.Unix(0, 0)
	if c := img.Image.Config.Created; c != nil {
		a.time = *c
	}
	if a.OCI {
		return a.asItLies(img, config)
	}
	old, err := legacies(config, img.Image.ChainIDs())
	if err != nil {
		return err
	}
	for _, text := range old {
		a.text(text, a.time)
	}
	a.text(config, a.time)
	i := item{Config: blobName(img.Image.ID), LayerSources: map[digest.Digest]origin{}}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: img.Image.ID, Size: int64(len(config))},
	}
	for _, w := range all {
		size, err := a.layer(w)
		if err != nil {
			return fmt.Errorf("layer %s of image %s: %w", short(w.diff), short(img.Image.ID), err)
		}
		d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: w.diff, Size: size}
		m.Layers = append(m.Layers, d)
		i.Layers = append(i.Layers, blobName(w.diff))
		i.LayerSources[w.diff] = origin{d.MediaType, size, w.diff}
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	a.names(img, ocispec.Descriptor{MediaType: m.MediaType, Digest: a.text(raw, time.Unix(0, 0)), Size: int64(len(raw))})
	a.list(img, i)
	return nil
}

// asItLies adds an image's own manifest and blobs.
func (a *saving) asItLies(img Saved, config []byte) error {
	a.text(config, a.time)
	raw, err := a.store.document(img.Image.Manifest.Digest)
	if err != nil {
		return err
	}
	for _, l := range img.Image.layers {
		path := a.store.blob(l.Digest)
		a.add(l.Digest, saved{time: a.time, size: l.Size, want: l.Digest, open: func() (io.ReadCloser, error) { return os.Open(path) }})
	}
	a.names(img, ocispec.Descriptor{MediaType: mediaTypeOf(raw), Digest: a.text(raw, a.time), Size: int64(len(raw))})
	return nil
}

// layer adds a layer, as the archive that it is without compression.
func (a *saving) layer(w want) (int64, error) {
	if f, ok := a.files[blobName(w.diff)]; ok {
		return f.size, nil
	}
	size, err := a.store.plainSize(a.ctx, w)
	if err == nil {
		a.add(w.diff, saved{time: a.time, size: size, want: w.diff, open: func() (io.ReadCloser, error) { return a.store.plain(w) }})
	}
	return size, err
}

// names puts an image's manifest into the index, under all of its names.
func (a *saving) names(img Saved, d ocispec.Descriptor) {
	for _, name := range img.Names {
		tagged := d
		tagged.Annotations = map[string]string{containerdName: name.String(), ocispec.AnnotationRefName: name.Tag()}
		a.manifests = append(a.manifests, tagged)
	}
	if len(img.Names) == 0 {
		a.manifests = append(a.manifests, d)
	}
}

// list puts an image into the lists that Docker reads.
func (a *saving) list(img Saved, i item) {
	diffs := img.Image.Config.RootFS.DiffIDs
	for _, name := range img.Names {
		familiar := reference.FamiliarName(name)
		if a.repositories[familiar] == nil {
			a.repositories[familiar] = map[string]string{}
		}
		a.repositories[familiar][name.Tag()] = diffs[len(diffs)-1].Encoded()
		i.RepoTags = append(i.RepoTags, reference.FamiliarString(name))
	}
	i.Parent = img.Image.Parent
	a.items = append(a.items, i)
}

// families forgets of what images were made that are not in the archive.
func (a *saving) families() {
	for i := range a.items {
		parent := a.items[i].Parent
		if parent != "" && !slices.ContainsFunc(a.items, func(o item) bool { return o.Config == blobName(parent) }) {
			a.items[i].Parent = ""
		}
	}
}

// containerdName is the annotation by which containerd, and Docker, find an image's whole name in a layout.
const containerdName = "io.containerd.image.name"

// write writes the archive: by name, with times of the images' own, so that the same images give the same archive.
func (a *saving) write(w io.Writer) error {
	a.families()
	epoch := time.Unix(0, 0)
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: a.manifests})
	if err != nil {
		return err
	}
	layout := []byte(`{"imageLayoutVersion": "` + ocispec.ImageLayoutVersion + `"}`)
	for name, v := range map[string]any{
		ocispec.ImageIndexFile: json.RawMessage(index), ocispec.ImageLayoutFile: json.RawMessage(layout), "manifest.json": a.items, "repositories": a.repositories,
	} {
		text, ok := v.(json.RawMessage)
		if !ok {
			if text, err = json.Marshal(v); err != nil {
				return err
			}
			text = append(text, '\n')
		}
		a.files[name] = saved{time: epoch, text: text, size: int64(len(text))}
	}
	if len(a.repositories) == 0 {
		delete(a.files, "repositories")
	}
	if a.OCI {
		delete(a.files, "manifest.json")
	}
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		a.files[dir] = saved{time: a.time}
	}
	out := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(a.files)) {
		if err := a.file(out, name, a.files[name]); err != nil {
			return err
		}
	}
	return out.Close()
}

func (a *saving) file(out *tar.Writer, name string, f saved) error {
	h := &tar.Header{Format: tar.FormatPAX, Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: f.size, ModTime: f.time.Truncate(time.Second)}
	if name[len(name)-1] == '/' {
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
	}
	if err := errors.Join(a.ctx.Err(), out.WriteHeader(h)); err != nil {
		return err
	}
	if f.open == nil {
		_, err := out.Write(f.text)
		return err
	}
	layer, err := f.open()
	if err != nil {
		return err
	}
	defer layer.Close()
	sum := &summed{ctx: a.ctx, to: out, sum: sha256.New()}
	// Not one byte more than the header says: the rest is drained and shows in the digest.
	_, err = io.Copy(sum, layer)
	if err = errors.Join(err, sum.close()); errors.Is(err, tar.ErrWriteTooLong) {
		err = nil
	}
	if err != nil {
		return err
	}
	if d := digestOf(sum.sum); d != f.want {
		return fmt.Errorf("the stored layer %s is damaged: its digest is %s", f.want, d)
	}
	return nil
}

// Plain opens the n-th layer of an image, counted from the lowest, as the archive that it is without compression.
func (s *Store) Plain(img *Image, n int) (io.ReadCloser, error) {
	all, err := wants(img, img.layers)
	if err != nil {
		return nil, err
	}
	return s.plain(all[n])
}

func (s *Store) plain(w want) (io.ReadCloser, error) {
	if f, err := os.Open(s.blob(w.diff)); !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err := os.Open(s.blob(w.blob.Digest))
	if err != nil {
		return nil, err
	}
	z, _, err := decompress(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return newAhead(z, f), nil
}

// plainSize is the size of what plain opens. Layers that were unpacked by an earlier version of this program have to be read for it.
func (s *Store) plainSize(ctx context.Context, w want) (int64, error) {
	info, err := os.Stat(s.blob(w.diff))
	if err == nil {
		return info.Size(), nil
	}
	if l, err := s.layer(w.chain); err == nil && l.Plain > 0 {
		return l.Plain, nil
	}
	r, err := s.plain(w)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, &cancellable{ctx, r})
	return n, errors.Join(err, r.Close())
}

// cancellable stops reading when nobody wants it any more.
type cancellable struct {
	ctx context.Context
	io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// ahead decompresses beside its reader.
type ahead struct {
	*ring
	filled chan struct{}
	close  []io.Closer
}

func newAhead(from io.ReadCloser, under io.Closer) *ahead {
	a := &ahead{ring: newRing(), filled: make(chan struct{}), close: []io.Closer{from, under}}
	go func() {
		defer close(a.filled)
		a.fill(from)
	}()
	return a
}

func (a *ahead) Close() error {
	a.ring.close()
	<-a.filled
	var err error
	for _, c := range a.close {
		err = errors.Join(err, c.Close())
	}
	return err
}
