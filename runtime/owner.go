package runtime

import (
	"path"
	"slices"

	"glassbox/namespaces"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// owner is the user on the host to whom the container's group is given, if it is: the one that its process is, where that has new user
// and cgroup namespaces and sees the group writable (config-linux.md, "Cgroup ownership"). It can make groups of its own then.
func owner(spec *specs.Spec) *uint32 {
	if spec.Linux == nil || spec.Process == nil || !namespaces.Makes(spec, specs.UserNamespace) || !namespaces.Makes(spec, specs.CgroupNamespace) {
		return nil
	}
	writable := slices.ContainsFunc(spec.Mounts, func(m specs.Mount) bool {
		return m.Source == "cgroup" && path.Clean(m.Destination) == "/sys/fs/cgroup" && !slices.Contains(m.Options, "ro")
	})
	uid, mapped := namespaces.Host(spec.Linux.UIDMappings, spec.Process.User.UID)
	if !writable || !mapped {
		return nil
	}
	return &uid
}
