package rootfs

import (
	"fmt"
	"path/filepath"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Tree is all that decides what files a container sees.
type Tree struct {
	Spec   *specs.Spec
	Dir    string            // the bundle: relative paths of config.json are below it
	Layers *Layers           // nil: root.path is a plain directory
	Kinds  map[string]uint32 // st_mode of bind sources and devices on the host, by path, observed beforehand
	Shift  bool              // a new user namespace: the host takes what is shown, and mounts the overlay with shifted owners
	UserNS bool              // the process is in a user namespace: mknod and some mounts are not for it
	OwnNet bool              // the network namespace is not the host's
	OwnPID bool              // the PID namespace is not the host's
	Cgroup string            // what /sys/fs/cgroup shows: the container's group, or with the host's cgroup namespace the whole tree; empty: no cgroup2 here
	Late   func()            // called before the root is changed: what the host does then follows; nil: nothing
	Still  bool              // nothing will run in it, it is only to be looked at: no devices, no terminal, nothing covered

	made map[string]bool // directories that the program has seen to
}

// Console is the number under which the child keeps the master of its terminal until the host has fetched it with
// pidfd_getfd(2). Fixed, because the host must know it.
const Console = 1000

// Compile appends the steps that build the tree and make it the root. Their order is the security argument:
//
//  1. take what the host gives: bind sources and device files, as detached mounts held by descriptor;
//  2. mount the root, make it the root (pivot_root), let go of the host's tree at once: it is stacked on the new root, and
//     a link with enough ".." in it would climb into it;
//  3. from here on every path is resolved inside the container, and never through a magic link: whatever links the image
//     holds, they cannot lead out. Make mount points, mounts, devices, terminal;
//  4. cover and protect what must not be seen or written.
func (t *Tree) Compile(b *program.Builder) error {
	b.From("")
	b.Call(unix.SYS_UMASK, 0).Why("files made for the container get exactly the modes asked for")
	held, err := t.gather(b)
	if err != nil {
		return err
	}
	// after the taking: what is to be shared with the host must be taken while it is
	b.From("linux.rootfsPropagation")
	b.Call(unix.SYS_MOUNT, nil, "/", nil, unix.MS_REC|unix.MS_SLAVE, nil).Why("what is mounted from here on stays invisible to the host")
	if err := t.stacks(b, held); err != nil {
		return err
	}
	if t.Late != nil {
		t.Late()
	}
	t.mountRoot(b)
	for i := range t.Spec.Mounts {
		if err := t.mount(b, i, held); err != nil {
			return err
		}
	}
	if t.Still {
		return nil
	}
	if err := t.devices(b, held); err != nil {
		return err
	}
	t.links(b)
	if t.Spec.Process != nil && t.Spec.Process.Terminal {
		t.terminal(b)
	}
	t.sysctls(b)
	t.protect(b)
	return nil
}

// absolute makes a path of config.json absolute: it may be relative to the bundle.
func (t *Tree) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(t.Dir, path)
}

// mountRoot mounts the root file system, pivots into it and lets go of the host's.
func (t *Tree) mountRoot(b *program.Builder) {
	b.From("root.path")
	host := b.Call(unix.SYS_OPENAT, unix.AT_FDCWD, "/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0).Why("hold the host's root, to let go of it later").Keep()
	root := t.absolute(t.Spec.Root.Path)
	switch {
	case t.Layers == nil:
		b.Call(unix.SYS_MOUNT, root, root, nil, unix.MS_BIND|unix.MS_REC, nil).Why("make the directory a mount, which pivot_root asks for")
	case t.Shift:
		root = "" // the host has mounted it, and we stand in it already
	default:
		root = t.Layers.Mount
		t.Layers.mount(b)
	}
	if root != "" {
		b.Call(unix.SYS_CHDIR, root).Why("go to what will be the root")
	}
	b.Call(unix.SYS_PIVOT_ROOT, ".", ".").Why("make it the root; the host's tree is now stacked on it, and can be let go of")
	b.Call(unix.SYS_FCHDIR, host).Why("stand in the host's root")
	b.Call(unix.SYS_UMOUNT2, ".", unix.MNT_DETACH).Why("let go of the host's whole tree: no path leads to it any more")
	b.Call(unix.SYS_CHDIR, "/").Why("stand in the container's root")
	b.Close(host)
}

// Stand compiles the change into the overlay that the host has mounted for a user namespace. It comes before the change of user: the
// namespace's root may not pass through the host's private directories.
func (l *Layers) Stand(b *program.Builder) {
	b.From("root.path")
	b.Call(unix.SYS_CHDIR, l.Mount).Why("go to what will be the root, while the way there is still open to us")
}

// workingDir compiles the making of process.cwd, where the image lacks it, as Docker and runc do.
func (t *Tree) workingDir(b *program.Builder) {
	if cwd := t.Spec.Process.Cwd; cwd != "/" {
		b.From("process.cwd")
		t.directories(b, cwd)
	}
}

// step names the config field of mount i.
func step(i int) string { return fmt.Sprintf("mounts[%d]", i) }
