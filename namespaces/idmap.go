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
	if err := checkMap("linux.uidMappings", m.UID); err != nil {
		return err
	}
	return checkMap("linux.gidMappings", m.GID)
}

// longestMap is UID_GID_MAP_MAX_EXTENTS, user_namespaces(7).
const longestMap = 340

func checkMap(field string, lines []specs.LinuxIDMapping) error {
	if len(lines) == 0 {
		return fmt.Errorf("%s: a new user namespace needs at least one line", field)
	}
	if len(lines) > longestMap {
		return fmt.Errorf("%s: %d lines, the kernel takes %d", field, len(lines), longestMap)
	}
	for i, a := range lines {
		if a.Size == 0 {
			return fmt.Errorf("%s[%d]: size is 0", field, i)
		}
		if uint64(max(a.ContainerID, a.HostID))+uint64(a.Size) > 1<<32 {
			return fmt.Errorf("%s[%d]: %d ids from %d do not fit into 32 bits", field, i, a.Size, max(a.ContainerID, a.HostID))
		}
		for j, b := range lines[:i] {
			if overlap(a.ContainerID, b.ContainerID, a.Size, b.Size) || overlap(a.HostID, b.HostID, a.Size, b.Size) {
				return fmt.Errorf("%s[%d] overlaps [%d]", field, i, j)
			}
		}
	}
	return nil
}

// checkMaps refuses maps where they do not belong: only a new user namespace gets some.
func (s Set) checkMaps(m Maps) error {
	switch field := "linux.uidMappings"; {
	case s.New&unix.CLONE_NEWUSER != 0:
		return m.Check()
	case len(m.UID)+len(m.GID) == 0:
		return nil
	case len(m.UID) == 0:
		field = "linux.gidMappings"
		fallthrough
	default:
		if s.Joins(unix.CLONE_NEWUSER) {
			return fmt.Errorf("%s: the user namespace that is joined has maps of its own", field)
		}
		return fmt.Errorf("%s: user namespace mappings specified, but there is no new user namespace", field)
	}
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
func Become(b *program.Builder) { become(b, "linux.uidMappings", "linux.gidMappings") }

func become(b *program.Builder, users, groups string) {
	b.From("%s", users)
	b.Call(unix.SYS_SETRESGID, 0, 0, 0).From("%s", groups).Why("be the namespace's group 0")
	b.Call(unix.SYS_SETRESUID, 0, 0, 0).Why("be the namespace's root, who owns what it makes from here on")
}
