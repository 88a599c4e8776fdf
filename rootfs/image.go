package rootfs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// stacked says whether a new file system is made by mount(2): an overlay of the host's directories, such as another image, whose list of
// layers fsconfig(2) would not take, and what only a flag of mount(2) can say. It is mounted while the host's paths can be named, on
// the directory that will be the root's, taken from there, and put in its place later.
func stacked(m specs.Mount) bool {
	o := parse(m.Options)
	if o.bind || o.remount || m.Type == "bind" {
		return false
	}
	const limit = 256 // of a value, fsconfig(2)
	return m.Type == "overlay" || len(o.only) > 0 || slices.ContainsFunc(o.data, func(w string) bool { return len(w) >= limit })
}

// rootPlace is the directory on which the root will be mounted.
func (t *Tree) rootPlace() string {
	if t.Layers != nil {
		return t.Layers.Mount
	}
	return Root(t.Spec, t.Dir)
}

// Root is the path of the root file system, where that is a plain directory.
func Root(spec *specs.Spec, dir string) string {
	t := Tree{Dir: dir}
	return t.absolute(spec.Root.Path)
}

// stacks compiles the mounting of these. It comes after the host's mounts no longer propagate.
func (t *Tree) stacks(b *program.Builder, held mounts) error {
	for i, m := range t.Spec.Mounts {
		if !stacked(m) {
			continue
		}
		if t.UserNS && m.Type == "overlay" {
			return fmt.Errorf("%s: an overlay of the host's directories is not for a user namespace: nobody in it owns their files", step(i))
		}
		o := parse(m.Options)
		at := t.rootPlace()
		source, why := m.Source, "make what "+path.Clean("/"+m.Destination)+" will show, where the root will be"
		if m.Type == "overlay" {
			source, why = "overlay", "stack the layers of what "+m.Destination+" will show, where the root will be"
		}
		if l := t.Spec.Linux; l != nil && l.MountLabel != "" {
			o.data = append(o.data, `context="`+l.MountLabel+`"`)
		}
		b.From("%s", step(i))
		b.Call(unix.SYS_MOUNT, source, at, kindOf(m), o.flags, data(o.data)).Why("%s", why)
		held[step(i)] = Take{Source: at, Subpath: o.subpath, From: step(i), Why: "take hold of them"}.take(b)
		b.Call(unix.SYS_UMOUNT2, at, unix.MNT_DETACH).From("%s", step(i)).Why("and let go of the place")
	}
	return nil
}

func data(words []string) any {
	if len(words) == 0 {
		return nil
	}
	return strings.Join(words, ",")
}
