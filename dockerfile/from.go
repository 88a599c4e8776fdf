package dockerfile

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"glassbox/engine"
	"glassbox/image"
	"glassbox/progress"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// defaultPath is the PATH of an image that says none.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// begin carries out FROM, and what the base image has left to be done by ONBUILD.
func (s *stage) begin(w progress.Work) error {
	if s.wrong != nil {
		return s.wrong
	}
	if err := s.found(w); err != nil {
		return err
	}
	s.begun = s.id
	if err := s.tellBase(); err != nil {
		return err
	}
	if !slices.ContainsFunc(s.edit.Env, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
		s.edit.Env = append(s.edit.Env, defaultPath)
	}
	triggers := s.edit.OnBuild
	s.edit.OnBuild = nil
	if len(triggers) == 0 {
		return nil
	}
	w.Note(fmt.Sprintf("# Executing %d build trigger%s", len(triggers), strings.Repeat("s", min(1, len(triggers)-1))))
	for _, text := range triggers {
		c, err := s.file.trigger(text)
		if err != nil {
			return err
		}
		if err := s.await(c); err != nil {
			return err
		}
		if err := s.dispatch(w, c); err != nil {
			return err
		}
	}
	return nil
}

// tellBase notes what FROM has come to.
func (s *stage) tellBase() error {
	if s.unknown && s.base == nil {
		return s.account(StepAccount{Outcome: Due, Why: []string{s.from + " is not here: it would be pulled"}}, nil)
	}
	s.past.add(s.at.Step, pastStep{Stage: s.number, Text: s.SourceCode, Image: s.id})
	one := StepAccount{Outcome: Found, Image: s.id}
	if s.image != nil && s.base == nil {
		one.Bytes = s.image.Size
	}
	return s.account(one, s.image)
}

// found begins with what FROM names: a stage, nothing, or an image.
func (s *stage) found(w progress.Work) error {
	if s.base != nil {
		if err := s.base.result(s.ctx); err != nil {
			return err
		}
		s.id, s.image, s.platform, s.unknown = s.base.id, s.base.image, s.base.platform, s.base.unknown
		s.edit = s.base.edit.Fork(s.lex)
		return nil
	}
	if s.from == "scratch" {
		s.edit = engine.NewEdit(nil, s.lex)
		return nil
	}
	img, err := s.bases.find(s.build, s.from, s.Platform, w)
	if s.Plan && engine.Is(err, engine.NotFound) {
		s.edit, s.unknown = engine.NewEdit(nil, s.lex), true
		return nil
	}
	if err != nil {
		return err
	}
	if img.Config.OS != "linux" {
		return fmt.Errorf("operating system %q is not supported", img.Config.OS)
	}
	s.id, s.image, s.edit = img.ID, img, engine.NewEdit(img, s.lex)
	s.platform = ocispec.Platform{OS: img.Config.OS, Architecture: img.Config.Architecture, Variant: img.Config.Variant}
	return nil
}

// imageFrom is what --from or from= names.
func (s *stage) imageFrom(ctx context.Context, name string, w progress.Work) (*image.Image, error) {
	o, err := s.stageFor(name)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return s.bases.find(s.build, name, "", w)
	}
	if err := o.result(ctx); err != nil {
		return nil, err
	}
	return o.load(ctx)
}

// load reads the image that the stage has come to; nil: it is still nothing.
func (s *stage) load(ctx context.Context) (*image.Image, error) {
	if s.image != nil || s.id == "" {
		return s.image, nil
	}
	img, err := s.engine.Images.Resolve(s.id.String())
	if err == nil {
		err = s.hold.Add(ctx, s.id)
	}
	if err != nil {
		return nil, err
	}
	s.image = img
	return img, nil
}

// bases are the images that FROM and --from name, each looked for once.
type bases struct {
	mu    sync.Mutex
	known map[string]*found
}

type found struct {
	once sync.Once
	img  *image.Image
	err  error
}

func (b *bases) find(build *build, name, platform string, w progress.Work) (*image.Image, error) {
	platform = cmp.Or(platform, build.Platform)
	f := b.entry(platform + " " + name)
	f.once.Do(func() {
		if f.img, f.err = build.resolve(build.ctx, name, platform, build.Plan, w.Out()); f.err == nil {
			f.err = build.hold.Add(build.ctx, f.img.ID)
		}
	})
	return f.img, f.err
}

func (b *bases) entry(key string) *found {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.known[key]
	if f == nil {
		if b.known == nil {
			b.known = map[string]*found{}
		}
		f = &found{}
		b.known[key] = f
	}
	return f
}

// here finds an image without asking a registry; nil: it is not here, or something is wrong with it which its step will say.
func (b *bases) here(ctx context.Context, build *build, name, platform string) (*image.Image, error) {
	platform = cmp.Or(platform, build.Platform)
	if f := b.known[platform+" "+name]; f != nil { // no stage has begun yet: nobody else asks
		return f.img, f.err
	}
	img, err := build.resolve(ctx, name, platform, true, io.Discard)
	if err != nil {
		return nil, ctx.Err()
	}
	f := b.entry(platform + " " + name)
	f.once.Do(func() { f.img, f.err = img, build.hold.Add(ctx, img.ID) })
	return f.img, f.err
}

// resolve finds an image, here or at its registry.
func (b *build) resolve(ctx context.Context, name, platform string, here bool, out io.Writer) (*image.Image, error) {
	if platform != "" {
		p, err := platforms.Parse(platform)
		if err != nil {
			return nil, err
		}
		platform = platforms.Format(p)
	}
	shown := name
	if ref, err := reference.ParseNormalizedNamed(name); err == nil {
		shown = reference.TagNameOnly(ref).String()
	}
	task := progress.Task{Kind: progress.Metadata, Text: shown}
	if here { // that it is not here is no error to be shown
		img, err := b.engine.BaseImage(ctx, engine.BaseOptions{Name: name, Platform: platform, Here: true, Out: out})
		if err == nil {
			b.watch.Begin(task).End(nil)
		}
		return img, err
	}
	meta := b.watch.Begin(task)
	img, err := b.engine.BaseImage(ctx, engine.BaseOptions{Name: name, Platform: platform, Pull: b.Pull, Out: out})
	meta.End(err)
	return img, err
}
