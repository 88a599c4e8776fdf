package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"glassbox/engine"
	"glassbox/image"
	"glassbox/progress"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// build is one build going on; its stages share it.
type build struct {
	Options
	engine  *engine.Engine
	watch   progress.Watcher
	work    *engine.Work // its own directory, work.Dir, on the store's file system
	hold    *image.Hold  // keeps what it has made
	file    *file
	cache   *cache
	past    *history
	sources []*image.Image // those of --cache-from that are here
	bases   bases
	shows   contextFiles // what mounts show of the context

	ctx       context.Context // what all stages share: an image that one of them looks for is there for others too
	platform  ocispec.Platform
	argErrors []error // of the ARGs before the first FROM, up to the first that has one
	stages    []*stage
	steps     int         // how many are carried out
	begun     atomic.Bool // a step was shown
}

// Build builds an image, and names it. Its error is a *Failure, or the context's.
func Build(ctx context.Context, e *engine.Engine, o Options, w progress.Watcher) (result progress.Result, err error) {
	b := &build{Options: o, engine: e, watch: w, work: o.Work}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = &Failure{err, b.begun.Load()}
		}
	}()
	if err := b.define(); err != nil {
		return result, err
	}
	if err := b.arrange(); err != nil {
		return result, err
	}
	if b.hold, err = e.Images.Hold(ctx); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, b.hold.Release()) }()
	if b.cache, err = openCache(e, o.NoCache); err != nil {
		return result, err
	}
	if b.past, err = openHistory(b.cache.place, &b.Options); err != nil {
		return result, err
	}
	if err := b.openSources(); err != nil {
		return result, err
	}
	if err := b.foresee(ctx); err != nil {
		return result, err
	}
	target, err := b.carryOut(ctx)
	if b.Plan {
		return result, err
	}
	if e := b.past.keep(b.steps, err == nil); err == nil {
		err = e // what has failed has a reason that matters more than this note
	}
	if err != nil {
		return result, err
	}
	if b.Squash {
		if err := target.squash(ctx); err != nil {
			return result, err
		}
	}
	return b.export(ctx, target)
}

// define reads the Dockerfile, and tells of it and of the context.
func (b *build) define() error {
	text := b.watch.Begin(progress.Task{Kind: progress.Definition, Text: b.Context.Name, Source: b.Context.Dockerfile})
	size := int64(len(b.Context.Dockerfile))
	text.Status("", size, size)
	wrong := b.Context.Wrong
	if wrong == nil {
		b.file, wrong = parse(b.Context.Name, b.Context.Dockerfile)
	}
	if err := b.showContext(); err != nil {
		text.End(nil)
		return err
	}
	if wrong == nil {
		for _, warning := range b.file.warnings {
			fmt.Fprintln(text.Stderr(), warning)
		}
	}
	text.End(wrong)
	return wrong
}

// showContext tells how much Docker's client would send; here nothing is sent.
func (b *build) showContext() error {
	b.watch.Begin(progress.Task{Kind: progress.Ignore}).End(nil)
	w := b.watch.Begin(progress.Task{Kind: progress.Context})
	size, err := b.Context.Size()
	w.Status("", size, size)
	w.End(err)
	return err
}

// arrange finds out which stages there are, which are needed, and how their steps are counted.
func (b *build) arrange() error {
	var err error
	if b.platform, err = platformOf(b.Platform); err != nil {
		return err
	}
	stages := b.file.stages
	if b.Target != "" {
		i, err := findTarget(stages, b.Target)
		if err != nil {
			return err
		}
		stages = stages[:i+1]
	}
	if len(stages) == 0 {
		return errNoImage
	}
	last := &stages[len(stages)-1]
	for _, name := range slices.Sorted(maps.Keys(b.Labels)) {
		last.AddCommand(instructions.NewLabelCommand(name, b.Labels[name], true))
	}
	lex := shell.NewLex(b.file.escape)
	args := newArguments(b.Args, b.platform, last.Name)
	for _, c := range b.file.args {
		if err := args.declareGlobal(c, lex); err != nil {
			b.argErrors = append(b.argErrors, err)
			break
		}
		b.argErrors = append(b.argErrors, nil)
	}
	for i := range stages {
		b.stages = append(b.stages, b.newStage(i, &stages[i], args.inStage(), lex))
	}
	b.stages[len(b.stages)-1].need()
	b.count()
	b.findTwins()
	return nil
}

var errNoImage = errors.New("No image was generated. Is your Dockerfile empty?")

func platformOf(name string) (ocispec.Platform, error) {
	if name == "" {
		return platforms.DefaultSpec(), nil
	}
	return platforms.Parse(name)
}

// foresee looks which stages the ONBUILD of base images asks for, as far as these are here: such stages are needed too.
func (b *build) foresee(ctx context.Context) error {
	for _, s := range b.stages {
		if !s.needed || s.base != nil || s.wrong != nil || s.from == "scratch" || b.Pull {
			continue
		}
		img, err := b.bases.here(ctx, b, s.from, s.Platform)
		if err != nil {
			return err
		}
		if img == nil {
			continue
		}
		for _, text := range img.Docker.OnBuild {
			if c, err := b.file.trigger(text); err == nil { // what is wrong with it, its step says
				s.needSources(c)
			}
		}
	}
	b.count()
	b.findTwins()
	return nil
}

// count numbers the steps of the stages that are needed, in the file's order.
func (b *build) count() {
	b.steps = len(b.file.args)
	for _, s := range b.stages {
		if s.needed {
			s.first = b.steps + 1
			b.steps += 1 + len(s.Commands)
		}
	}
	// A stage that turns out to be needed by an ONBUILD only comes behind all others.
	behind := b.steps
	for _, s := range b.stages {
		if !s.needed {
			s.first = behind + 1
			behind += 1 + len(s.Commands)
		}
	}
}

// carryOut builds the stages that are needed, all at once, and returns the last one. One that fails ends those behind it in the file; those
// before it go on, for theirs would have been the error if one stage came after the other.
func (b *build) carryOut(ctx context.Context) (*stage, error) {
	if err := b.globals(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.ctx = ctx
	for _, s := range b.stages {
		s.ctx, s.cancel = context.WithCancel(ctx)
		defer s.cancel()
	}
	for _, s := range b.stages {
		if s.needed {
			s.start()
		}
	}
	for _, s := range b.stages {
		if s.started.Load() {
			<-s.done
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, s := range b.stages {
		if s.started.Load() && s.err != nil {
			return nil, s.err
		}
	}
	target := b.stages[len(b.stages)-1]
	if target.id == "" && !target.unknown {
		return nil, errNoImage
	}
	return target, nil
}

// globals shows the ARGs before the first FROM, which are steps as others are.
func (b *build) globals() error {
	for i, err := range b.argErrors {
		w := b.begin(progress.Task{Kind: progress.Instruction, Text: b.file.args[i].String(), Step: i + 1, Steps: b.steps, Stage: -1})
		w.End(err)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *build) begin(t progress.Task) progress.Work {
	b.begun.Store(true)
	return b.watch.Begin(t)
}

// export gives what the build is for: an image, if nothing else was asked for.
func (b *build) export(ctx context.Context, target *stage) (result progress.Result, err error) {
	consumed := map[string]bool{}
	for _, s := range b.stages {
		maps.Copy(consumed, s.args.consumed)
	}
	if names := leftover(b.Args, consumed); len(names) > 0 {
		result.Warnings = append(result.Warnings, fmt.Sprintf("[Warning] One or more build-args %v were not consumed", names))
	}
	if len(b.Outputs) == 0 {
		b.Outputs = []Output{{Type: "image"}}
	}
	for _, o := range b.Outputs {
		if err := b.output(ctx, o, target, &result); err != nil {
			return result, err
		}
	}
	return result, nil
}

// now is the time that an image and its history bear.
func (b *build) now() time.Time {
	if b.Epoch != nil {
		return b.Epoch.UTC()
	}
	return time.Now().UTC()
}

// short is an id as Docker shows it.
func short(id digest.Digest) string { return id.Encoded()[:12] }

func shortOrNone(id digest.Digest) string {
	if id == "" {
		return "scratch"
	}
	return short(id)
}
