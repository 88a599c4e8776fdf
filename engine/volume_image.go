package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"glassbox/rootfs"

	"github.com/docker/docker/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// image reads --mount type=image: another image's files, read-only.
func (m *mountPoint) image(spec mount.Mount) error {
	o := spec.ImageOptions
	switch {
	case spec.BindOptions != nil:
		return foreignOption("BindOptions")
	case spec.VolumeOptions != nil:
		return foreignOption("VolumeOptions")
	case spec.Source == "":
		return errors.New("field Source must not be empty")
	case o != nil && o.Subpath != "" && !filepath.IsLocal(o.Subpath):
		return errors.New("subpath must be a relative path within the volume")
	}
	m.Name, m.RW, m.Propagation = spec.Source, false, "rprivate"
	if o != nil && o.Subpath != "" {
		m.Subpath = filepath.Clean(o.Subpath)
	}
	return nil
}

// pictured finds the images of a container's image mounts.
func (c *Containers) pictured(r *record) error {
	for i := range r.Mounts {
		m := &r.Mounts[i]
		if m.Type != mount.TypeImage || m.Inherited {
			continue
		}
		if len(r.IDMap) > 0 {
			return invalid("invalid mount config for type \"image\": with a user namespace nobody would own the files of %s", m.Name)
		}
		img, err := c.images.Resolve(m.Name)
		if err != nil {
			return &Error{Class: NotFound, Text: err.Error(), Cause: err}
		}
		layers, err := c.images.Layers(img)
		if err != nil {
			return err
		}
		m.Image, m.Lower, m.Source = img.ID, layers.Lower, layers.Lower[0]
	}
	return nil
}

// imageMount is an image's layers, stacked; of a single one itself is shown, since overlay asks for two.
func (m *mountPoint) imageMount() (specs.Mount, error) {
	words := []string{"ro", "rprivate"}
	if m.Subpath != "" {
		there, err := tree(m.Lower).find(m.Subpath)
		if err != nil {
			return specs.Mount{}, &Error{Class: NotFound, Text: fmt.Sprintf("cannot access path %s in image %s: %v", m.Subpath, m.Name, err), Cause: err, Exit: exitFor(unix.ENOENT)}
		}
		if len(m.Lower) > 1 && !there.info.IsDir() {
			return specs.Mount{}, invalid("image-subpath %s of %s: only a directory can be shown of an image of several layers", m.Subpath, m.Name)
		}
		words = append(words, rootfs.Subpath+m.Subpath)
	}
	if len(m.Lower) == 1 {
		return specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Lower[0], Options: append([]string{"bind"}, words...)}, nil
	}
	escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`)
	var lower []string
	for _, dir := range m.Lower {
		lower = append(lower, escape.Replace(dir))
	}
	return specs.Mount{Destination: m.Destination, Type: "overlay", Source: "overlay", Options: append(words, "lowerdir="+strings.Join(lower, ":"))}, nil
}

// showsImages: Docker warns of it.
func (r *record) showsImages() bool {
	for _, m := range r.Mounts {
		if m.Type == mount.TypeImage && !m.Inherited {
			return true
		}
	}
	return false
}

// shows reports whether the image is among the container's mounts.
func (r *record) shows(img string) bool {
	for _, m := range r.Mounts {
		if string(m.Image) == img {
			return true
		}
	}
	return false
}
