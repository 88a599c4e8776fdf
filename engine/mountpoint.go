package engine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/store"
	"glassbox/volume"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/opencontainers/go-digest"
)

// mountPoint is Docker's container.MountPoint, and what the mount needs beyond what `inspect` shows.
type mountPoint struct {
	container.MountPoint
	Make                   bool   // -v makes a missing source directory; --mount refuses it
	Data                   string // tmpfs options
	NonRecursive           bool
	ReadOnlyNonRecursive   bool
	ReadOnlyForceRecursive bool

	// Of volumes:
	NoCopy    bool              // an empty one stays empty
	Subpath   string            // what of it is shown
	Options   map[string]string // for the driver, if it is made
	Labels    map[string]string // if it is made
	Anonymous bool              // nobody named it: rm -v removes it
	Inherited bool              // --volumes-from: it is not made
	Mounted   bool              // it stands for something that is mounted while containers run

	// Of images:
	Image digest.Digest
	Lower []string // unpacked layers, topmost first
}

var propagations = []mount.Propagation{"private", "rprivate", "slave", "rslave", "shared", "rshared"}

// bindMode is the third part of -v host:container:mode, taken apart.
type bindMode struct {
	readOnly    bool
	noCopy      bool
	propagation mount.Propagation // empty: not said
}

// parseMode accepts what Docker accepts: at most one of each kind. z and Z relabel for SELinux, and where SELinux
// is not in force they do nothing in Docker either; the consistency words were for Docker Desktop.
func parseMode(mode string) (bindMode, error) {
	m := bindMode{}
	if mode == "" {
		return m, nil
	}
	kinds := map[string]int{}
	for o := range strings.SplitSeq(mode, ",") {
		switch {
		case o == "rw" || o == "ro":
			kinds["rw"]++
			m.readOnly = o == "ro"
		case o == "z" || o == "Z":
			kinds["label"]++
		case slices.Contains(propagations, mount.Propagation(o)):
			kinds["propagation"]++
			m.propagation = mount.Propagation(o)
		case o == "nocopy":
			kinds["copy"]++
			m.noCopy = true
		case o == "consistent" || o == "cached" || o == "delegated":
			kinds["consistency"]++
		default:
			return m, invalid("invalid mode: %s", mode)
		}
	}
	for _, n := range kinds {
		if n > 1 {
			return m, invalid("invalid mode: %s", mode)
		}
	}
	return m, nil
}

// parseBind reads one -v value.
func parseBind(raw, driver string) (mountPoint, error) {
	var m mountPoint
	parts := strings.SplitN(raw, ":", 4)
	mode := ""
	switch {
	case parts[0] == "" || len(parts) == 4:
		return m, invalid("invalid volume specification: '%s'", raw)
	case len(parts) == 2:
		if _, err := parseMode(parts[1]); err == nil {
			return m, invalid("invalid volume specification: '%s'", raw)
		}
	case len(parts) == 3:
		mode = parts[2]
	}
	parsed, err := parseMode(mode)
	if err != nil {
		return m, err
	}
	if m, err = parseMount(parsed.mount(parts, driver)); err != nil {
		return m, invalid("invalid volume specification: '%s': %w", raw, err)
	}
	m.Mode = mode
	return m.moded(), nil
}

// mount is -v as --mount would say it. Docker's way to refuse what makes no sense: options that the type does not have.
func (b bindMode) mount(parts []string, driver string) mount.Mount {
	spec := mount.Mount{Type: mount.TypeVolume, Target: parts[0], ReadOnly: b.readOnly}
	if len(parts) > 1 {
		spec.Source, spec.Target = parts[0], parts[1]
	}
	if path.IsAbs(spec.Source) {
		spec.Type, spec.BindOptions = mount.TypeBind, &mount.BindOptions{CreateMountpoint: true}
	}
	if b.propagation != "" && spec.BindOptions == nil {
		spec.BindOptions = &mount.BindOptions{}
	}
	if spec.BindOptions != nil {
		spec.BindOptions.Propagation = b.propagation
	}
	if driver != "" && spec.Type == mount.TypeVolume {
		spec.VolumeOptions = &mount.VolumeOptions{DriverConfig: &mount.Driver{Name: driver}}
	}
	if b.noCopy {
		if spec.VolumeOptions == nil {
			spec.VolumeOptions = &mount.VolumeOptions{}
		}
		spec.VolumeOptions.NoCopy = true
	}
	return spec
}

// moded: Docker shows a volume without a mode as one to relabel.
func (m mountPoint) moded() mountPoint {
	if m.Type == mount.TypeVolume && m.Mode == "" {
		m.Mode = "z"
	}
	return m
}

// parseMount checks one --mount as Docker's daemon does.
func parseMount(spec mount.Mount) (mountPoint, error) {
	m := mountPoint{MountPoint: container.MountPoint{Type: spec.Type, Destination: path.Clean(spec.Target), RW: !spec.ReadOnly}}
	err := m.parse(spec)
	if err != nil {
		return m, invalid("invalid mount config for type %q: %w", spec.Type, err)
	}
	return m, nil
}

func (m *mountPoint) parse(spec mount.Mount) error {
	switch {
	case spec.Target == "":
		return errors.New("field Target must not be empty")
	case m.Destination == "/":
		return errors.New("invalid specification: destination can't be '/'")
	case !path.IsAbs(spec.Target):
		return fmt.Errorf("invalid mount path: '%s' mount path must be absolute", spec.Target)
	}
	switch spec.Type {
	case mount.TypeBind:
		return m.bind(spec)
	case mount.TypeTmpfs:
		return m.tmpfs(spec)
	case mount.TypeVolume:
		return m.named(spec)
	case mount.TypeImage:
		return m.image(spec)
	}
	return errors.New("mount type unknown")
}

func foreignOption(name string) error { return fmt.Errorf("field %s must not be specified", name) }

func (m *mountPoint) named(spec mount.Mount) error {
	o := spec.VolumeOptions
	if o == nil {
		o = &mount.VolumeOptions{}
	}
	m.Anonymous = spec.Source == ""
	switch {
	case spec.BindOptions != nil:
		return foreignOption("BindOptions")
	case spec.ImageOptions != nil:
		return foreignOption("ImageOptions")
	case o.Subpath != "" && m.Anonymous:
		return errors.New("must not set Subpath when using anonymous volumes")
	case o.Subpath != "" && !filepath.IsLocal(o.Subpath):
		return errors.New("subpath must be a relative path within the volume")
	case spec.ReadOnly && m.Anonymous:
		return errors.New("must not set ReadOnly mode when using anonymous volumes")
	}
	m.Name, m.NoCopy, m.Labels = spec.Source, o.NoCopy, o.Labels
	if o.Subpath != "" {
		m.Subpath = path.Clean(o.Subpath)
	}
	if d := o.DriverConfig; d != nil {
		m.Driver, m.Options = d.Name, d.Options
	}
	return nil
}

func (m *mountPoint) bind(spec mount.Mount) error {
	o := spec.BindOptions
	switch {
	case spec.Source == "":
		return errors.New("field Source must not be empty")
	case o != nil && o.Propagation != "" && !slices.Contains(propagations, o.Propagation):
		return fmt.Errorf("invalid propagation mode: %s", o.Propagation)
	case spec.VolumeOptions != nil:
		return foreignOption("VolumeOptions")
	case spec.ImageOptions != nil:
		return foreignOption("ImageOptions")
	case !path.IsAbs(spec.Source):
		return fmt.Errorf("invalid mount path: '%s' mount path must be absolute", spec.Source)
	}
	m.Source, m.Propagation = path.Clean(spec.Source), "rprivate"
	if o != nil {
		if o.Propagation != "" {
			m.Propagation = o.Propagation
		}
		m.Make, m.NonRecursive = o.CreateMountpoint, o.NonRecursive
		m.ReadOnlyNonRecursive, m.ReadOnlyForceRecursive = o.ReadOnlyNonRecursive, o.ReadOnlyForceRecursive
		switch {
		case !spec.ReadOnly && o.ReadOnlyNonRecursive:
			return errors.New("mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive")
		case !spec.ReadOnly && o.ReadOnlyForceRecursive:
			return errors.New("mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive")
		case o.ReadOnlyNonRecursive && o.ReadOnlyForceRecursive:
			return errors.New("mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive")
		}
	}
	_, err := os.Stat(m.Source)
	if os.IsNotExist(err) && !m.Make {
		return fmt.Errorf("bind source path does not exist: %s", spec.Source)
	}
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

func (m *mountPoint) tmpfs(spec mount.Mount) error {
	switch {
	case spec.BindOptions != nil:
		return foreignOption("BindOptions")
	case spec.ImageOptions != nil:
		return foreignOption("ImageOptions")
	case spec.Source != "":
		return foreignOption("Source")
	}
	data, err := tmpfsData(spec.TmpfsOptions, spec.ReadOnly)
	m.Data = data
	return err
}

// tmpfsData writes --mount type=tmpfs,tmpfs-size=...,tmpfs-mode=... as mount options.
func tmpfsData(o *mount.TmpfsOptions, readOnly bool) (string, error) {
	var data []string
	if readOnly {
		data = append(data, "ro")
	}
	if o == nil {
		return strings.Join(data, ","), nil
	}
	if o.Mode != 0 {
		data = append(data, fmt.Sprintf("mode=%o", o.Mode))
	}
	if o.SizeBytes != 0 {
		data = append(data, "size="+binarySize(o.SizeBytes))
	}
	for _, opt := range o.Options {
		if len(opt) < 1 || len(opt) > 2 {
			return "", errors.New("invalid option array length")
		}
		if opt[0] != "exec" && opt[0] != "noexec" {
			return "", errors.New("invalid option: " + opt[0])
		}
		data = append(data, strings.Join(opt, "="))
	}
	return strings.Join(data, ","), nil
}

func binarySize(n int64) string {
	for _, u := range []struct {
		suffix string
		unit   int64
	}{{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}} {
		if n%u.unit == 0 {
			return fmt.Sprintf("%d%s", n/u.unit, u.suffix)
		}
	}
	return fmt.Sprint(n)
}

// mountPoints collects --volumes-from, -v, --mount and the volumes that the image declares, and finds the destinations that were
// given twice.
func (c *Containers) mountPoints(r *record) ([]mountPoint, error) {
	h := r.HostConfig
	byPath := map[string]mountPoint{}
	for _, from := range h.VolumesFrom {
		others, err := c.volumesFrom(from)
		if err != nil {
			return nil, err
		}
		for _, m := range others {
			byPath[m.Destination] = m
		}
	}
	own := map[string]bool{}
	add := func(m mountPoint, err error) error {
		if err != nil {
			return err
		}
		if _, tmpfs := h.Tmpfs[m.Destination]; tmpfs || own[m.Destination] {
			return invalid("Duplicate mount point: %s", m.Destination)
		}
		own[m.Destination], byPath[m.Destination] = true, m
		return nil
	}
	for _, raw := range h.Binds {
		if err := add(parseBind(raw, h.VolumeDriver)); err != nil {
			return nil, err
		}
	}
	for _, spec := range h.Mounts {
		m, err := parseMount(spec)
		if err := add(m.moded(), err); err != nil {
			return nil, err
		}
	}
	if err := r.declared(byPath); err != nil {
		return nil, err
	}
	return c.identified(sorted(byPath))
}

// declared adds the volumes of VOLUME and of -v with a path alone, where nothing else is mounted.
func (r *record) declared(byPath map[string]mountPoint) error {
	for _, given := range slices.Sorted(maps.Keys(r.Config.Volumes)) {
		m, err := parseMount(mount.Mount{Type: mount.TypeVolume, Target: path.Join("/", given)})
		if err != nil {
			return invalid("invalid volume specification: '%s': %w", given, err)
		}
		m.Destination = path.Clean(given) // Docker takes a relative one, too, and the root as where it begins
		_, taken := byPath[m.Destination]
		if _, tmpfs := r.HostConfig.Tmpfs[m.Destination]; taken || tmpfs {
			continue
		}
		there, err := r.imageTree().find(m.Destination)
		if err == nil && !there.info.IsDir() {
			return fmt.Errorf("cannot mount volume over existing file, file exists %s", there.path)
		}
		m.Driver = r.HostConfig.VolumeDriver
		byPath[m.Destination] = m
	}
	return nil
}

// identified names the anonymous volumes, and says where all are.
func (c *Containers) identified(all []mountPoint) ([]mountPoint, error) {
	for i := range all {
		m := &all[i]
		if m.Type != mount.TypeVolume || m.Inherited {
			continue
		}
		if m.Name == "" {
			m.Name = store.NewID()
		}
		if err := checkVolume(m.Name, m.Driver); err != nil {
			return nil, prefixed("create "+m.Name, err)
		}
		m.Driver, m.Source = volume.Driver, c.root.Volume(m.Name).Data()
	}
	return all, nil
}

// volumesFrom are another container's mounts: what it shows is shown, and copied from no image.
func (c *Containers) volumesFrom(from string) ([]mountPoint, error) {
	if from == "" {
		return nil, invalid("volumes-from specification cannot be an empty string")
	}
	ref, mode, _ := strings.Cut(from, ":")
	parsed, err := parseMode(mode)
	if err != nil {
		return nil, err
	}
	if parsed.propagation != "" || parsed.noCopy {
		return nil, invalid("invalid mode: %s", mode)
	}
	r, err := c.load(ref)
	if err != nil {
		return nil, err
	}
	for i := range r.Mounts {
		m := &r.Mounts[i]
		m.RW, m.Mode = m.RW && !parsed.readOnly, ""
		m.NoCopy, m.Inherited = true, true
	}
	return r.Mounts, nil
}

// sorted puts parents before what is mounted below them.
func sorted(byPath map[string]mountPoint) []mountPoint {
	var all []mountPoint
	for _, m := range byPath {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b mountPoint) int {
		if d := strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/"); d != 0 {
			return d
		}
		return strings.Compare(a.Destination, b.Destination)
	})
	return all
}
