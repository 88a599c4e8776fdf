package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Unstarted is the error of a push that was refused before anything was said of it.
type Unstarted struct{ error }

func (u *Unstarted) Unwrap() error { return u.error }

// PushOptions says how to push.
type PushOptions struct {
	All      bool      // every tag of the repository
	Platform string    // "linux/arm64": of an image for several platforms, this one alone
	Quiet    bool      // print the reference alone
	Out      io.Writer // Docker's progress lines; redrawn in place when Terminal
	Terminal bool
}

// Pushed is what a push gave a tag to.
type Pushed struct {
	Tag    string
	Digest digest.Digest
	Size   int64
	// Instead is the list of images that could not be sent, since some of what it lists is neither here nor there: Digest
	// is the one for this machine then.
	Instead digest.Digest
}

// Push uploads what ref names, to the repository that ref names. What was pulled goes as it came, byte by byte. Layers made here are
// packed on the way; the manifest that describes them so is a new one, and its digest is noted beside the image's names.
func (s *Store) Push(ctx context.Context, ref reference.Named, o PushOptions) ([]Pushed, error) {
	config, err := readSettings()
	if err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	p := &push{store: s, ref: ref, repository: reference.TrimNamed(ref), sent: map[digest.Digest]ocispec.Descriptor{}}
	if o.Platform != "" {
		platform, err := parsePlatform(o.Platform)
		if err != nil {
			return nil, err
		}
		p.platform = &platform
		if err := p.isFor(platform); err != nil {
			return nil, &Unstarted{err}
		}
	}
	p.progress = newProgress(o.Out, o.Quiet, o.Terminal)
	defer p.progress.close()
	pushed, err := p.run(ctx, direct(reference.Domain(ref), config), o.All)
	if err != nil {
		return pushed, pushError(err)
	}
	if o.Quiet {
		return pushed, p.progress.println(ref.String())
	}
	return pushed, nil
}

// pushError leaves out on the way to whom the registry's own answer, or the lack of credentials, came up.
func pushError(err error) error {
	var away *Unreachable
	var onTheWay *url.Error
	var a *answer
	if errors.As(err, &away) || !errors.As(err, &onTheWay) {
		return err
	}
	if errors.As(onTheWay.Err, &a) || errors.Is(onTheWay.Err, errNoBasic) || errors.Is(onTheWay.Err, errNoToken) {
		return onTheWay.Err
	}
	return err
}

// push is one push going on.
type push struct {
	store      *Store
	ref        reference.Named
	repository reference.Named
	platform   *ocispec.Platform
	progress   *progress
	to         *repository

	mu   sync.Mutex
	sent map[digest.Digest]ocispec.Descriptor // what the repository has, by the digest of what lies here
}

// uploads is how many layers are sent at once, as in Docker.
const uploads = 5

// isFor refuses an image that is for another platform than was asked for. One that is not here is told of later.
func (p *push) isFor(platform ocispec.Platform) error {
	x, err := p.store.readIndex()
	if err != nil {
		return err
	}
	entry, ok := x.find(p.ref)
	if !ok {
		return nil
	}
	if l, err := p.store.unfold(entry, &platform); err != nil || l.images[0].Digest != entry.Digest {
		return err
	}
	img, err := p.store.loadOne(entry)
	if err != nil {
		return err
	}
	is := ocispec.Platform{OS: img.Config.OS, Architecture: img.Config.Architecture, Variant: img.Config.Variant}
	if fit(platform, &is) == 0 {
		return fmt.Errorf("image with reference %s was found but its platform (%s) does not match the specified platform (%s)",
			reference.FamiliarString(p.ref), formatPlatform(is), formatPlatform(platform))
	}
	return nil
}

func (p *push) run(ctx context.Context, e endpoint, all bool) ([]Pushed, error) {
	p.progress.message("", "The push refers to repository ["+p.repository.Name()+"]")
	x, err := p.store.readIndex()
	if err != nil {
		return nil, err
	}
	tags := x.tags(p.repository)
	if len(tags) == 0 && !x.knows(p.repository) {
		return nil, fmt.Errorf("An image does not exist locally with the tag: %s", reference.FamiliarName(p.repository))
	}
	ctx = telling(ctx, func(text string) { p.progress.message("", text) })
	slow := p.store.patience
	slow.stall *= slowest
	if p.to, err = connect(ctx, e, p.repository, "pull,push", slow); err != nil {
		return nil, err
	}
	p.to.stall = p.store.stall
	defer p.to.close()
	if !all {
		tags = slices.DeleteFunc(tags, func(t reference.NamedTagged) bool { return t.String() != p.ref.String() })
	}
	switch {
	case len(tags) > 0:
	case all:
		return nil, fmt.Errorf("no tags to push for %s", reference.FamiliarName(p.repository))
	case isDigested(p.ref):
		return nil, errors.New("cannot push a digest reference")
	default:
		return nil, fmt.Errorf("tag does not exist: %s", reference.FamiliarString(p.ref))
	}
	var pushed []Pushed
	for _, t := range tags {
		one, err := p.tag(ctx, t)
		if err != nil {
			return pushed, err
		}
		pushed = append(pushed, one)
	}
	if img, err := p.store.Resolve(tags[0].String()); err == nil {
		p.store.tell(img.event(reference.FamiliarString(p.ref), "push", reference.FamiliarName(p.ref)))
	}
	return pushed, nil
}

func isDigested(ref reference.Named) bool {
	_, is := ref.(reference.Digested)
	return is
}

// tags are the names with a tag that lie in a repository, in their order.
func (x *index) tags(repository reference.Named) (all []reference.NamedTagged) {
	for _, d := range x.Manifests {
		if ref, ok := refOf(d).(reference.NamedTagged); ok && ref.Name() == repository.Name() {
			all = append(all, ref)
		}
	}
	slices.SortFunc(all, func(a, b reference.NamedTagged) int { return byFullName(a.String(), b.String()) })
	return all
}

// knows tells whether any name, by tag or by digest, lies in the repository.
func (x *index) knows(repository reference.Named) bool {
	return slices.ContainsFunc(x.Manifests, func(d ocispec.Descriptor) bool {
		ref := refOf(d)
		return ref != nil && ref.Name() == repository.Name()
	})
}

// tag pushes what one tag names.
func (p *push) tag(ctx context.Context, ref reference.NamedTagged) (Pushed, error) {
	done := Pushed{Tag: ref.Tag()}
	lease, all, err := p.take(ctx, ref)
	if err != nil {
		return done, err
	}
	defer lease.discard()
	top := all.top
	var parcels []*parcel
	for _, d := range all.images {
		one, err := p.store.parcel(d)
		if err != nil {
			return done, err
		}
		parcels = append(parcels, one)
	}
	if all.instead != "" {
		done.Instead = all.instead
	}
	if err := p.send(ctx, parcels); err != nil {
		return done, err
	}
	for i, one := range parcels {
		which := one.manifest.Digest.String()
		if top == nil && i == 0 {
			which = ref.Tag()
		}
		if err := p.to.putManifest(ctx, which, one.manifest, one.raw); err != nil {
			return done, err
		}
	}
	final, raw := parcels[0].manifest, []byte(nil)
	if top != nil {
		if final, raw, err = relist(*top, all.raw, all.images, parcels); err != nil {
			return done, err
		}
		if err := p.to.putManifest(ctx, ref.Tag(), final, raw); err != nil {
			return done, err
		}
	}
	done.Digest, done.Size = final.Digest, final.Size
	p.progress.message("", fmt.Sprintf("%s: digest: %s size: %d", ref.Tag(), final.Digest, final.Size))
	return done, p.note(ctx, ref, all.entry, final.Digest, parcels)
}

// putManifest stores a manifest under a tag or its digest.
func (r *repository) putManifest(ctx context.Context, which string, d ocispec.Descriptor, raw []byte) error {
	resp, err := r.send(ctx, http.MethodPut, r.base+"/manifests/"+which, http.Header{"Content-Type": {d.MediaType}}, newBody(raw))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if said := resp.Header.Get("Docker-Content-Digest"); said != "" && said != d.Digest.String() {
		return fmt.Errorf("the registry took manifest %s for %s", d.Digest, said)
	}
	return nil
}

// note keeps the digest that the image has there as one of its names, and where its layers are.
func (p *push) note(ctx context.Context, ref reference.Named, entry ocispec.Descriptor, d digest.Digest, parcels []*parcel) error {
	byDigest, err := reference.WithDigest(p.repository, d)
	if err != nil {
		return err
	}
	err = p.store.changeIndex(ctx, func(x *index) error {
		if now, ok := x.find(ref); !ok || now.Digest != entry.Digest {
			return nil // it has got another meaning, or none, meanwhile
		}
		if was, ok := x.find(byDigest); !ok || was.Digest != entry.Digest {
			x.set(byDigest, entry)
		}
		return nil
	})
	there := map[digest.Digest]remote{}
	for _, one := range parcels {
		for _, c := range one.layers {
			if c.chain != "" {
				there[c.chain] = remote{p.repository.Name(), c.there.Digest, c.there.Size, c.there.MediaType}
			}
		}
	}
	if err == nil {
		err = p.store.remember(ctx, there)
	}
	return err
}

// freight is what a name stands for: one image, or a list of them.
type freight struct {
	entry   ocispec.Descriptor
	images  []ocispec.Descriptor
	top     *ocispec.Descriptor // the list; nil: one image goes by itself
	raw     []byte              // of the list
	instead digest.Digest       // the list that is not complete
}

// take looks a name up and keeps what it names from being deleted.
func (p *push) take(ctx context.Context, ref reference.Named) (*claim, *freight, error) {
	s := p.store
	var l *freight
	var c *claim
	err := s.change(ctx, func() error {
		x, err := s.readIndex()
		if err != nil {
			return err
		}
		entry, ok := x.find(ref)
		if !ok {
			return fmt.Errorf("tag does not exist: %s", reference.FamiliarString(ref))
		}
		if l, err = s.unfold(entry, p.platform); err != nil {
			return err
		}
		blobs, chains := map[string]bool{}, map[string]bool{}
		if err := s.mark(entry.Digest, blobs, chains); err != nil {
			return err
		}
		c, err = s.leaseLocked(ctx, held{Blobs: digests(blobs), Chains: digests(chains)})
		return err
	})
	return c, l, err
}

func digests(set map[string]bool) (all []digest.Digest) {
	for hex := range set {
		all = append(all, digest.NewDigestFromEncoded(digest.SHA256, hex))
	}
	return all
}

// unfold reads what an entry of the index stands for. Of a list whose images are not all here, this machine's alone is sent.
func (s *Store) unfold(entry ocispec.Descriptor, platform *ocispec.Platform) (*freight, error) {
	raw, err := s.document(entry.Digest)
	if err != nil {
		return nil, err
	}
	m := document{raw: raw}
	if err := m.parse(entry.MediaType); err != nil {
		return nil, err
	}
	l := &freight{entry: entry, images: []ocispec.Descriptor{entry}}
	if !m.isList {
		return l, nil
	}
	if platform == nil {
		complete := true
		for _, d := range m.manifests {
			complete = complete && s.whole(d)
		}
		if complete {
			d := ocispec.Descriptor{MediaType: m.descriptor.MediaType, Digest: entry.Digest, Size: int64(len(raw))}
			l.top, l.raw, l.images = &d, raw, m.manifests
			return l, nil
		}
		here := thisPlatform()
		platform, l.instead = &here, entry.Digest
	}
	one, err := choose(m.manifests, *platform)
	if err == nil && !s.whole(one) {
		err = fmt.Errorf("image for %s is not here", formatPlatform(*platform))
	}
	l.images = []ocispec.Descriptor{one}
	return l, err
}

// whole tells whether everything that a manifest names is here.
func (s *Store) whole(d ocispec.Descriptor) bool {
	m, err := s.manifest(d.Digest)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(append(m.Layers, m.Config), func(d ocispec.Descriptor) bool { return checkDigest(d.Digest) != nil || !s.hasBlob(d.Digest) })
}

// relist is the list with the digests that its images have got by being packed; as it was, byte by byte, where none has another.
func relist(top ocispec.Descriptor, raw []byte, images []ocispec.Descriptor, parcels []*parcel) (ocispec.Descriptor, []byte, error) {
	if !slices.ContainsFunc(parcels, func(p *parcel) bool { return p.packed }) {
		return top, raw, nil
	}
	var list ocispec.Index
	if err := json.Unmarshal(raw, &list); err != nil {
		return top, nil, err
	}
	list.Manifests = slices.Clone(images)
	for i, p := range parcels {
		list.Manifests[i].MediaType, list.Manifests[i].Digest, list.Manifests[i].Size = p.manifest.MediaType, p.manifest.Digest, p.manifest.Size
	}
	raw, err := json.Marshal(list)
	return describe(top.MediaType, raw), raw, err
}

// describe is the descriptor of a document.
func describe(mediaType string, raw []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
}
