package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// LoadOptions says how to load.
type LoadOptions struct {
	Platform *ocispec.Platform // other images are passed over; nil: any of Docker's archives, and of a list that which fits this machine best
	Out      io.Writer         // what was loaded, in Docker's lines
	Terminal bool              // and how far every layer is
}

// Load makes images of an archive as `docker save`, skopeo, buildah and umoci write it: Docker's or an OCI layout, packed with whatever. It
// is read once; layers are checked and unpacked on the way. After an error the images that were complete before it stay.
func (s *Store) Load(ctx context.Context, r io.Reader, o LoadOptions) error {
	if err := s.prepare(); err != nil {
		return err
	}
	known, err := s.unpackedLayers()
	if err != nil {
		return err
	}
	l := &loading{store: s, options: o, progress: newProgress(o.Out, false, o.Terminal)}
	defer l.progress.close()
	l.parts = &parts{store: s, files: map[string]*part{}, links: map[string]string{}, known: known, watch: l.watch}
	err = l.unpack(ctx, r)
	if err == nil {
		err = l.images(ctx)
	}
	return errors.Join(err, l.parts.discard())
}

type loading struct {
	store    *Store
	options  LoadOptions
	parts    *parts
	progress *progress
}

func (l *loading) unpack(ctx context.Context, r io.Reader) error {
	z, err := Decompress(r)
	if err != nil {
		return err
	}
	defer z.Close()
	b := bufio.NewReaderSize(z, ringSize)
	if err := l.parts.read(ctx, b); err != nil {
		return err
	}
	// Who writes into a pipe is not to be cut off before it has written the padding, nor is a broken end to pass for a whole archive.
	_, err = io.Copy(io.Discard, &cancellable{ctx, b})
	return err
}

// watch draws how far a layer is, where somebody looks on.
func (l *loading) watch(name string, size int64, r io.Reader) io.Reader {
	if !l.options.Terminal {
		return r
	}
	return &watched{Reader: r, bar: &bar{p: l.progress, id: short(digestIn(name)), total: size}}
}

type watched struct {
	io.Reader
	*bar
	n int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if w.n += int64(n); n > 0 {
		w.moved("Loading layer", w.n)
	}
	return n, err
}

// say prints a line of Docker's.
func (l *loading) say(format string, a ...any) {
	l.progress.message("", fmt.Sprintf(format, a...))
}

// images makes images of what was read, as the archive's own list says: Docker's where there is one, as in Docker.
func (l *loading) images(ctx context.Context) error {
	if raw, err := l.parts.document("manifest.json"); err == nil {
		return l.docker(ctx, raw)
	}
	raw, err := l.parts.document(ocispec.ImageIndexFile)
	if err != nil {
		return errors.New("open manifest.json: no such file or directory: the archive holds no images")
	}
	return l.layout(ctx, raw)
}

// docker loads what manifest.json names.
func (l *loading) docker(ctx context.Context, raw []byte) error {
	var items []item
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&items); err != nil {
		return err
	}
	if items == nil {
		return errors.New("invalid manifest, manifest cannot be null (but can be [])")
	}
	var ids []digest.Digest
	named := false
	parents := map[digest.Digest]digest.Digest{}
	for _, i := range items {
		config, err := l.parts.document(i.Config)
		if err != nil {
			return err
		}
		a := &arrival{loading: l, config: config, names: i.Layers}
		if a.refs, err = tags(i.RepoTags); err != nil {
			return err
		}
		id, err := a.load(ctx)
		if err != nil {
			return err
		}
		if id == "" {
			named = false
			continue
		}
		ids, named = append(ids, id), len(a.refs) > 0
		parents[id] = i.Parent
	}
	if err := l.store.adopt(ctx, parents); err != nil {
		return err
	}
	if !named {
		l.unnamed(ids)
	}
	return nil
}

// unnamed tells the ids. Docker does so if the last image has no name, and even of none.
func (l *loading) unnamed(ids []digest.Digest) {
	for _, id := range ids {
		l.say("Loaded image ID: %s", id)
	}
	if len(ids) == 0 {
		l.say("")
	}
}

func tags(names []string) (refs []reference.NamedTagged, err error) {
	for _, name := range names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return nil, err
		}
		ref, ok := named.(reference.NamedTagged)
		if !ok {
			return nil, fmt.Errorf("invalid tag %q", name)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// arrival is an image that is being loaded.
type arrival struct {
	*loading
	config   []byte
	names    []string // of the layers in the archive
	parts    []*part
	manifest []byte // as it came; nil: Docker's archives have none of their own
	refs     []reference.NamedTagged

	img    *Image
	layers []*made // what is new of the layers; nil: that one is there
}

// load puts the image into the store. An empty id: it is not for the platform that was asked for.
func (a *arrival) load(ctx context.Context) (digest.Digest, error) {
	var err error
	if a.img, err = parseConfig(a.config); err != nil {
		return "", err
	}
	k := a.img.Config
	if k.OS != "" && k.OS != "linux" {
		return "", fmt.Errorf("cannot load %s image on linux", k.OS)
	}
	if p := a.options.Platform; p != nil && !platforms.OnlyStrict(*p).Match(ocispec.Platform{OS: k.OS, Architecture: k.Architecture, Variant: k.Variant}) {
		return "", nil
	}
	if len(a.names) != len(k.RootFS.DiffIDs) {
		return "", fmt.Errorf("invalid manifest, layers length mismatch: expected %d, got %d", len(a.names), len(k.RootFS.DiffIDs))
	}
	for _, name := range a.names {
		p, err := a.loading.parts.find(name)
		if err != nil {
			return "", err
		}
		a.parts = append(a.parts, p)
	}
	a.img.ID = digest.FromBytes(a.config)
	defer a.discard()
	if err := a.prepare(ctx); err != nil {
		return "", err
	}
	var before []digest.Digest
	if err := a.store.changeIndex(ctx, func(x *index) error {
		before, err = a.enter(ctx, x)
		return err
	}); err != nil {
		return "", errors.Join(err, a.store.collect(context.WithoutCancel(ctx)))
	}
	a.announce(before)
	return a.img.ID, nil
}

// announce tells what was loaded under which name, and whose name that was before.
func (a *arrival) announce(before []digest.Digest) {
	for i, ref := range a.refs {
		name := reference.FamiliarString(ref)
		if before[i] != "" && before[i] != a.img.ID {
			a.say("The image %s already exists, renaming the old one with ID %s to empty string", name, before[i])
		}
		a.say("Loaded image: %s", name)
		a.store.tell(a.img.event(string(a.img.ID), "tag", name))
	}
	a.store.tell(a.img.event(string(a.img.ID), "load", string(a.img.ID)))
}

// prepare checks the layers, and unpacks those once more that are in other images too, or twice in this one.
func (a *arrival) prepare(ctx context.Context) error {
	used := map[*part]bool{}
	for i, chain := range a.img.ChainIDs() {
		p, diff := a.parts[i], a.img.Config.RootFS.DiffIDs[i]
		m, err := a.layer(ctx, p, i, chain, diff, used[p])
		if err != nil {
			return err
		}
		used[p] = true
		a.layers = append(a.layers, m)
	}
	return nil
}

func (a *arrival) layer(ctx context.Context, p *part, i int, chain, diff digest.Digest, used bool) (*made, error) {
	switch {
	case a.store.complete(chain):
		return nil, nil // as in Docker, what the archive has in its place does not matter
	case p.have:
		l := a.loading.parts.known[digestIn(p.name)]
		if l.Diff != diff {
			return nil, wrongLayer(i, diff, l.Diff)
		}
		return a.again(ctx, a.store.blob(l.Blob), l)
	case p.made == nil:
		return nil, fmt.Errorf("%s is no archive: archive/tar: invalid tar header", p.name)
	case p.made.layer.Diff != diff:
		return nil, wrongLayer(i, diff, p.made.layer.Diff)
	case used || p.made.dir == nil:
		return a.again(ctx, p.made.path(), p.made.layer)
	}
	return p.made, nil
}

func wrongLayer(i int, want, got digest.Digest) error {
	return fmt.Errorf("invalid diffID for layer %d: expected %q, got %q", i, want, got)
}

// again unpacks a blob that is here.
func (a *arrival) again(ctx context.Context, path string, l layer) (*made, error) {
	f, err := openBlob(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &made{store: a.store, name: "load-" + randomName(), layer: l}
	if m.dir, _, err = claimDir(ctx, a.store.layers+"/temp/"+m.name); err != nil {
		return nil, err
	}
	u := &unpacking{root: m.dir.file, want: l.Diff}
	if err := u.run(ctx, f); err != nil {
		return nil, errors.Join(err, m.discard())
	}
	m.blob = ocispec.Descriptor{MediaType: u.kind.mediaType(), Digest: l.Blob, Size: f.size}
	return m, nil
}

// discard removes what again has unpacked and nobody has taken; the archive's own parts are its own to remove.
func (a *arrival) discard() {
	for _, m := range a.layers {
		if m != nil && !slices.ContainsFunc(a.parts, func(p *part) bool { return p.made == m }) {
			_ = m.discard()
		}
	}
}

// enter gives everything its place, and the image its names; before are the images that had those. The caller holds the store's lock.
func (a *arrival) enter(ctx context.Context, x *index) (before []digest.Digest, err error) {
	s := a.store
	entry, known := x.entryOf(s, a.img.ID)
	if known {
		notes := entry.Annotations
		// Without what that entry may note of its origin.
		entry.Annotations = map[string]string{idNote: a.img.ID.String()}
		if parent := notes[parentNote]; parent != "" {
			entry.Annotations[parentNote] = parent
		}
	} else {
		if entry, err = a.keep(ctx); err != nil {
			return nil, err
		}
	}
	for _, ref := range a.refs {
		id := digest.Digest("")
		if was, ok := x.find(ref); ok {
			if id, err = s.idOf(was); err != nil {
				return nil, err
			}
		}
		before = append(before, id)
		if id != a.img.ID {
			x.set(ref, entry)
		}
	}
	if !x.holds(entry.Digest) {
		x.add("", entry)
	}
	return before, nil
}

// entryOf is any entry of an image.
func (x *index) entryOf(s *Store, id digest.Digest) (ocispec.Descriptor, bool) {
	i := slices.IndexFunc(x.Manifests, func(d ocispec.Descriptor) bool {
		is, err := s.idOf(d)
		return err == nil && is == id
	})
	if i < 0 {
		return ocispec.Descriptor{}, false
	}
	return x.Manifests[i], true
}

// keep stores the image. Its manifest stays as it came, if the layers are here as that names them.
func (a *arrival) keep(ctx context.Context) (ocispec.Descriptor, error) {
	m := &made{store: a.store, config: a.config, configID: a.img.ID}
	chains := a.img.ChainIDs()
	for i, l := range a.layers {
		blob, err := a.store.keepLayer(l, chains[i])
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		m.layers = append(m.layers, blob)
	}
	k := a.img.Config
	platform := &ocispec.Platform{OS: k.OS, Architecture: k.Architecture, Variant: k.Variant}
	if err := m.manifestFor(platform); err != nil {
		return ocispec.Descriptor{}, err
	}
	if same(a.manifest, m.layers) {
		m.manifest = a.manifest
		m.descriptor.Digest, m.descriptor.Size, m.descriptor.MediaType = digest.FromBytes(a.manifest), int64(len(a.manifest)), mediaTypeOf(a.manifest)
	}
	m.empty = true // the layers have their places
	if err := m.keep(ctx); err != nil {
		return ocispec.Descriptor{}, err
	}
	d := m.descriptor
	d.Annotations = map[string]string{idNote: a.img.ID.String()}
	return d, nil
}

// complete tells that a layer is here, unpacked and as a blob.
func (s *Store) complete(chain digest.Digest) bool {
	l, err := s.layer(chain)
	return err == nil && s.hasBlob(l.Blob)
}

// unpackedLayers are all layers that are here, by what each is called packed and unpacked.
func (s *Store) unpackedLayers() (map[digest.Digest]layer, error) {
	entries, err := os.ReadDir(s.layers + "/chain")
	if err != nil {
		return nil, err
	}
	all := map[digest.Digest]layer{}
	for _, e := range entries {
		l, err := s.layer(digest.NewDigestFromEncoded(digest.SHA256, e.Name()))
		if err == nil && s.hasBlob(l.Blob) {
			all[l.Diff], all[l.Blob] = l, l
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return all, nil
}

// same tells that a manifest names these blobs.
func same(manifest []byte, layers []ocispec.Descriptor) bool {
	var m ocispec.Manifest
	return manifest != nil && json.Unmarshal(manifest, &m) == nil &&
		slices.EqualFunc(m.Layers, layers, func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest })
}

func mediaTypeOf(manifest []byte) string {
	var m struct{ MediaType string }
	if json.Unmarshal(manifest, &m) != nil || m.MediaType == "" {
		return ocispec.MediaTypeImageManifest
	}
	return m.MediaType
}

// keepLayer gives a layer its places, if it has none, and describes the blob that it has then. The caller holds the store's lock.
func (s *Store) keepLayer(m *made, chain digest.Digest) (ocispec.Descriptor, error) {
	if l, err := s.layer(chain); err == nil && s.hasBlob(l.Blob) {
		return s.describe(l.Blob)
	}
	if m == nil {
		return ocispec.Descriptor{}, fmt.Errorf("layer %s was removed while the image was loaded", short(chain))
	}
	blob, file, dir := m.blob, m.file, m.dir
	m.file, m.dir = nil, nil
	var err error
	if file != nil {
		err = s.keepBlob(file, blob.Digest, nil)
	}
	if dir != nil {
		err = errors.Join(err, s.place(dir, chain, m.layer))
	}
	return blob, err
}

// describe describes a layer's blob.
func (s *Store) describe(d digest.Digest) (ocispec.Descriptor, error) {
	f, err := openBlob(s.blob(d))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := f.ReadAt(head, 0)
	return ocispec.Descriptor{MediaType: packedAs(head[:n]).mediaType(), Digest: d, Size: f.size}, nil
}

// adopt notes what images were made of, as the archive says, where their histories agree.
func (s *Store) adopt(ctx context.Context, parents map[digest.Digest]digest.Digest) error {
	return s.changeIndex(ctx, func(x *index) error {
		for i, d := range x.Manifests {
			id, err := s.idOf(d)
			if err != nil || parents[id] == "" || parentOf(d) != "" {
				continue
			}
			parent, ok := x.entryOf(s, parents[id])
			if !ok {
				continue
			}
			if err := s.descends(d, parent); err != nil {
				return err
			}
			notes := maps.Clone(d.Annotations)
			notes[parentNote] = parents[id].String()
			x.Manifests[i].Annotations = notes
		}
		return nil
	})
}

// descends refuses a parent whose history is not the image's but for the last step.
func (s *Store) descends(child, parent ocispec.Descriptor) error {
	c, err := s.load(child)
	if err != nil {
		return err
	}
	p, err := s.load(parent)
	if err != nil {
		return err
	}
	was, is := p.Config.History, c.Config.History
	if len(was)+1 == len(is) && slices.EqualFunc(was, is[:len(was)], func(a, b ocispec.History) bool {
		x, errX := json.Marshal(a)
		y, errY := json.Marshal(b)
		return errX == nil && errY == nil && bytes.Equal(x, y)
	}) || len(was)+len(is) == 0 {
		return nil
	}
	return fmt.Errorf("image %v is not a valid parent for %v", p.ID, c.ID)
}
