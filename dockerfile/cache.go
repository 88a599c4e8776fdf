package dockerfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"glassbox/engine"
	"glassbox/source"
	"glassbox/store"

	"github.com/opencontainers/go-digest"
)

// cache finds the images of earlier steps: a document for each, under the digest of all that the step depended on.
type cache struct {
	off   bool // --no-cache
	place store.Build
	mu    sync.Mutex
	here  map[digest.Digest]bool // the images that there are
}

// record is such a document.
type record struct {
	Image  digest.Digest `json:"image"`
	Parent digest.Digest `json:"parent"`
	Text   string        `json:"text"` // as in history
	Inputs []input       `json:"inputs"`
	Made   time.Time     `json:"made"`
	Took   time.Duration `json:"took"`
	Size   int64         `json:"size"`         // of its layer
	As     string        `json:"as,omitempty"` // the step's key, where this is a shortcut to it
}

func openCache(e *engine.Engine, off bool) (*cache, error) {
	c := &cache{off: off, place: e.Builds.Places()}
	if err := os.MkdirAll(c.place.Steps(), 0o700); err != nil {
		return nil, err
	}
	var err error
	c.here, err = e.Images.IDs()
	return c, err
}

// keyOf stands for a step: the image before it, and all else that it depends on.
func keyOf(parent digest.Digest, inputs []input) string {
	sum := sha256.New()
	raw, _ := json.Marshal(struct {
		Parent digest.Digest
		Inputs []input
	}{parent, inputs}) // strings always have a form in JSON
	sum.Write(raw)
	return hex.EncodeToString(sum.Sum(nil))
}

// find is the image of a step that was carried out before, if it is still there.
func (c *cache) find(key string) (record, bool) {
	if c.off {
		return record{}, false
	}
	return c.read(key)
}

func (c *cache) read(key string) (r record, ok bool) {
	// A damaged document is set aside, and its step carried out again.
	if err := store.Read(c.place.Step(key), &r); err != nil {
		return r, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return r, c.here[r.Image]
}

// keep notes what a step has come to.
func (c *cache) keep(key string, r record, files []source.Entry) error {
	c.mu.Lock()
	c.here[r.Image] = true
	c.mu.Unlock()
	if len(files) > 0 {
		if err := c.keepFiles(key, files); err != nil {
			return err
		}
	}
	return store.Write(c.place.Step(key), r)
}

// keepShortcut notes a step under its other key, if it has one.
func (c *cache) keepShortcut(key string, r record, a action) error {
	if a.shortcut == "" {
		return nil
	}
	r.As = key
	return store.Write(c.place.Step(a.shortcut), r)
}

// keepFiles notes what a COPY copied, for whoever asks later which file is another.
func (c *cache) keepFiles(key string, files []source.Entry) error {
	raw, err := json.Marshal(files)
	if err != nil {
		return err
	}
	return store.Replace(c.place.Step(key)+".files", raw, 0o600)
}

// files are those that a step has copied; nil where nobody knows any more.
func (c *cache) files(key string) (all []source.Entry) {
	raw, err := os.ReadFile(c.place.Step(key) + ".files")
	if errors.Is(err, fs.ErrNotExist) || err != nil || json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}
