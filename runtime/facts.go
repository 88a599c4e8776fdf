// Package runtime starts OCI containers: Compile turns a config.json into a Plan, Create and Exec run it.
package runtime

import (
	"path/filepath"

	"glassbox/cgroups"
	"glassbox/confine"
	"glassbox/namespaces"
	"glassbox/rootfs"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Facts is what Compile must know of the host. Everything that a plan depends on beside config.json is here, so that the same
// facts and the same config.json give the same plan.
type Facts struct {
	Dir       string // the bundle, absolute
	Cgroups   cgroups.Facts
	Inherited confine.Inherited
	Modules   confine.Modules
	Kinds     map[string]uint32            // st_mode of the bind sources that exist
	Devices   map[string]namespaces.Device // of the host's network interfaces, those in linux.netDevices
	Shared    uint64                       // CLONE_NEW* of namespaces that are joined by path, and are ours
	Detached  bool                         // another process will come to start it (Options.Listener)
	Nested    bool                         // we are in a user namespace: so is a container that gets none of its own
	Without   string                       // the mechanism that an experiment leaves out (Options.Without)
	NoPivot   bool                         // the host's root stays below the container's (Options.NoPivot)
	Kernels   []string                     // with NoPivot: where the host has a proc or sysfs
	Preserve  int                          // so many of our descriptors from 3 on are the container's (Options.Preserve)
}

// Observe reads the facts for a start of spec. It changes nothing.
func Observe(spec *specs.Spec, dir string) (Facts, error) {
	var f Facts
	var err error
	if f.Dir, err = filepath.Abs(dir); err != nil {
		return f, err
	}
	f.Kinds = sourceKinds(spec, f.Dir)
	if f.Shared, err = namespaces.Observe(spec); err != nil {
		return f, err
	}
	if f.Devices, err = namespaces.ObserveDevices(spec); err != nil {
		return f, err
	}
	if f.Cgroups, err = cgroups.Observe(resources(spec)); err != nil {
		return f, err
	}
	if owner(spec) != nil {
		f.Cgroups.Delegated = cgroups.Delegated()
	}
	f.Nested = namespaces.Nested()
	f.Modules = confine.ObserveModules(spec.Process)
	f.Inherited, err = confine.Observe()
	return f, err
}

func sourceKinds(spec *specs.Spec, dir string) map[string]uint32 {
	found := map[string]uint32{}
	for _, source := range rootfs.Sources(spec, dir) {
		var st unix.Stat_t
		if unix.Stat(source, &st) == nil {
			found[source] = st.Mode
		}
	}
	if spec.Root != nil {
		var st unix.Stat_t
		if root := rootfs.Root(spec, dir); unix.Lstat(root, &st) == nil {
			found[root] = st.Mode
		}
	}
	return found
}

func resources(spec *specs.Spec) *specs.LinuxResources {
	if spec.Linux == nil {
		return nil
	}
	return spec.Linux.Resources
}
