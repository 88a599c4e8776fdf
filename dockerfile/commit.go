package dockerfile

import (
	"errors"
	"time"

	"glassbox/image"
	"glassbox/progress"
	"glassbox/source"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// action is what a step does to the image that was there before it.
type action struct {
	said     string         // what history says of it
	inputs   []input        // all that its result depends on, beside the image before
	files    []source.Entry // what an input's digest stands for, one by one
	runs     bool           // it runs a container
	shortcut string         // another key under which its result can be found
	change   func(base *image.Image) (upper string, err error)
}

// input is one thing on which the result of a step depends.
type input struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (a *action) add(name, value string) { a.inputs = append(a.inputs, input{name, value}) }

// commit makes the image of a step, or finds the one that was made when the same was asked for.
func (s *stage) commit(w progress.Work, a action) error {
	if s.unknown {
		return s.due([]string{"the step before it will give another image"})
	}
	s.complete(&a)
	key := keyOf(s.id, a.inputs)
	if len(s.CacheFrom) > 0 {
		if done, err := s.reuse(w, key, a); done || err != nil {
			return err
		}
	} else if known, ok := s.cache.find(key); ok {
		return errors.Join(s.cache.keepShortcut(key, known, a), s.hit(w, key, known, a))
	}
	why := s.cause(key, a)
	if s.Plan {
		return s.due(why)
	}
	return s.miss(w, key, why, a)
}

// complete adds what every step depends on.
func (s *stage) complete(a *action) {
	if s.Epoch != nil {
		a.add("SOURCE_DATE_EPOCH", s.Epoch.UTC().Format(time.RFC3339))
	}
	if s.id == "" {
		a.add("platform", s.platform.OS+"/"+s.platform.Architecture+"/"+s.platform.Variant)
	}
}

// hit takes the image of an earlier build.
func (s *stage) hit(w progress.Work, key string, known record, a action) error {
	w.Cached()
	s.past.add(s.at.Step, pastStep{Stage: s.number, Text: a.said, Key: key, Parent: s.id, Image: known.Image, Inputs: a.inputs})
	s.id, s.image = known.Image, nil
	if s.Account == nil {
		return nil
	}
	img, err := s.engine.Images.Resolve(s.id.String())
	if err != nil {
		return err
	}
	return s.account(StepAccount{Outcome: Cached, Image: s.id, Bytes: known.Size, Took: known.Took, Made: known.Made}, img)
}

// miss carries the step out.
func (s *stage) miss(w progress.Work, key string, why []string, a action) error {
	begun := time.Now()
	if a.runs {
		s.engine.Containers.Warm()
	}
	base, err := s.load(s.ctx)
	if err != nil {
		return err
	}
	img, err := s.draw(base, a)
	if s.after != nil {
		err = errors.Join(err, s.after())
		s.after = nil
	}
	if err != nil {
		return errors.Join(err, s.account(StepAccount{Outcome: Failed, Why: why, Took: time.Since(begun), Made: begun.UTC()}, nil))
	}
	made := record{Image: img.ID, Parent: s.id, Text: a.said, Inputs: a.inputs, Made: begun.UTC(), Took: time.Since(begun), Size: img.Size}
	if base != nil {
		made.Size -= base.Size
	}
	s.past.add(s.at.Step, pastStep{Stage: s.number, Text: a.said, Key: key, Parent: s.id, Image: img.ID, Inputs: a.inputs})
	s.id, s.image, s.missed = img.ID, img, true
	if err := errors.Join(s.cache.keep(key, made, a.files), s.cache.keepShortcut(key, made, a)); err != nil {
		return err
	}
	return s.account(StepAccount{Outcome: Made, Why: why, Image: s.id, Bytes: made.Size, Took: made.Took, Made: made.Made}, img)
}

// due notes a step of a plan that would have to be carried out. What it would give nobody knows.
func (s *stage) due(why []string) error {
	s.unknown = true
	return s.account(StepAccount{Outcome: Due, Why: why}, nil)
}

// draw has the files changed, and puts the image together.
func (s *stage) draw(base *image.Image, a action) (*image.Image, error) {
	upper := ""
	if a.change != nil {
		var err error
		if upper, err = a.change(base); err != nil {
			return nil, err
		}
	}
	if s.runsNext() {
		s.engine.Containers.Warm() // its monitor comes up while this step's layer is written
	}
	d := image.Draft{Base: base, Sparse: true, Hold: s.hold, Event: "create"}
	now := s.now()
	k := &d.Document
	if base != nil {
		k.Platform, k.History = base.Config.Platform, append(k.History, base.Config.History...)
	} else {
		k.Platform = s.platform
	}
	k.Created, k.Author, k.Config = &now, s.author, s.edit.ImageConfig()
	k.History = append(k.History, ocispec.History{Created: &now, Author: s.author, CreatedBy: a.said})
	if upper == "" {
		return s.engine.Images.AddConfig(s.ctx, d)
	}
	if s.Epoch != nil {
		d.Epoch = *s.Epoch
	}
	return s.engine.Images.AddTree(s.ctx, upper, d)
}
