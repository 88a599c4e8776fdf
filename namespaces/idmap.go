package namespaces

import (
	"fmt"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Maps is who the ids of a user namespace are on the host, user_namespaces(7).
type Maps struct{ UID, GID []specs.LinuxIDMapping }

// MapsOf reads them from config.json.
func MapsOf(spec *specs.Spec) Maps {
	if spec.Linux == nil {
		return Maps{}
	}
	return Maps{spec.Linux.UIDMappings, spec.Linux.GIDMappings}
}

// Check refuses maps that the kernel would refuse, naming the field.
func (m Maps) Check() error {
	for field, lines := range map[string][]specs.LinuxIDMapping{"linux.uidMappings": m.UID, "linux.gidMappings": m.GID} {
		if len(lines) == 0 {
			return fmt.Errorf("%s: a new user namespace needs at least one line", field)
		}
		if len(lines) > 340 {
			return fmt.Errorf("%s: %d lines, the kernel takes 340", field, len(lines))
		}
		for i, a := range lines {
			if a.Size == 0 {
				return fmt.Errorf("%s[%d]: size is 0", field, i)
			}
			for j, b := range lines[:i] {
				if overlap(a.ContainerID, b.ContainerID, a.Size, b.Size) || overlap(a.HostID, b.HostID, a.Size, b.Size) {
					return fmt.Errorf("%s[%d] overlaps [%d]", field, i, j)
				}
			}
		}
	}
	return nil
}

func overlap(a, b, sizeA, sizeB uint32) bool {
	return uint64(a) < uint64(b)+uint64(sizeB) && uint64(b) < uint64(a)+uint64(sizeA)
}

// Text is the map as /proc/PID/uid_map takes it.
func Text(lines []specs.LinuxIDMapping) string {
	var s strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&s, "%d %d %d\n", l.ContainerID, l.HostID, l.Size)
	}
	return s.String()
}

// Host is the id on the host that container id stands for; ok is false when it has none.
func Host(lines []specs.LinuxIDMapping, id uint32) (host uint32, ok bool) {
	for _, l := range lines {
		if id >= l.ContainerID && uint64(id) < uint64(l.ContainerID)+uint64(l.Size) {
			return l.HostID + id - l.ContainerID, true
		}
	}
	return 0, false
}

// Become compiles the change to the namespace's root, once the maps are written: until then the process has no name inside.
func Become(b *program.Builder) {
	b.From("linux.uidMappings")
	b.Call(unix.SYS_SETRESGID, 0, 0, 0).From("linux.gidMappings").Why("be the namespace's group 0")
	b.Call(unix.SYS_SETRESUID, 0, 0, 0).Why("be the namespace's root, who owns what it makes from here on")
}
