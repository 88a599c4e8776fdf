package rootfs

import (
	"os"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Open shows the layers to the host alone, read-only, what the container wrote on top: an overlay that is mounted nowhere and
// goes with the descriptor. Not for a container that runs: what two overlays on one upper directory do is undefined. mount(2)
// takes sixteen times the text that fsconfig(2) does, so it is mounted in a mount namespace that lives only here, on the
// directory at, and taken from there.
func (l *Layers) Open(at string) (tree *os.File, err error) {
	stack := Layers{Lower: l.Lower, Mount: at, UserXattr: l.UserXattr}
	if l.Upper != "" {
		stack.Lower = append([]string{l.Upper}, l.Lower...)
	}
	return stack.apart(unix.MS_RDONLY)
}

// OpenForWriting shows the layers to the host alone, with Upper to write in. Nothing is synced when it goes with its descriptor, and Work,
// which is empty and on Upper's file system, cannot be used again.
func (l *Layers) OpenForWriting(at string) (*os.File, error) {
	stack := *l
	stack.Mount, stack.Once = at, true
	return stack.apart(0)
}

func (l *Layers) apart(flags uintptr) (tree *os.File, err error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	answer := make(chan error)
	program.Apart(func() {
		var err error
		tree, err = l.detached(flags)
		answer <- err
	})
	return tree, <-answer
}

// detached is called on a thread that ends with it.
func (l *Layers) detached(flags uintptr) (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return nil, os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return nil, os.NewSyscallError("mount", err)
	}
	data := l.data(l.Lower)
	if len(data) >= pageLimit {
		if err := unix.Chdir(common(l.Lower)); err != nil {
			return nil, &os.PathError{Op: "chdir", Path: common(l.Lower), Err: err}
		}
		data = l.data(l.short())
	}
	if err := unix.Mount("overlay", l.Mount, "overlay", flags, data); err != nil {
		return nil, &os.PathError{Op: "mounting an overlay on", Path: l.Mount, Err: err}
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, l.Mount, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, &os.PathError{Op: "open_tree", Path: l.Mount, Err: err}
	}
	return os.NewFile(uintptr(fd), l.Mount), nil
}
