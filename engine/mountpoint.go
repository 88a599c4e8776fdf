package engine

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
)

// mountPoint is Docker's container.MountPoint, and what the mount needs beyond what `inspect` shows.
type mountPoint struct {
	container.MountPoint
	Make                   bool   // -v makes a missing source directory; --mount refuses it
	Data                   string // tmpfs options
	NonRecursive           bool
	ReadOnlyNonRecursive   bool
	ReadOnlyForceRecursive bool
}

var propagations = []mount.Propagation{"private", "rprivate", "slave", "rslave", "shared", "rshared"}

// bindMode is the third part of -v host:container:mode, taken apart.
type bindMode struct {
	readOnly    bool
	propagation mount.Propagation
}

// parseMode accepts what Docker accepts: at most one of each kind. z and Z relabel for SELinux, and where SELinux
// is not in force they do nothing in Docker either; the consistency words were for Docker Desktop.
func parseMode(mode string) (bindMode, error) {
	m := bindMode{propagation: "rprivate"}
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
func parseBind(raw string) (mountPoint, error) {
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
	spec := mount.Mount{Type: mount.TypeVolume, Target: parts[0], ReadOnly: parsed.readOnly}
	if len(parts) > 1 {
		spec.Source, spec.Target = parts[0], parts[1]
	}
	if path.IsAbs(spec.Source) {
		spec.Type, spec.BindOptions = mount.TypeBind, &mount.BindOptions{Propagation: parsed.propagation, CreateMountpoint: true}
	}
	if m, err = parseMount(spec); err != nil {
		return m, invalid("invalid volume specification: '%s': %w", raw, err)
	}
	m.Mode = mode
	return m, nil
}

// parseMount checks one --mount as Docker's daemon does.
func parseMount(spec mount.Mount) (mountPoint, error) {
	m := mountPoint{MountPoint: container.MountPoint{Type: spec.Type, Destination: path.Clean(spec.Target), RW: !spec.ReadOnly}}
	refuse := func(format string, args ...any) (mountPoint, error) {
		return m, invalid("invalid mount config for type %q: %w", spec.Type, fmt.Errorf(format, args...))
	}
	switch {
	case spec.Target == "":
		return refuse("field Target must not be empty")
	case m.Destination == "/":
		return refuse("invalid specification: destination can't be '/'")
	case !path.IsAbs(spec.Target):
		return refuse("invalid mount path: '%s' mount path must be absolute", spec.Target)
	case spec.VolumeOptions != nil && spec.Type != mount.TypeVolume:
		return refuse("field VolumeOptions must not be specified")
	case spec.ImageOptions != nil && spec.Type != mount.TypeImage:
		return refuse("field ImageOptions must not be specified")
	case spec.BindOptions != nil && spec.Type != mount.TypeBind:
		return refuse("field BindOptions must not be specified")
	}
	var err error
	switch spec.Type {
	case mount.TypeBind:
		err = m.bind(spec)
	case mount.TypeTmpfs:
		err = m.tmpfs(spec)
	case mount.TypeVolume:
		err = errors.New("named and anonymous volumes come with a later version of glassbox; mount a host directory, as in -v /host/dir:" + spec.Target)
	case mount.TypeImage:
		err = errors.New("image mounts come with a later version of glassbox")
	default:
		err = errors.New("mount type unknown")
	}
	if err != nil {
		return refuse("%w", err)
	}
	return m, nil
}

func (m *mountPoint) bind(spec mount.Mount) error {
	if spec.Source == "" {
		return errors.New("field Source must not be empty")
	}
	if !path.IsAbs(spec.Source) {
		return fmt.Errorf("invalid mount path: '%s' mount path must be absolute", spec.Source)
	}
	m.Source, m.Propagation = path.Clean(spec.Source), "rprivate"
	if o := spec.BindOptions; o != nil {
		if o.Propagation != "" {
			if !slices.Contains(propagations, o.Propagation) {
				return fmt.Errorf("invalid propagation mode: %s", o.Propagation)
			}
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
	if spec.Source != "" {
		return errors.New("field Source must not be specified")
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

// mountPoints collects --volumes-from, -v and --mount, and finds the destinations that were given twice.
func (c *Containers) mountPoints(h *container.HostConfig) ([]mountPoint, error) {
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
	add := func(m mountPoint) error {
		if _, tmpfs := h.Tmpfs[m.Destination]; tmpfs || own[m.Destination] {
			return invalid("Duplicate mount point: %s", m.Destination)
		}
		own[m.Destination], byPath[m.Destination] = true, m
		return nil
	}
	for _, raw := range h.Binds {
		m, err := parseBind(raw)
		if err == nil {
			err = add(m)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, spec := range h.Mounts {
		m, err := parseMount(spec)
		if err == nil {
			err = add(m)
		}
		if err != nil {
			return nil, err
		}
	}
	return sorted(byPath), nil
}

func (c *Containers) volumesFrom(from string) ([]mountPoint, error) {
	ref, mode, _ := strings.Cut(from, ":")
	parsed, err := parseMode(mode)
	if err != nil {
		return nil, err
	}
	if from == "" {
		return nil, invalid("volumes-from specification cannot be an empty string")
	}
	if mode != "" && parsed.propagation != "rprivate" {
		return nil, invalid("invalid mode: %s", mode)
	}
	r, err := c.load(ref)
	if err != nil {
		return nil, err
	}
	for i := range r.Mounts {
		r.Mounts[i].RW = r.Mounts[i].RW && !parsed.readOnly
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
