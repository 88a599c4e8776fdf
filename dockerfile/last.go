package dockerfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"glassbox/store"

	"github.com/opencontainers/go-digest"
)

// history is what the last build of a context and a Dockerfile consisted of, and what this one does.
type history struct {
	path string
	was  []pastStep
	raw  []byte
	mu   sync.Mutex
	now  map[int][]pastStep // by step
}

// pastStep is a step of a build, as it is kept.
type pastStep struct {
	Stage  int           `json:"stage"`
	Text   string        `json:"text"`
	Key    string        `json:"key,omitempty"` // empty: it is a FROM
	Parent digest.Digest `json:"parent,omitempty"`
	Image  digest.Digest `json:"image"`
	Inputs []input       `json:"inputs,omitempty"`
}

// openHistory finds what is known. A document that is damaged is as good as none.
func openHistory(place store.Build, o *Options) (*history, error) {
	where := o.Context.Where
	if abs, err := filepath.Abs(where); err == nil {
		where = abs
	}
	sum := sha256.Sum256([]byte(where + "\x00" + o.Context.Name + "\x00" + o.Target))
	h := &history{path: place.LastBuild(hex.EncodeToString(sum[:])), now: map[int][]pastStep{}}
	var err error
	if h.raw, err = os.ReadFile(h.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return h, err
	}
	if json.Unmarshal(h.raw, &h.was) != nil {
		h.was = nil
	}
	return h, nil
}

func (h *history) add(step int, p pastStep) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now[step] = append(h.now[step], p)
}

// after is what the last build did with an image, in that stage if possible.
func (h *history) after(parent digest.Digest, stage int) (found pastStep, ok bool) {
	for _, p := range h.was {
		if p.Key != "" && p.Parent == parent && (!ok || p.Stage == stage) {
			found, ok = p, true
		}
	}
	return found, ok
}

// base is what FROM was in that stage.
func (h *history) base(stage int) (found pastStep, ok bool) {
	for _, p := range h.was {
		if p.Key == "" && p.Stage == stage {
			return p, true
		}
	}
	return found, false
}

// keep writes what this build consisted of. Of one that failed, the last build's steps that were not reached are kept.
func (h *history) keep(steps int, complete bool) error {
	var all []pastStep
	known := map[string]bool{}
	for n := 1; n <= steps; n++ {
		for _, p := range h.now[n] {
			all = append(all, p)
			known[p.Key] = true
		}
	}
	for _, p := range h.was {
		if !complete && p.Key != "" && !known[p.Key] {
			all = append(all, p)
		}
	}
	raw, err := json.Marshal(all)
	if err != nil || string(raw) == string(h.raw) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return err
	}
	return store.Replace(h.path, raw, 0o600)
}
