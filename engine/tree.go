package engine

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"glassbox/archive"

	"golang.org/x/sys/unix"
)

// tree is a container's file tree as overlayfs would show it, read without mounting anything: its layers, topmost first.
// Symbolic links are followed inside the tree, never out of it.
type tree []string

// lookup is one name found in a tree.
type lookup struct {
	path string // where the file is on the host
	info fs.FileInfo
	dirs []string // the directory in each layer that contributes to it, topmost first; nil for other files
}

const maxLinks = 40 // as path_resolution(7)

// find resolves a path. The error is fs.ErrNotExist where the container would see ENOENT.
func (t tree) find(name string) (lookup, error) {
	root := lookup{dirs: t, path: t[0]}
	info, err := os.Lstat(t[0])
	if err != nil {
		return root, err
	}
	root.info = info
	at := []lookup{root}
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			at = at[:max(1, len(at)-1)]
			continue
		}
		next, err := at[len(at)-1].child(part)
		if err != nil {
			return next, err
		}
		if next.info.Mode()&fs.ModeSymlink == 0 {
			at = append(at, next)
			continue
		}
		if links++; links > maxLinks {
			return next, &os.PathError{Op: "open", Path: name, Err: unix.ELOOP}
		}
		target, err := os.Readlink(next.path)
		if err != nil {
			return next, err
		}
		if path.IsAbs(target) {
			at = at[:1]
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at[len(at)-1], nil
}

// child looks a name up in a merged directory: the topmost layer that has it decides; directories below are merged
// until one is opaque. Documentation/filesystems/overlayfs.rst, "Upper and Lower", "whiteouts and opaque directories".
func (l lookup) child(name string) (lookup, error) {
	found := lookup{}
	if l.dirs == nil {
		return found, &os.PathError{Op: "open", Path: name, Err: unix.ENOTDIR}
	}
	for _, dir := range l.dirs {
		p := dir + "/" + name
		info, err := os.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return found, err
		}
		if isWhiteout(info) || found.info != nil && !info.IsDir() {
			break
		}
		if found.info == nil {
			found.path, found.info = p, info
		}
		if !info.IsDir() {
			return found, nil
		}
		found.dirs = append(found.dirs, p)
		if isOpaque(p) {
			break
		}
	}
	if found.info == nil {
		return found, &os.PathError{Op: "open", Path: name, Err: unix.ENOENT}
	}
	return found, nil
}

func isWhiteout(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

func isOpaque(dir string) bool {
	var mark [1]byte
	for _, name := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		if n, err := unix.Lgetxattr(dir, name, mark[:]); err == nil && n == 1 && mark[0] == 'y' {
			return true
		}
	}
	return false
}

// open opens a regular file of the tree for reading.
func (t tree) open(name string) (*os.File, error) {
	l, err := t.find(name)
	if err != nil {
		return nil, err
	}
	if !l.info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: name, Err: unix.EINVAL}
	}
	return os.OpenFile(l.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// live is the tree that a running process sees, with everything that is mounted in it.
type live struct{ pid int }

func (l live) open(name string) (*os.File, error) {
	root, err := unix.Open("/proc/"+strconv.Itoa(l.pid)+"/root", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	return openIn(root, name)
}

// openIn opens a regular file of a tree in which anybody may make devices, that do things as soon as they are opened.
func openIn(root int, name string) (*os.File, error) {
	fd, err := archive.Resolve(root, name, unix.O_PATH, unix.RESOLVE_IN_ROOT)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	held := os.NewFile(uintptr(fd), name)
	defer held.Close()
	info, err := held.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &os.PathError{Op: "open", Path: name, Err: unix.EINVAL}
	}
	if err != nil {
		return nil, err
	}
	return os.Open("/proc/self/fd/" + strconv.Itoa(fd))
}

// files opens what a container sees.
type files interface {
	open(name string) (*os.File, error)
}
