package oci

import (
	"os"
	"path/filepath"
	"strings"

	"glassbox/cgroups"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Unprivileged says whether we are not the machine's root: another user, or the root of a user namespace.
func Unprivileged() bool {
	if os.Geteuid() != 0 {
		return true
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(text)), " ") != "0 0 4294967295"
}

// groupless says whether the container is to have no group, since we may not make it.
func (s Store) groupless(spec *specs.Spec) bool {
	if !s.Rootless || spec.Linux == nil {
		return false
	}
	facts, err := cgroups.Observe(nil)
	if err != nil {
		return true
	}
	group, err := facts.Locate(spec.Linux.CgroupsPath)
	if err != nil || group.Path == "" {
		return false // which Compile refuses, or there are none at all
	}
	dir := filepath.Dir(group.Path)
	for unix.Access(dir, unix.F_OK) == unix.ENOENT {
		dir = filepath.Dir(dir)
	}
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK, unix.AT_EACCESS) != nil
}
