package engine

import (
	"cmp"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/archive"
	"glassbox/image"

	"github.com/opencontainers/go-digest"
)

// Layers is what `layers` shows: an image's layers, or a container's, and what each does to those below.
type Layers struct {
	Name      string // as it was asked for
	Image     string `json:",omitempty"` // the image's id
	Container string `json:",omitempty"` // the container's id
	Running   bool
	Layers    []*Layer      // lowest first
	Wasted    []LayerChange // what hides bytes, the most first
	Changes   []LayerChange `json:",omitempty"` // of one layer, if they were asked for
	Files     []LayerFile   `json:",omitempty"` // at a path, if one was asked for
	stack     *stack
}

// Layer is one of them.
type Layer struct {
	Number    int           // in the image, the lowest being 1; 0: not the image's
	Name      string        // "1"; "init" is what every container has, "upper" what one has written
	Dir       string        // where it lies on this host
	Diff      digest.Digest `json:",omitempty"`
	CreatedBy string        `json:",omitempty"`
	Size      int64         // of its files
	Wasted    int64         // of it, what layers above hide
	Added     int           // names that those below do not have
	Changed   int           // names that those below have otherwise
	Hides     int           // names that those below have and nobody sees any more
	Whiteouts int           // the marks by which it does that,
	Opaque    int           // and the directories that hide all of those below
	Writable  bool          // the container writes here
	CopiedUp  int           // files that were copied here to be changed,
	Copied    int64         // and their bytes
}

// What a layer may do to a name.
const (
	Added   = "A"
	Changed = "C"
	Hidden  = "D"
)

// LayerChange is what a layer does to one name, and by that hides.
type LayerChange struct {
	Kind      string
	Path      string
	Directory bool  `json:",omitempty"`
	Opaque    bool  `json:",omitempty"`
	Size      int64 // of what the layer has
	By        int   // index of the layer that hides; with Bytes or Names
	Of        []int // indexes of those of which it hides something
	Names     int   // how many names
	Bytes     int64
	Copied    int64 `json:",omitempty"` // what overlayfs copied up, before anything was changed
}

// LayersOptions say what is asked for beside the layers themselves.
type LayersOptions struct {
	Layer     string // all that this one does: "3", "upper"
	Path      string // what the layers have there
	Recursive bool   // and in the directories below
}

// Layers explains what an image or a container, looked for in this order of Docker's inspect, is made of.
func (e *Engine) Layers(ref string, o LayersOptions) (*Layers, error) {
	out := &Layers{Name: ref}
	s := &stack{wanted: -1, out: out}
	out.stack = s
	var err error
	if r, missing := e.Containers.load(ref); missing == nil {
		err = e.containerLayers(out, r)
	} else if Is(missing, NotFound) {
		err = e.imageLayers(out, ref)
	} else {
		err = missing
	}
	if err != nil {
		return nil, err
	}
	s.layers = out.Layers
	if o.Layer != "" {
		if s.wanted = slices.IndexFunc(s.layers, func(l *Layer) bool { return l.Name == o.Layer }); s.wanted < 0 {
			return nil, invalid("%s has no layer %s", ref, o.Layer)
		}
	}
	if err := s.lay(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.Wasted, func(a, b LayerChange) int { return cmp.Compare(b.Bytes, a.Bytes) })
	slices.SortFunc(out.Changes, func(a, b LayerChange) int { return strings.Compare(a.Path, b.Path) })
	if o.Path != "" {
		out.Files, err = s.files(o.Path, o.Recursive)
	}
	return out, err
}

func (e *Engine) imageLayers(out *Layers, ref string) error {
	img, err := e.Images.Resolve(ref)
	if missing := (*image.NotFound)(nil); errors.As(err, &missing) {
		return &Error{Class: NotFound, Text: "No such image or container: " + ref, Cause: err}
	}
	if err != nil {
		return err
	}
	layers, err := e.Images.Layers(img)
	if err != nil {
		return err
	}
	slices.Reverse(layers.Lower)
	out.describe(img, layers.Lower)
	return nil
}

// describe names the layers of an image, lowest first.
func (out *Layers) describe(img *image.Image, dirs []string) {
	out.Image = img.ID.String()
	var by []string
	for _, h := range img.Config.History {
		if !h.EmptyLayer {
			by = append(by, h.CreatedBy)
		}
	}
	for i, dir := range dirs {
		l := &Layer{Number: i + 1, Name: strconv.Itoa(i + 1), Dir: dir}
		if i < len(img.Config.RootFS.DiffIDs) {
			l.Diff = img.Config.RootFS.DiffIDs[i]
		}
		if n := i - len(dirs) + len(by); n >= 0 { // what has no history is below what was built on it
			l.CreatedBy = by[n]
		}
		out.Layers = append(out.Layers, l)
	}
}

// containerLayers are those of its image, with what every container has below them, and what it has written above.
func (e *Engine) containerLayers(out *Layers, r *record) error {
	if r.Rootfs != "" {
		return conflict("container %s writes into %s itself: it has no layers", r.short(), r.Rootfs)
	}
	state, err := e.Containers.state(r)
	if err != nil {
		return err
	}
	out.Name, out.Container, out.Running = r.Name, r.ID, state.Running
	out.stack.owners = archive.Owners(r.IDMap)
	dirs := slices.Clone(r.Lower)
	slices.Reverse(dirs)
	below := e.Containers.root.InitLayer()
	var own []string
	for _, dir := range dirs {
		if dir != below && filepath.Dir(dir) == filepath.Dir(below) {
			own = append(own, dir)
		}
	}
	img, err := e.Images.Resolve(r.Image.String())
	if missing := (*image.NotFound)(nil); errors.As(err, &missing) || r.Image == "" { // its image was removed by force; its layers stay
		img, err = &image.Image{ID: r.Image}, nil
	}
	if err != nil {
		return err
	}
	out.describe(img, own)
	for i, dir := range dirs {
		if !slices.Contains(own, dir) {
			out.Layers = slices.Insert(out.Layers, i, &Layer{Name: filepath.Base(dir), Dir: dir})
		}
	}
	out.Layers = append(out.Layers, &Layer{Name: "upper", Dir: r.place.Upper(), Writable: true})
	return nil
}
