package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"glassbox/namespaces"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// Settle sees to a store in which containers can write, where there is none yet: overlayfs takes no overlay for the writable half of another,
// and inside a container every file is in one. There the store begins as a tmpfs, which goes with the container around us. Where that
// cannot be had, all is left as it is, and the making of a container says why it fails.
func (e *Engine) Settle() {
	data := e.Containers.root.Data
	if !onOverlay(data) {
		return
	}
	if err := inMemory(data); err == nil {
		e.Containers.warn(data + " would lie on an overlay, on which no further one can be laid: images and containers are kept in memory, until the " +
			"container around this one ends (-v NAME:" + data + " there keeps them)")
	}
}

// onOverlay says whether what is or will be at path lies on an overlay.
func onOverlay(path string) bool {
	for {
		var st unix.Statfs_t
		switch err := unix.Statfs(path, &st); {
		case err == nil:
			return st.Type == unix.OVERLAYFS_SUPER_MAGIC
		case err != unix.ENOENT || path == "/":
			return false
		}
		path = filepath.Dir(path)
	}
}

// inMemory mounts a tmpfs on a directory that nobody has anything in.
func inMemory(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	lock, err := store.Exclusive(context.Background(), dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	empty, err := emptyAt(dir)
	switch {
	case err != nil:
		return err
	case !empty:
		return fs.ErrExist
	case !onOverlay(dir):
		return fs.ErrExist // somebody was quicker
	}
	if err := unix.Mount("glassbox", dir, "tmpfs", 0, "mode=711"); err != nil {
		return err
	}
	if err := marks(dir); err != nil {
		return errors.Join(err, unix.Unmount(dir, 0))
	}
	return nil
}

// marks tries what overlay writes there: in a user namespace user.* attributes, which tmpfs has since Linux 6.6.
func marks(dir string) error {
	name := "trusted.overlay.glassbox"
	if namespaces.Nested() {
		name = "user.overlay.glassbox"
	}
	return errors.Join(unix.Setxattr(dir, name, nil, 0), unix.Removexattr(dir, name))
}

// refuseGround says, before a container is made, that none could write there.
func (c *Containers) refuseGround() error {
	data := c.root.Data
	if !onOverlay(data) {
		return nil
	}
	return &Error{
		Text: data + " lies on an overlay, and overlayfs takes no overlay for the writable half of another",
		Hint: &Hint{
			Why:   "glassbox runs inside a container here, whose files are an overlay",
			Check: "stat -f " + data,
			Fix:   "in the container around this one, -v NAME:" + data + "; or here, mount -t tmpfs tmpfs " + data,
		},
	}
}
