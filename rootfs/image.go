package rootfs

import (
	"fmt"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// stacked says whether a mount is an overlay of the host's directories, such as another image: it is mounted while those can be
// named, on the directory that will be the root's, taken from there, and put in its place later.
func stacked(m specs.Mount) bool { return m.Type == "overlay" && !parse(m.Options).bind }

// stacks compiles the mounting of overlays. It comes after the host's mounts no longer propagate.
func (t *Tree) stacks(b *program.Builder, held mounts) error {
	for i, m := range t.Spec.Mounts {
		if !stacked(m) {
			continue
		}
		if t.UserNS {
			return fmt.Errorf("%s: an overlay of the host's directories is not for a user namespace: nobody in it owns their files", step(i))
		}
		o := parse(m.Options)
		at := t.absolute(t.Spec.Root.Path)
		if t.Layers != nil {
			at = t.Layers.Mount
		}
		b.From("%s", step(i))
		b.Call(unix.SYS_MOUNT, "overlay", at, "overlay", o.flags, strings.Join(o.data, ",")).Why("stack the layers of what %s will show, where the root will be", m.Destination)
		held[step(i)] = Take{Source: at, Subpath: o.subpath, From: step(i), Why: "take hold of them"}.take(b)
		b.Call(unix.SYS_UMOUNT2, at, unix.MNT_DETACH).From("%s", step(i)).Why("and let go of the place")
	}
	return nil
}
