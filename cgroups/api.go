package cgroups

import (
	"errors"
	"os"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

var errStub = errors.New("stub")

// Facts is what this host lets us do with cgroup v2, read from mountinfo, /proc/self/cgroup and
// cgroup.controllers.
type Facts struct {
	Mount       string            // where cgroup2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified on a hybrid host; empty: nowhere
	Self        string            // our own group, relative to Mount
	Parent      string            // group below which glassbox makes its own, relative to Mount: /glassbox, or inside our scope under systemd
	Controllers []string          // what Parent can delegate to a child
	V1          map[string]string // controller -> the v1 hierarchy that holds it
	Systemd     bool              // systemd manages the hierarchy (sd_booted(3))
}

// Observe reads the facts; it changes nothing.
func Observe() (Facts, error) { return Facts{}, errStub }

// Group is one directory of the cgroup v2 hierarchy.
type Group struct {
	Path string // absolute: Mount + cgroupsPath
}

// Compile says which requests create the group for spec.Linux.CgroupsPath and set its limits. It refuses,
// with a *LimitError naming controller, cause and cure, what this host cannot set. Pure.
func Compile(cgroupsPath string, r *specs.LinuxResources, f Facts) (Group, []program.Request, error) {
	return Group{}, nil, errStub
}

// Open returns the group's directory, for CLONE_INTO_CGROUP.
func (g Group) Open() (*os.File, error) { return nil, errStub }
