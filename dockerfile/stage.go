package dockerfile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"glassbox/engine"
	"glassbox/image"
	"glassbox/progress"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// stage is one FROM and what follows it. What it has come to stands in id, image and edit, one step after the other.
type stage struct {
	*build
	instructions.Stage
	number int
	needed bool
	first  int // the step of its FROM
	lex    *shell.Lex
	args   *arguments
	base   *stage // FROM names it
	from   string // what FROM names, expanded
	wrong  error  // in FROM's words

	platform ocispec.Platform
	edit     *engine.Edit
	author   string
	id       digest.Digest // empty: there is nothing yet, FROM scratch
	image    *image.Image  // that of id; nil: it has not been needed yet

	once    sync.Once
	started atomic.Bool
	done    chan struct{}
	err     error
	ctx     context.Context
	cancel  context.CancelFunc
}

func (b *build) newStage(number int, from *instructions.Stage, args *arguments, lex *shell.Lex) *stage {
	s := &stage{build: b, Stage: *from, number: number, lex: shell.NewLex(b.file.escape), args: args, done: make(chan struct{}), platform: b.platform}
	expand := expander(lex, args.globals())
	if s.from, s.wrong = expand(from.BaseName); s.wrong == nil && s.from == "" {
		s.wrong = fmt.Errorf("base name (%s) should not be blank", from.BaseName)
	}
	if s.Platform != "" && s.wrong == nil {
		if s.Platform, s.wrong = expand(s.Platform); s.wrong != nil {
			s.wrong = fmt.Errorf("failed to process arguments for platform %s: %w", s.Platform, s.wrong)
		} else if s.platform, s.wrong = platformOf(s.Platform); s.wrong != nil {
			s.wrong = fmt.Errorf("failed to parse platform %s: %w", s.Platform, s.wrong)
		}
	}
	s.base = s.named(s.from)
	return s
}

// named is the stage of that name among those before.
func (s *stage) named(name string) *stage {
	i := slices.IndexFunc(s.stages[:min(s.number, len(s.stages))], func(o *stage) bool { return o.Name != "" && strings.EqualFold(o.Name, name) })
	if i < 0 {
		return nil
	}
	return s.stages[i]
}

// stageFor is the stage that --from or from= names; nil: it names an image.
func (s *stage) stageFor(name string) (*stage, error) {
	if o := s.named(name); o != nil {
		return o, nil
	}
	n, err := strconv.Atoi(name)
	switch {
	case err != nil:
		return nil, nil
	case n == s.number:
		return nil, errors.New("refers to current build stage")
	case n < 0 || n > s.number:
		return nil, errors.New("index out of bounds")
	}
	return s.stages[n], nil
}

func (b *build) distinctNames() error {
	for _, s := range b.stages {
		if s.Name != "" && s.named(s.Name) != nil {
			return fmt.Errorf("%s stage name already used", s.Name)
		}
	}
	return nil
}

// findTarget finds the stage that --target names, by its name or its number.
func findTarget(stages []instructions.Stage, name string) (int, error) {
	if i, ok := instructions.HasStage(stages, name); ok {
		return i, nil
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(stages) {
		return i, nil
	}
	return 0, fmt.Errorf("target stage %q could not be found", name)
}

// need marks the stage and those that it is made of.
func (s *stage) need() {
	if s.needed {
		return
	}
	s.needed = true
	if s.base != nil {
		s.base.need()
	}
	for _, c := range s.Commands {
		for _, name := range sourcesOf(c) {
			if o, err := s.stageFor(name); err == nil && o != nil {
				o.need()
			}
		}
	}
}

// sourcesOf are the stages or images from which an instruction takes files.
func sourcesOf(c instructions.Command) (names []string) {
	switch c := c.(type) {
	case *instructions.CopyCommand:
		if c.From != "" {
			names = append(names, c.From)
		}
	case *instructions.RunCommand:
		for _, m := range instructions.GetMounts(c) {
			if m.From != "" {
				names = append(names, m.From)
			}
		}
	}
	return names
}

// start begins to build the stage, unless somebody has.
func (s *stage) start() {
	s.once.Do(func() {
		s.started.Store(true)
		go func() {
			defer close(s.done)
			if s.err = s.carry(); s.err == nil {
				return
			}
			for _, behind := range s.stages[s.number+1:] {
				behind.cancel()
			}
		}()
	})
}

// result waits for the stage.
func (s *stage) result(ctx context.Context) error {
	s.start()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// carry carries out all steps.
func (s *stage) carry() error {
	show := s.shown()
	err := s.step(show(nil, s.SourceCode), s.begin)
	for _, c := range s.Commands {
		if err != nil {
			return err
		}
		err = s.step(show(c, fmt.Sprint(c)), func(w progress.Work) error { return s.dispatch(w, c) })
	}
	return err
}

// step carries out one.
func (s *stage) step(t progress.Task, do func(progress.Work) error) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	w := s.build.begin(t)
	err := do(w)
	if err == nil {
		w.Made(s.id)
	}
	w.End(err)
	return err
}

// shown numbers the steps as they come.
func (s *stage) shown() func(c instructions.Command, text string) progress.Task {
	t := progress.Task{Kind: progress.Instruction, Step: s.first - 1, Steps: s.steps, Stage: s.number, Name: s.Name, Many: len(s.file.stages) > 1}
	if s.base == nil && s.from != "scratch" {
		t.Of++
	}
	for _, c := range s.Commands {
		if works(c) {
			t.Of++
		}
	}
	inside := 0
	return func(c instructions.Command, text string) progress.Task {
		t.Step++
		one := t
		one.Text = text
		if c == nil && s.base == nil && s.from != "scratch" || c != nil && works(c) {
			inside++
			one.Inside = inside
		} else {
			one.Of = 0
		}
		return one
	}
}

// works tells whether BuildKit shows the instruction.
func works(c instructions.Command) bool {
	switch c.(type) {
	case *instructions.RunCommand, *instructions.CopyCommand, *instructions.AddCommand, *instructions.WorkdirCommand:
		return true
	}
	return false
}
