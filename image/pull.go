package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"glassbox/archive"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// PullOptions says how to pull.
type PullOptions struct {
	Platform string    // "linux/arm64"; empty: this machine's
	All      bool      // every tag of the repository
	Quiet    bool      // print only what `docker pull -q` prints
	Implicit bool      // on the way of another command: `run` prints neither the default tag nor the full name
	Out      io.Writer // Docker's progress lines; redrawn in place when Terminal
	Terminal bool
}

// together is how many layers are fetched and unpacked at once.
const together = 4

// Pull fetches what ref names from its registry, verifies, unpacks and tags it. After an error nothing of it is left,
// unless another image needs it. The error is an *Unreachable when the registry could not be asked. Of all tags, the last image is
// returned; nil if there are none.
func (s *Store) Pull(ctx context.Context, ref reference.Named, o PullOptions) (*Image, error) {
	platform, err := parsePlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	config, err := readSettings()
	if err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	p := &pull{store: s, ref: plainRef(ref), platform: platform, explicit: o.Platform != "", all: o.All}
	if o.All {
		p.ref = reference.TrimNamed(ref)
	}
	if reference.IsNameOnly(ref) && !o.All && !o.Implicit && !o.Quiet && o.Out != nil {
		fmt.Fprintln(o.Out, "Using default tag: latest")
	}
	p.progress = newProgress(o.Out, o.Quiet, o.Terminal)
	defer p.progress.close()
	img, err := p.from(ctx, endpoints(p.ref, config))
	if img != nil {
		s.tell(img.event(reference.FamiliarString(p.ref), "pull", reference.FamiliarName(p.ref)))
	}
	if err != nil || o.Implicit {
		return img, err
	}
	return img, p.progress.println(p.ref.String())
}

// pull is one pull going on.
type pull struct {
	store    *Store
	ref      reference.Named
	platform ocispec.Platform
	explicit bool // the platform was asked for
	all      bool // ref has no tag: all are meant
	progress *progress
}

// from tries mirrors in their order, then the registry itself.
func (p *pull) from(ctx context.Context, all []endpoint) (*Image, error) {
	for _, e := range all[:len(all)-1] {
		img, err := p.one(ctx, e)
		if err == nil || ctx.Err() != nil {
			return img, err
		}
		p.progress.message("", fmt.Sprintf("Mirror %s: %v", e.host, err))
	}
	return p.one(ctx, all[len(all)-1])
}

func (p *pull) one(ctx context.Context, e endpoint) (img *Image, err error) {
	ctx = telling(ctx, func(text string) { p.progress.message("", text) })
	r, err := connect(ctx, e, p.ref, "pull", p.store.patience)
	if err != nil {
		return nil, err
	}
	defer r.close()
	refs := []reference.Named{p.ref}
	if p.all {
		if refs, err = r.tags(ctx); err != nil {
			return nil, err
		}
	}
	news := false
	for _, ref := range refs {
		one, to := *p, *r
		one.ref, to.ref = ref, ref
		var fresh bool
		if img, fresh, err = one.tag(ctx, &to); err != nil {
			return nil, err
		}
		news = news || fresh
	}
	if news {
		p.progress.message("", "Status: Downloaded newer image for "+reference.FamiliarString(p.ref))
	} else {
		p.progress.message("", "Status: Image is up to date for "+reference.FamiliarString(p.ref))
	}
	return img, nil
}

// tag gets what one reference names, and tells whether that is news.
func (p *pull) tag(ctx context.Context, r *repository) (*Image, bool, error) {
	which := tagOrDigest(p.ref)
	top, err := r.manifest(ctx, which)
	if err != nil {
		return nil, false, r.manifestError(err)
	}
	p.progress.message(which, "Pulling from "+reference.Path(p.ref))
	m := top
	if top.isList {
		d, err := choose(top.manifests, p.platform)
		if err != nil {
			return nil, false, err
		}
		if err := checkDigest(d.Digest); err != nil {
			return nil, false, err
		}
		if m, err = r.manifest(ctx, d.Digest.String()); err != nil {
			return nil, false, r.manifestError(err)
		}
		if m.isList {
			return nil, false, errors.New("unsupported manifest format: a list of lists of images")
		}
	}
	return p.image(ctx, r, m, top.descriptor.Digest)
}

// image gets one image whose manifest we have. top is the digest of what the registry gave for the reference.
func (p *pull) image(ctx context.Context, r *repository, m document, top digest.Digest) (*Image, bool, error) {
	config, err := p.config(ctx, r, m)
	if err != nil {
		return nil, false, err
	}
	img, err := parseConfig(config)
	if err != nil {
		return nil, false, fmt.Errorf("reading the image config: %w", err)
	}
	if err := p.checkPlatform(img, m.descriptor.Digest != top); err != nil {
		return nil, false, err
	}
	layers, err := wants(img, m.layers)
	if err != nil {
		return nil, false, err
	}
	lease, err := p.store.lease(ctx, heldBy(m, layers))
	if err != nil {
		return nil, false, err
	}
	err = p.layers(ctx, r, m, layers)
	if err == nil {
		err = errors.Join(p.store.putBlob(ctx, m.config.Digest, config), p.store.putBlob(ctx, m.descriptor.Digest, m.raw))
	}
	fresh := false
	if err == nil {
		fresh, err = p.name(ctx, img, m, top)
	}
	if err == nil {
		err = p.store.remember(ctx, remotes(p.ref, layers))
	}
	err = errors.Join(err, lease.discard())
	if err != nil {
		// What came before the failure serves nobody; ctx may be what failed.
		return nil, false, errors.Join(err, p.store.collect(context.WithoutCancel(ctx)))
	}
	p.progress.message("", "Digest: "+top.String())
	img, err = p.store.Resolve(p.ref.String())
	return img, fresh, err
}

func (p *pull) config(ctx context.Context, r *repository, m document) ([]byte, error) {
	if p.store.hasBlob(m.config.Digest) {
		raw, err := p.store.document(m.config.Digest)
		if err == nil && digest.FromBytes(raw) == m.config.Digest {
			return raw, nil
		}
	}
	return r.small(ctx, m.config)
}

// checkPlatform refuses what cannot run here, and what is not what was asked for, unless a list of images has said that it is.
func (p *pull) checkPlatform(img *Image, listed bool) error {
	c := img.Config
	if c.OS != "" && c.OS != p.platform.OS {
		return fmt.Errorf("image operating system %q cannot be used on this platform: operating system is not supported", c.OS)
	}
	if p.explicit && !listed && fit(p.platform, &ocispec.Platform{OS: p.platform.OS, Architecture: c.Architecture, Variant: c.Variant}) == 0 {
		return fmt.Errorf("image with reference %s was found but its platform (%s) does not match the specified platform (%s)",
			reference.FamiliarString(p.ref), formatPlatform(c.Platform), formatPlatform(p.platform))
	}
	return nil
}

// layers gets all layers at once, some at a time. The first failure ends the others.
func (p *pull) layers(ctx context.Context, r *repository, m document, layers []want) error {
	if p.complete(m, layers) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turn := make(chan struct{}, together)
	var wait sync.WaitGroup
	var missing []want
	for _, w := range layers {
		if p.store.hasLayer(w.chain) && p.store.hasBlob(w.blob.Digest) {
			p.progress.status(short(w.blob.Digest), "Already exists")
			continue
		}
		missing = append(missing, w)
		p.progress.status(short(w.blob.Digest), "Pulling fs layer")
	}
	for i, w := range missing {
		watch := &bar{p: p.progress, id: short(w.blob.Digest), total: w.blob.Size}
		if i >= together {
			watch.status("Waiting")
		}
		wait.Go(func() {
			select {
			case turn <- struct{}{}:
			case <-ctx.Done():
				return
			}
			defer func() { <-turn }()
			from := func(ctx context.Context) io.ReadCloser { return r.blob(ctx, w.blob, watch.status) }
			if err := p.store.obtain(ctx, w, from, watch); err != nil {
				if errors.Is(err, archive.ErrDuplicate) {
					err = fmt.Errorf("failed to register layer: %w", err)
				}
				cancel(err)
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}

// complete tells that the image is here already, under whatever name: then Docker shows no layers.
func (p *pull) complete(m document, layers []want) bool {
	if !p.store.hasBlob(m.descriptor.Digest) || !p.store.hasBlob(m.config.Digest) {
		return false
	}
	for _, w := range layers {
		if !p.store.hasBlob(w.blob.Digest) || !p.store.hasLayer(w.chain) {
			return false
		}
	}
	return true
}

// name makes the references lead to the image, and tells whether that is news.
func (p *pull) name(ctx context.Context, img *Image, m document, top digest.Digest) (fresh bool, err error) {
	d := m.descriptor
	if d.MediaType == "" {
		d.MediaType = ocispec.MediaTypeImageManifest
	}
	d.Platform = &ocispec.Platform{OS: img.Config.OS, Architecture: img.Config.Architecture, Variant: img.Config.Variant}
	d.Annotations = map[string]string{idNote: m.config.Digest.String()}
	byDigest, err := reference.WithDigest(reference.TrimNamed(p.ref), top)
	if err != nil {
		return false, err
	}
	err = p.store.changeIndex(ctx, func(x *index) error {
		before, ok := x.find(p.ref)
		fresh = true
		if ok {
			id, err := p.store.idOf(before)
			fresh = err != nil || id != m.config.Digest
		}
		if fresh || before.Digest != d.Digest {
			x.set(p.ref, d)
		}
		if was, ok := x.find(byDigest); !ok || was.Digest != d.Digest {
			x.set(byDigest, d)
		}
		return nil
	})
	return fresh, err
}

func heldBy(m document, layers []want) held {
	h := held{Blobs: []digest.Digest{m.descriptor.Digest, m.config.Digest}}
	for _, w := range layers {
		h.Blobs = append(h.Blobs, w.blob.Digest)
		h.Chains = append(h.Chains, w.chain)
	}
	return h
}

// lease writes down, before anything is looked up, what must not be deleted while this process lives.
func (s *Store) lease(ctx context.Context, h held) (c *claim, err error) {
	err = s.change(ctx, func() error {
		c, err = s.leaseLocked(ctx, h)
		return err
	})
	return c, err
}

// leaseLocked is lease for who holds the store's lock.
func (s *Store) leaseLocked(ctx context.Context, h held) (*claim, error) {
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	c, _, err := claimFile(ctx, s.dir+"/leases/"+randomName())
	if err != nil {
		return nil, err
	}
	if _, err := c.file.Write(raw); err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return c, nil
}
