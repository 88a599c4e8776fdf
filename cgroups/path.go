package cgroups

import (
	"fmt"
	"path/filepath"
	"strings"
)

// On a host that systemd manages, the tree has a single writer, and groups of others are allowed only below a unit
// with Delegate=yes (systemd's CGROUP_DELEGATION.md). So each container has a transient scope, in which only the leaves
// hold processes:
//
//	/system.slice/glassbox-ID.scope      made by systemd on our request; gone when the last process has ended
//	    monitor                          who asked for it: logout or a daemon-reload does not touch it any more
//	    container                        the container is born here; its limits stand here
//
// Everywhere else the group is a plain directory, /glassbox/ID.

// place is where cgroupsPath puts the container.
type place struct {
	group string // the container's group, relative to the mount
	unit  string // systemd scope to ask for; empty: a plain directory
	slice string // the slice that the scope is in
}

// leaves of a scope.
const (
	leafMonitor   = "monitor"
	leafContainer = "container"
)

// Path is the value of linux.cgroupsPath for a container: parent is what --cgroup-parent says, or empty.
func (f Facts) Path(parent, id string) (string, error) {
	if !f.Systemd {
		if parent == "" {
			parent = "/glassbox"
		}
		return filepath.Join("/", parent, id), nil
	}
	if parent == "" {
		parent = "system.slice"
	}
	if !strings.HasSuffix(parent, ".slice") || strings.Contains(parent, "/") {
		return "", fmt.Errorf("cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"")
	}
	return parent + ":glassbox:" + id, nil
}

// Locate is the group that Compile makes for a cgroupsPath.
func (f Facts) Locate(cgroupsPath string) (Group, error) {
	p, err := f.place(cgroupsPath)
	if err != nil || f.Mount == "" {
		return Group{}, err
	}
	return Group{Path: filepath.Join(f.Mount, p.group)}, nil
}

// place reads a cgroupsPath: "slice:prefix:name" as runc's systemd driver does, an absolute path below the mount, or a
// relative one below our parent group.
func (f Facts) place(cgroupsPath string) (place, error) {
	if cgroupsPath == "" {
		return place{}, fmt.Errorf("linux.cgroupsPath is empty: a container needs a group of its own")
	}
	w := strings.Split(cgroupsPath, ":")
	switch {
	case !f.Units:
	case len(w) != 3:
		return place{}, fmt.Errorf("linux.cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got %q instead", cgroupsPath)
	case !f.Systemd:
		return place{}, fmt.Errorf("systemd cgroup flag passed, but systemd support for managing cgroups is not available")
	}
	if len(w) != 3 || strings.HasPrefix(cgroupsPath, "/") {
		if f.Systemd && !filepath.IsAbs(cgroupsPath) {
			return f.scope("system.slice", "glassbox-"+filepath.Base(cgroupsPath)+".scope")
		}
		if !filepath.IsAbs(cgroupsPath) {
			cgroupsPath = filepath.Join("/", f.Parent, cgroupsPath)
		}
		clean := filepath.Clean(cgroupsPath)
		if clean == "/" {
			return place{}, fmt.Errorf("linux.cgroupsPath %q is the root of the hierarchy: it cannot be a container's group", cgroupsPath)
		}
		return place{group: clean}, nil
	}
	if !f.Systemd {
		return place{}, fmt.Errorf("linux.cgroupsPath %q asks for a systemd unit, and systemd does not manage cgroups here", cgroupsPath)
	}
	if w[0] == "" {
		w[0] = "system.slice"
	}
	unit := w[2]
	if w[1] != "" {
		unit = w[1] + "-" + unit
	}
	return f.scope(w[0], unit+".scope")
}

func (f Facts) scope(slice, unit string) (place, error) {
	dir, err := sliceDir(slice)
	if err != nil || strings.ContainsAny(unit, "/ ") {
		return place{}, fmt.Errorf("linux.cgroupsPath: %q in %q is not a valid systemd unit", unit, slice)
	}
	return place{group: dir + "/" + unit + "/" + leafContainer, unit: unit, slice: slice}, nil
}

// sliceDir spells out systemd.slice(5)'s rule: a-b.slice is in a.slice.
func sliceDir(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	if !ok || name == "" || strings.Contains(name, "/") {
		return "", fmt.Errorf("%q is not a slice", slice)
	}
	if name == "-" {
		return "", nil
	}
	var dir, prefix string
	for part := range strings.SplitSeq(name, "-") {
		if part == "" {
			return "", fmt.Errorf("%q is not a slice", slice)
		}
		prefix += part
		dir += "/" + prefix + ".slice"
		prefix += "-"
	}
	return dir, nil
}

// handing lists the groups that must hand controllers down to the container's, from the top. Above a scope that is
// systemd's work.
func (f Facts) handing(p place) []string {
	if p.unit != "" {
		return []string{filepath.Join(f.Mount, filepath.Dir(p.group))}
	}
	return ancestors(f.Mount, p.group)
}

// ancestors are the directories above mount/group, from the mount down.
func ancestors(mount, group string) []string {
	dirs := []string{mount}
	for i, c := range group {
		if c == '/' && i > 0 {
			dirs = append(dirs, filepath.Join(mount, group[:i]))
		}
	}
	return dirs
}
