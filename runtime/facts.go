// Package runtime starts OCI containers: Compile turns a config.json into a Plan, Create and Exec run it.
package runtime

import (
	"path/filepath"

	"glassbox/cgroups"
	"glassbox/confine"
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
	Kinds     map[string]uint32 // st_mode of the bind sources that exist
}

// Observe reads the facts for a start of spec. It changes nothing.
func Observe(spec *specs.Spec, dir string) (Facts, error) {
	f := Facts{Kinds: map[string]uint32{}}
	var err error
	if f.Dir, err = filepath.Abs(dir); err != nil {
		return f, err
	}
	if f.Cgroups, err = cgroups.Observe(resources(spec)); err != nil {
		return f, err
	}
	if f.Inherited, err = confine.Observe(); err != nil {
		return f, err
	}
	for _, source := range rootfs.Sources(spec, f.Dir) {
		var st unix.Stat_t
		if unix.Stat(source, &st) == nil {
			f.Kinds[source] = st.Mode
		}
	}
	return f, nil
}

func resources(spec *specs.Spec) *specs.LinuxResources {
	if spec.Linux == nil {
		return nil
	}
	return spec.Linux.Resources
}
