package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// parcel is one image on its way to a registry.
type parcel struct {
	manifest ocispec.Descriptor // as it will be there
	raw      []byte
	content  ocispec.Manifest // as it is here
	layers   []*cargo         // lowest first
	config   *cargo
	packed   bool // its manifest is another than here
}

// cargo is a blob of it.
type cargo struct {
	blob  ocispec.Descriptor // as it lies here
	there ocispec.Descriptor // as it lies there; set when it is known to be there
	diff  digest.Digest      // of an image's layer
	chain digest.Digest
}

// Docker's media types, which every registry takes.
const (
	dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfigType   = "application/vnd.docker.container.image.v1+json"
	dockerLayerType    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerPlainType    = "application/vnd.docker.image.rootfs.diff.tar"
)

// isPlain tells a layer that is not packed.
func (c *cargo) isPlain() bool {
	return c.blob.MediaType == ocispec.MediaTypeImageLayer || c.blob.MediaType == dockerPlainType
}

// parcel reads what is to be sent of one image.
func (s *Store) parcel(d ocispec.Descriptor) (*parcel, error) {
	raw, err := s.document(d.Digest)
	if err != nil {
		return nil, err
	}
	m := document{raw: raw}
	if err := m.parse(d.MediaType); err != nil {
		return nil, err
	}
	p := &parcel{raw: raw, manifest: describe(m.descriptor.MediaType, raw), config: &cargo{blob: m.config}}
	if err := json.Unmarshal(raw, &p.content); err != nil {
		return nil, err
	}
	for _, l := range m.layers {
		p.layers = append(p.layers, &cargo{blob: l})
	}
	config, err := s.document(m.config.Digest)
	if err != nil {
		return nil, err
	}
	if img, err := parseConfig(config); err == nil {
		if all, err := wants(img, m.layers); err == nil {
			for i, w := range all {
				p.layers[i].diff, p.layers[i].chain = w.diff, w.chain
			}
		}
	}
	return p, nil
}

// id is how a layer is shown: by its content, not by how it is packed.
func (c *cargo) id() string {
	if c.diff != "" {
		return short(c.diff)
	}
	return short(c.blob.Digest)
}

// send brings the blobs of images to the repository, then knows what their manifests must say.
func (p *push) send(ctx context.Context, all []*parcel) error {
	var layers []*cargo
	for _, one := range all {
		for _, c := range slices.Backward(one.layers) { // Docker begins with the topmost
			p.progress.status(c.id(), "Preparing")
			layers = append(layers, c)
		}
	}
	if err := p.layers(ctx, layers); err != nil {
		return err
	}
	for _, one := range all {
		if err := p.blob(ctx, one.config, nil); err != nil {
			return err
		}
		if err := one.address(); err != nil {
			return err
		}
	}
	return nil
}

// layers sends each layer once, some at a time. The first failure ends the others.
func (p *push) layers(ctx context.Context, layers []*cargo) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turn := make(chan struct{}, uploads)
	var wait sync.WaitGroup
	first := map[digest.Digest]*cargo{}
	for _, c := range layers {
		if first[c.blob.Digest] != nil {
			continue
		}
		first[c.blob.Digest] = c
		watch := &bar{p: p.progress, id: c.id(), total: c.blob.Size}
		if len(first) > uploads {
			watch.status("Waiting")
		}
		wait.Go(func() {
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				return
			}
			defer func() { <-turn }()
			if err := p.blob(ctx, c, watch); err != nil {
				cancel(err)
			}
		})
	}
	wait.Wait()
	for _, c := range layers {
		c.there = first[c.blob.Digest].there
	}
	return context.Cause(ctx)
}

// blob makes sure that the repository has a blob. Without a watcher it is told nobody.
func (p *push) blob(ctx context.Context, c *cargo, watch *bar) error {
	say := func(text string) {
		if watch != nil {
			watch.status(text)
		}
	}
	if d, known := p.known(c.blob.Digest); known {
		c.there = d
		say("Layer already exists")
		return nil
	}
	var l layer
	if c.chain != "" {
		l, _ = p.store.layer(c.chain) // what is not known of it cannot help
	}
	if d, ok := p.there(ctx, c, l); ok {
		say("Layer already exists")
		p.arrived(c, d)
		return nil
	}
	u := &upload{r: p.to, told: say, open: func() (io.ReadCloser, error) { return p.store.shipping(c, watch) }}
	if !c.isPlain() {
		u.want = c.blob
	}
	if d, from, ok := p.mounted(ctx, c, l, u); ok {
		say("Mounted from " + from)
		p.arrived(c, d)
		return nil
	}
	d, err := u.run(telling(ctx, say))
	if err != nil {
		return err
	}
	d.MediaType = c.packedType()
	say("Pushed")
	p.arrived(c, d)
	return nil
}

func (p *push) known(d digest.Digest) (ocispec.Descriptor, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	there, ok := p.sent[d]
	return there, ok
}

func (p *push) arrived(c *cargo, d ocispec.Descriptor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.there = d
	p.sent[c.blob.Digest] = d
}

// packedType is the media type that a layer has there.
func (c *cargo) packedType() string {
	if c.isPlain() {
		return ocispec.MediaTypeImageLayerGzip
	}
	return c.blob.MediaType
}

// candidates are the blobs as which the layer may lie there: as it lies here, or as a registry has got it before.
func (c *cargo) candidates(l layer) (all []ocispec.Descriptor) {
	if !c.isPlain() {
		return []ocispec.Descriptor{c.blob}
	}
	for _, r := range l.Remotes {
		d := ocispec.Descriptor{MediaType: r.MediaType, Digest: r.Blob, Size: r.Size}
		if !slices.ContainsFunc(all, func(o ocispec.Descriptor) bool { return o.Digest == d.Digest }) {
			all = append(all, d)
		}
	}
	return all
}

// there asks whether the repository has the blob.
func (p *push) there(ctx context.Context, c *cargo, l layer) (ocispec.Descriptor, bool) {
	for _, d := range c.candidates(l) {
		if n, ok := p.to.has(ctx, d.Digest); ok && (n < 0 || n == d.Size) {
			return d, true
		}
	}
	return ocispec.Descriptor{}, false
}

// mounted has the registry take the blob from another repository of its own, if one is known to have it. What comes of a failure is an
// upload that has begun.
func (p *push) mounted(ctx context.Context, c *cargo, l layer, u *upload) (d ocispec.Descriptor, from string, ok bool) {
	for i, r := range l.near(p.repository) {
		if i == 3 {
			break
		}
		d := ocispec.Descriptor{MediaType: r.MediaType, Digest: r.Blob, Size: r.Size}
		if !c.isPlain() && d.Digest != c.blob.Digest {
			continue
		}
		ref, err := reference.ParseNamed(r.Repository)
		if err != nil {
			continue
		}
		if ok, err := u.mount(ctx, reference.Path(ref), r.Blob); err == nil && ok {
			return d, reference.Path(ref), true
		}
	}
	return d, "", false
}

// address makes the manifest that tells where the layers are. One whose layers all went as they were is the same document.
func (p *parcel) address() error {
	p.packed = slices.ContainsFunc(p.layers, func(c *cargo) bool { return c.there.Digest != c.blob.Digest })
	if !p.packed {
		return nil
	}
	if strings.HasPrefix(p.content.MediaType, "application/vnd.oci") && p.content.Annotations == nil && !slices.ContainsFunc(p.layers, (*cargo).isOCI) {
		return p.addressDocker()
	}
	m := p.content
	m.Layers = nil
	for _, c := range p.layers {
		d := c.blob
		d.MediaType, d.Digest, d.Size = c.there.MediaType, c.there.Digest, c.there.Size
		m.Layers = append(m.Layers, d)
	}
	raw, err := json.Marshal(m)
	p.raw, p.manifest = raw, describe(p.manifest.MediaType, raw)
	return err
}

// isOCI tells what Docker's manifests have no word for.
func (c *cargo) isOCI() bool {
	return c.there.MediaType != ocispec.MediaTypeImageLayerGzip && c.there.MediaType != dockerLayerType || c.blob.Annotations != nil
}

// addressDocker writes the manifest as Docker does, to the byte.
func (p *parcel) addressDocker() (err error) {
	type part struct {
		MediaType string        `json:"mediaType"`
		Size      int64         `json:"size"`
		Digest    digest.Digest `json:"digest"`
	}
	m := struct {
		specs.Versioned
		MediaType string `json:"mediaType"`
		Config    part   `json:"config"`
		Layers    []part `json:"layers"`
	}{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: dockerManifestType, Layers: []part{}}
	m.Config = part{dockerConfigType, p.config.blob.Size, p.config.blob.Digest}
	for _, c := range p.layers {
		m.Layers = append(m.Layers, part{dockerLayerType, c.there.Size, c.there.Digest})
	}
	p.raw, err = json.MarshalIndent(m, "", "   ")
	p.manifest = describe(dockerManifestType, p.raw)
	return err
}

// shipping opens a blob as it goes there: packed.
func (s *Store) shipping(c *cargo, watch *bar) (io.ReadCloser, error) {
	f, err := os.Open(s.blob(c.blob.Digest))
	if err != nil {
		return nil, err
	}
	seen := &seen{ReadCloser: f, watch: watch}
	if !c.isPlain() {
		return seen, nil
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(packTo(w, seen, c.blob.Digest)) }()
	return r, nil
}

// packTo packs a layer, and checks that it is what its digest says.
func packTo(w io.Writer, from io.ReadCloser, want digest.Digest) error {
	defer from.Close()
	z, sum := newGzipper(w), sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(sum, z), from, make([]byte, ringSize)); err != nil {
		z.Close()
		return err
	}
	if got := digestOf(sum); got != want {
		z.Close()
		return fmt.Errorf("the stored blob %s is damaged: its digest is %s", want, got)
	}
	return z.Close()
}

// seen tells how much of a blob was read.
type seen struct {
	io.ReadCloser
	watch *bar
	n     int64
}

func (s *seen) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.n += int64(n)
	if s.watch != nil && n > 0 {
		s.watch.moved("Pushing", s.n)
	}
	return n, err
}

// newBody is a request's body that can be sent again.
func newBody(raw []byte) io.Reader { return bytes.NewReader(raw) }
