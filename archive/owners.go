package archive

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Owners is a user namespace's map of ids; an empty one changes nothing. An archive says what the namespace counts, files on the
// disk what the host counts.
type Owners []specs.LinuxIDMapping

// Unmapped is who everybody is for whom a user namespace has no number, user_namespaces(7).
const Unmapped = 65534

// Inside is the host's id as the namespace counts it.
func (o Owners) Inside(id uint32) uint32 {
	if len(o) == 0 {
		return id
	}
	for _, m := range o {
		if id >= m.HostID && id-m.HostID < m.Size {
			return m.ContainerID + id - m.HostID
		}
	}
	return Unmapped
}

// Outside is the namespace's id as the host counts it. What has no number there is refused: it would belong to somebody else.
func (o Owners) Outside(id uint32) (uint32, bool) {
	if len(o) == 0 {
		return id, true
	}
	for _, m := range o {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + id - m.ContainerID, true
		}
	}
	return 0, false
}
