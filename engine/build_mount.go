package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/archive"
	"glassbox/image"
	"glassbox/namespaces"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// StepMount is what RUN --mount shows in its container at Target: files of the host (Source), of an image, an empty file system in memory, or one
// file that is in no store (Data).
type StepMount struct {
	Target   string
	ReadOnly bool
	Source   string
	Image    *image.Image
	Subpath  string // what is shown of the image, or of a directory without Passing
	Passing  bool   // what is written there goes with the container
	Tmpfs    *StepTmpfs
	Data     *StepData
}

// StepTmpfs is an empty file system in memory.
type StepTmpfs struct{ Size int64 } // 0: no limit but the kernel's

// StepData is a file.
type StepData struct {
	Bytes    []byte
	Mode     os.FileMode
	UID, GID int
	Program  bool // it may be executed
}

// stage prepares what a step's container shows, and the places on which a start mounts: in a layer of its own on top of the image's, so that the start
// finds them and writes nothing for them to what will be the step's layer.
func (c *Containers) stage(r *record) error {
	if r.step == nil || len(r.step.Mounts) == 0 {
		return nil
	}
	s := scaffolding{dir: r.place.Dir + "/scaffold", below: tree(r.Lower)}
	for i, m := range r.step.Mounts {
		shown, dir, err := c.show(r, i, m)
		if err != nil {
			return err
		}
		r.step.shown = append(r.step.shown, shown)
		if err := s.add(m.Target, dir); err != nil {
			return fmt.Errorf("preparing the place of the mount %s: %w", m.Target, err)
		}
	}
	if !s.made {
		return nil
	}
	r.Lower = append([]string{s.dir}, r.Lower...)
	return s.finish()
}

// show draws a mount. dir says that it is a directory.
func (c *Containers) show(r *record, i int, m StepMount) (shown specs.Mount, dir bool, err error) {
	own := r.place.Dir + "/mounts/" + strconv.Itoa(i)
	switch {
	case m.Tmpfs != nil:
		return m.tmpfs(), true, nil
	case m.Data != nil:
		options := []string{"nosuid", "nodev", "noexec"}
		if m.Data.Program {
			options = options[:2]
		}
		return m.bind(r.place.Secret(i), options...), false, nil
	case m.Image != nil:
		return c.showImage(own, m)
	}
	info, err := m.look()
	if err != nil {
		return shown, false, err
	}
	if sub := strings.Trim(m.Subpath, "/"); sub != "" && !m.Passing {
		return m.bind(m.Source, rootfs.Subpath+sub), info.IsDir(), nil
	}
	if m.ReadOnly || !m.Passing {
		return m.bind(m.Source), info.IsDir(), nil
	}
	if info.IsDir() {
		shown, err = m.overlay(own, []string{m.Source})
		return shown, true, err
	}
	shown, err = m.copied(own, m.Source)
	return shown, false, err
}

// showImage shows a directory of an image as the directories of the layers that make it, or a file.
func (c *Containers) showImage(own string, m StepMount) (shown specs.Mount, dir bool, err error) {
	layers, err := c.images.Layers(m.Image)
	if err != nil {
		return shown, false, err
	}
	if len(layers.Lower) == 0 {
		layers.Lower = []string{own + "/nothing"}
		if err := os.MkdirAll(layers.Lower[0], 0o755); err != nil {
			return shown, false, err
		}
	}
	there, err := tree(layers.Lower).find(m.Subpath)
	if errors.Is(err, fs.ErrNotExist) {
		return shown, false, &Error{Class: NotFound, Text: fmt.Sprintf("%q: not found", path.Join("/", m.Subpath)), Cause: err}
	}
	switch {
	case err != nil:
		return shown, false, err
	case there.info.IsDir():
		shown, err = m.overlay(own, there.dirs)
		return shown, true, err
	case m.ReadOnly:
		return m.bind(there.path), false, nil
	}
	shown, err = m.copied(own, there.path)
	return shown, false, err
}

// look is what is shown of the source. Who has written there may have left links; the start looks again, and follows none that leads out.
func (m *StepMount) look() (os.FileInfo, error) {
	if strings.Trim(m.Subpath, "/") == "" || m.Passing {
		return os.Stat(m.Source)
	}
	dir, err := os.OpenRoot(m.Source)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	info, err := dir.Stat(strings.Trim(m.Subpath, "/"))
	if errors.Is(err, fs.ErrNotExist) {
		err = &Error{Class: NotFound, Text: fmt.Sprintf("%q: not found", path.Join("/", m.Subpath)), Cause: err}
	}
	return info, err
}

func (m *StepMount) bind(source string, options ...string) specs.Mount {
	options = append([]string{"rbind", "rprivate"}, options...)
	if m.ReadOnly {
		options = append(options, "ro")
	}
	return specs.Mount{Destination: m.Target, Type: "bind", Source: source, Options: options}
}

func (m *StepMount) tmpfs() specs.Mount {
	options := []string{"nosuid", "mode=1777"}
	if m.Tmpfs.Size > 0 {
		options = append(options, "size="+strconv.FormatInt(m.Tmpfs.Size, 10))
	}
	if m.ReadOnly {
		options = append(options, "ro")
	}
	return specs.Mount{Destination: m.Target, Type: "tmpfs", Source: "tmpfs", Options: options}
}

// overlay shows directories stacked, and takes what is written to own. Overlayfs wants a second directory, and hides whiteouts in the lowest one.
func (m *StepMount) overlay(own string, lower []string) (specs.Mount, error) {
	options := []string{"rprivate"}
	made := []string{own + "/empty"}
	if m.ReadOnly {
		options = append(options, "ro")
	} else {
		made = append(made, own+"/upper", own+"/work")
	}
	for _, dir := range made {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return specs.Mount{}, err
		}
	}
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`)
	var stack []string
	for _, dir := range append(lower[:len(lower):len(lower)], own+"/empty") {
		stack = append(stack, escape.Replace(dir))
	}
	options = append(options, "lowerdir="+strings.Join(stack, ":"))
	if !m.ReadOnly {
		options = append(options, "upperdir="+escape.Replace(own+"/upper"), "workdir="+escape.Replace(own+"/work"), "volatile")
		if err := archive.Liken(own+"/upper", lower[0]); err != nil {
			return specs.Mount{}, err
		}
	}
	if namespaces.Nested() {
		options = append(options, "userxattr")
	}
	return specs.Mount{Destination: m.Target, Type: "overlay", Source: "overlay", Options: options}, nil
}

// copied shows a copy of a file.
func (m *StepMount) copied(own, file string) (specs.Mount, error) {
	if err := os.MkdirAll(own, 0o711); err != nil {
		return specs.Mount{}, err
	}
	to := own + "/file"
	data, err := os.Open(file)
	if err != nil {
		return specs.Mount{}, err
	}
	defer data.Close()
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return specs.Mount{}, err
	}
	_, err = copied.ReadFrom(data)
	if err = errors.Join(err, copied.Close()); err == nil {
		err = archive.Liken(to, file)
	}
	return m.bind(to), err
}

// scaffolding is a layer that holds nothing but places for mounts, and the directories on the way there as the image has them.
type scaffolding struct {
	dir      string
	below    tree
	mirrored []string
	made     bool
}

// add makes a place, unless there is one. What lies in /dev, /proc and /sys is in file systems of the container's own.
func (s *scaffolding) add(target string, dir bool) error {
	for _, own := range []string{"/dev", "/proc", "/sys"} {
		if target == own || strings.HasPrefix(target, own+"/") {
			return nil
		}
	}
	deepest, rest, err := s.nearest(target)
	if err != nil || len(rest) == 0 {
		return err
	}
	if err := s.mirror(deepest); err != nil {
		return err
	}
	s.made = true
	at := s.dir + deepest
	for i, name := range rest {
		at += "/" + name
		if i == len(rest)-1 && !dir {
			return emptyFile(at)
		}
		if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := os.Chmod(at, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func emptyFile(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

// nearest is the deepest directory on the way to a path that is there, without any link, and the names that are missing after it.
func (s *scaffolding) nearest(target string) (dir string, missing []string, err error) {
	names := strings.Split(strings.Trim(filepath.Clean(target), "/"), "/")
	for n := len(names); n >= 0; n-- {
		there, err := s.below.find(strings.Join(names[:n], "/"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		return s.below.inside(there.path), names[n:], nil
	}
	return "/", names, nil
}

// inside is where in the tree a file is that find has found.
func (t tree) inside(path string) string {
	for _, layer := range t {
		if rest, ok := strings.CutPrefix(path, layer); ok && (rest == "" || rest[0] == '/') {
			return rest
		}
	}
	return path
}

// mirror makes a directory of the image, and those that lead there.
func (s *scaffolding) mirror(dir string) error {
	if err := os.Mkdir(s.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for end := 1; end <= len(dir); end++ {
		if end < len(dir) && dir[end] != '/' {
			continue
		}
		err := os.Mkdir(s.dir+dir[:end], 0o700)
		if err == nil {
			s.mirrored = append(s.mirrored, dir[:end])
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// finish has them look as they do in the image, now that nothing changes their times any more.
func (s *scaffolding) finish() error {
	for _, dir := range s.mirrored {
		there, err := s.below.find(dir)
		if err == nil {
			err = archive.Liken(s.dir+dir, there.path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
