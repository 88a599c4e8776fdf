package rootfs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Tree is all that decides what files a container sees.
type Tree struct {
	Spec    *specs.Spec
	Dir     string            // the bundle: relative paths of config.json are below it
	Layers  *Layers           // nil: root.path is a plain directory
	Kinds   map[string]uint32 // st_mode of bind sources, devices and the root on the host, by path, observed beforehand
	UserNS  bool              // the process is in a user namespace: mknod and some mounts are not for it
	Shift   bool              // a new user namespace: the host takes what is shown, and mounts the overlay with shifted owners
	Alone   bool              // the host may not mount: in a user namespace of its own the child does all by itself
	OwnNet  bool              // the network namespace is not the host's
	OwnPID  bool              // the PID namespace is not the host's
	Cgroup  string            // what /sys/fs/cgroup shows: the container's group, or with the host's cgroup namespace the whole tree; empty: no cgroup2 here
	NoPivot bool              // cover the host's root instead of changing it: an initramfs has one that cannot be changed
	Foreign bool              // others live in the mount namespace too, which therefore stays as it is
	Without string            // the mechanism that an experiment leaves out: pivot_root, propagation or mount; empty: a start like any other
	Kernels []string          // with NoPivot: where the host has a proc or sysfs, innermost first
	Still   bool              // nothing will run in it, it is only to be looked at: no devices, no terminal, nothing covered

	// Late is called when all is mounted and before the root is changed: what the host does then follows. The child stands in the root to
	// be, which is mounted; nil: the root is changed first.
	Late func()

	// Pause makes the child wait at a gate of this name until the host has carried out its half. Then Answer is what a slot of the child
	// holds, Fetch gets a descriptor of the child's, and Copy copies what is in a directory.
	Pause  func(gate, why string, half ...program.Request)
	Answer func(program.Slot) int
	Fetch  func(number int) (*os.File, error)
	Copy   func(to, from *os.File) error

	made    map[string]bool // directories that the program has seen to
	kernel  map[string]any  // proc, sysfs and devpts that the program has put somewhere, by where they are; a proc that is nowhere: ""
	pivoted bool            // the container's root is the process's
}

// Compile appends the steps that build the tree and make it the root. Their order is the security argument:
//
//  1. mount the root; take what the host gives (bind sources, device files, /dev/null) and make new file systems, all of them detached
//     mounts held by descriptor, which nobody else sees;
//  2. change the root (pivot_root), and let go of the host's tree at once: it is stacked on the new root, and a link with enough ".." in
//     it would climb into it;
//  3. from here on every path is resolved inside the container, and never through a magic link: whatever links the image
//     holds, they cannot lead out. Make mount points, put the mounts there, make devices and terminal;
//  4. cover and protect what must not be seen or written. What is the kernel's is found by the descriptors of the mounts that 3 made.
//
// With hooks that must see the root before it is changed, the change comes after 3 (Late). Until then the host's tree is not stacked on
// it, and paths are resolved below where the child stands, RESOLVE_IN_ROOT.
//
// In a mount namespace that is not new (Foreign) the root is a detached mount too, and stays one: no path of that namespace leads to it or
// to what is mounted in it, and it goes with the last process that has it as its root. Linux mounts on such a tree since 6.15.
func (t *Tree) Compile(b *program.Builder) error {
	if err := t.check(); err != nil {
		return err
	}
	b.From("")
	b.Call(unix.SYS_UMASK, 0).Why("files made for the container get exactly the modes asked for")
	takes, err := t.Takes()
	if err != nil {
		return err
	}
	held := mounts{}
	t.kernel = map[string]any{}
	peers := slices.ContainsFunc(takes, func(take Take) bool { return take.peer })
	if peers {
		t.gather(b, takes, held)
	}
	if !t.Foreign && !t.passes() {
		b.From("linux.rootfsPropagation")
		b.Call(unix.SYS_MOUNT, nil, "/", nil, unix.MS_REC|unix.MS_SLAVE, nil).Why("what is mounted from here on stays invisible to the host")
	}
	if err := t.stacks(b, held); err != nil {
		return err
	}
	t.mountRoot(b)
	if !peers {
		t.gather(b, takes, held)
	}
	masks := t.masks(b)
	if t.Late == nil {
		t.becomeRoot(b)
	}
	if err := t.fill(b, held); err != nil {
		return err
	}
	if t.Late != nil {
		t.Late()
		t.becomeRoot(b)
	}
	if !t.Still {
		t.guard(b, masks)
	}
	return nil
}

// fill compiles what is in the tree beside the image's files.
func (t *Tree) fill(b *program.Builder, held mounts) error {
	for i := range t.Spec.Mounts {
		if err := t.mount(b, i, held); err != nil {
			return err
		}
	}
	if t.Still {
		return nil
	}
	t.devices(b, held)
	t.links(b)
	if t.Spec.Process != nil && t.Spec.Process.Terminal {
		t.terminal(b)
	}
	return nil
}

// guard compiles what the container must not see or write.
func (t *Tree) guard(b *program.Builder, masks []mask) {
	t.sysctls(b)
	if t.Spec.Process != nil {
		t.workingDir(b)
	}
	if t.Spec.Linux != nil {
		for _, p := range t.Spec.Linux.ReadonlyPaths {
			t.protect(b, p)
		}
	}
	t.hide(b, masks)
	t.finish(b)
	b.From("")
	for _, at := range slices.Sorted(maps.Keys(t.kernel)) {
		if s, ok := t.kernel[at].(program.Slot); ok {
			b.Close(s)
		}
	}
}

// absolute makes a path of config.json absolute: it may be relative to the bundle.
func (t *Tree) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(t.Dir, path)
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
