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

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
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
	begun    digest.Digest // what it began with
	id       digest.Digest // empty: there is nothing yet, FROM scratch
	image    *image.Image  // that of id; nil: it has not been needed yet

	left     []instructions.Command // what comes after that
	borrowed []*image.Image         // those of --cache-from whose history may still agree with what is done here
	at       progress.Task          // the step that is being carried out
	missed   bool                   // a step had to be carried out
	after    func() error           // waits until the container of a RUN is gone; nil: there is none
	unknown  bool                   // in a plan: a step would have to be, and nobody knows what it would give
	once     sync.Once
	started  atomic.Bool
	passed   []chan struct{} // closed one by one as the steps end, FROM's the first, and all at once should the stage fail
	twin     *stage          // an earlier one whose first steps are the same
	alike    int             // how many those are
	done     chan struct{}
	err      error
	ctx      context.Context
	cancel   context.CancelFunc
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
	for range len(s.Commands) + 1 {
		s.passed = append(s.passed, make(chan struct{}))
	}
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

// findTarget finds the stage that --target names. A number is no name here, as in the classic builder.
func findTarget(stages []instructions.Stage, name string) (int, error) {
	if i, ok := instructions.HasStage(stages, name); ok {
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
		s.needSources(c)
	}
}

// needSources marks the stages from which an instruction takes files.
func (s *stage) needSources(c instructions.Command) {
	for _, name := range sourcesOf(c) {
		if o, err := s.stageFor(name); err == nil && o != nil {
			o.need()
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
			s.err = s.carry()
			if s.err == nil {
				return
			}
			for _, step := range s.passed {
				select {
				case <-step:
				default:
					close(step)
				}
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
	if s.Name != "" && s.named(s.Name) != nil {
		return parser.WithLocation(fmt.Errorf("%s stage name already used", s.Name), s.Location)
	}
	s.borrowed = s.sources
	show := s.shown()
	err := s.step(0, show(nil, s.SourceCode), s.Location, s.begin)
	for i, c := range s.Commands {
		if err == nil {
			err = s.await(c)
		}
		if err != nil {
			return err
		}
		err = s.step(i+1, show(c, fmt.Sprint(c)), c.Location(), func(w progress.Work) error { return s.dispatch(w, c) })
	}
	return err
}

// await waits for the stages whose files an instruction takes: what it waits for is not its own time.
func (s *stage) await(c instructions.Command) error {
	for _, name := range sourcesOf(c) {
		if o, err := s.stageFor(name); err == nil && o != nil {
			if err := o.result(s.ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// step carries out one; where is its place in the file, which its error bears.
func (s *stage) step(i int, t progress.Task, where []parser.Range, do func(progress.Work) error) error {
	if s.twin != nil && i < s.alike {
		select {
		case <-s.twin.passed[i]:
		case <-s.ctx.Done():
		}
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.at, s.left = t, s.Commands[i:]
	w := s.build.begin(t)
	err := parser.WithLocation(do(w), where)
	if err == nil {
		w.Made(s.id)
		close(s.passed[i])
	}
	w.End(err)
	return err
}

// runsNext tells whether the step behind this one runs something.
func (s *stage) runsNext() bool {
	if len(s.left) == 0 {
		return false
	}
	_, is := s.left[0].(*instructions.RunCommand)
	return is
}

// findTwins finds stages that begin alike. The later one goes behind the earlier: each step is then carried out once, as it would be were one stage
// built after the other, and always by the same of them.
func (b *build) findTwins() {
	for k, s := range b.stages {
		s.twin, s.alike = nil, 0
		for _, o := range b.stages[:k] {
			if n := s.likeness(o); o.needed && n > s.alike {
				s.twin, s.alike = o, n
			}
		}
	}
}

// likeness counts the first steps that are the same.
func (s *stage) likeness(o *stage) int {
	if s.from != o.from || s.base != o.base || s.Platform != o.Platform {
		return 0
	}
	n := 0
	for n < min(len(s.Commands), len(o.Commands)) && fmt.Sprint(s.Commands[n]) == fmt.Sprint(o.Commands[n]) {
		n++
	}
	return 1 + n
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
		one.Text, one.Long = text, s.long(c, text)
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

// long is an instruction as BuildKit shows it: the values of variables in place of their names.
func (s *stage) long(c instructions.Command, text string) string {
	if c == nil {
		ref, err := reference.ParseNormalizedNamed(s.from)
		if s.base != nil || err != nil {
			return "FROM " + s.from
		}
		return "FROM " + reference.TagNameOnly(ref).String()
	}
	lex := shell.NewLex(s.file.escape)
	lex.RawQuotes, lex.SkipUnsetEnv = true, true
	if run, ok := c.(*instructions.RunCommand); ok && len(run.Files) > 0 {
		text += " (" + summary(run.Files[0].Data) + ")"
	}
	word, rest, _ := strings.Cut(text, " ")
	text = strings.ToUpper(word) + " " + rest
	if expanded, _, err := lex.ProcessWord(text, shell.EnvsFromSlice(slices.Concat(s.edit.Env, s.args.inForce(s.edit.Env)))); err == nil {
		return expanded
	}
	return text
}

// summary is the beginning of a here-document.
func summary(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > 1 {
		return lines[0] + "..."
	}
	return lines[0]
}
