package dockerfile

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"glassbox/image"

	"github.com/opencontainers/go-digest"
)

// Account tells of each step of a build what came of it, and why.
type Account struct {
	mu    sync.Mutex
	Steps []StepAccount `json:"steps"`
}

// StepAccount is one step's.
type StepAccount struct {
	Step    int           `json:"step"`
	Steps   int           `json:"steps"`
	Text    string        `json:"text"`
	Outcome Outcome       `json:"outcome"`
	Why     []string      `json:"why,omitempty"`
	Image   digest.Digest `json:"image,omitempty"`
	Layer   string        `json:"layer,omitempty"` // where the files are; empty: the step has no layer
	Bytes   int64         `json:"bytes"`           // of the layer
	Took    time.Duration `json:"took"`            // what it took, or took when it was made
	Made    time.Time     `json:"made,omitzero"`   // when
}

// Outcome is what came of a step.
type Outcome string

const (
	Found  Outcome = "found"  // the image that FROM names
	Cached Outcome = "cached" // the image of an earlier build
	Made   Outcome = "made"
	Failed Outcome = "failed"
	Due    Outcome = "due" // it would be made, if this were no plan
)

// add notes a step's outcome.
func (a *Account) add(one StepAccount) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Steps = append(a.Steps, one)
	slices.SortStableFunc(a.Steps, func(x, y StepAccount) int { return cmp.Compare(x.Step, y.Step) })
}

// account notes what has come of the step that the stage is at.
func (s *stage) account(one StepAccount, img *image.Image) error {
	if s.Account == nil {
		return nil
	}
	one.Step, one.Steps = s.at.Step, s.at.Steps
	if one.Text == "" {
		one.Text = s.at.Text
	}
	if img != nil && one.Outcome != Found && one.Bytes >= 0 && img.Parent != "" {
		var err error
		if one.Layer, err = s.ownLayer(img); err != nil {
			return err
		}
	}
	s.Account.add(one)
	return nil
}

// ownLayer is the directory of the layer that an image has on top of its parent's; empty: it has none.
func (s *stage) ownLayer(img *image.Image) (string, error) {
	n := len(img.Config.History)
	if n == 0 || img.Config.History[n-1].EmptyLayer {
		return "", nil
	}
	layers, err := s.engine.Images.Layers(img)
	if err != nil || len(layers.Lower) == 0 {
		return "", err
	}
	return layers.Lower[0], nil
}
