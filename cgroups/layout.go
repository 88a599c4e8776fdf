package cgroups

import (
	"fmt"
	"slices"
	"strings"
)

// BootParameter moves every controller from v1 to v2: the first for systemd, which mounts the hierarchies, the second for
// the kernel, whatever mounts them.
const BootParameter = "systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"

// Boundary is how the namespaces of containers are made to bound what their root may write.
func (f Facts) Boundary() string { return "mount -o remount,nsdelegate " + f.Mount }

// limiting is the controllers behind Docker's limits, the most used first.
var limiting = []string{"memory", "cpu", "pids", "io", "cpuset"}

// Layout is the facts in one line for people.
func (f Facts) Layout() string {
	var held, missing []string
	for _, c := range limiting {
		switch {
		case slices.Contains(f.Controllers, c):
		case f.V1[c] != "":
			held = append(held, c)
		default:
			missing = append(missing, c)
		}
	}
	var b strings.Builder
	if f.Mount == "" {
		b.WriteString("no cgroup2 file system is mounted")
	} else {
		fmt.Fprintf(&b, "cgroup2 at %s with [%s]", f.Mount, strings.Join(f.Controllers, " "))
	}
	switch {
	case len(held) > 0:
		fmt.Fprintf(&b, "; %s are held by v1: limits not available (cure: boot with %s)", strings.Join(held, ","), BootParameter)
	case len(missing) > 0:
		fmt.Fprintf(&b, "; %s are not delegated to it or not in this kernel: limits not available", strings.Join(missing, ","))
	}
	return b.String()
}
