package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// deepest is how many directories are held open at once. What lies deeper is moved up first: a container can make a
// tree that is deeper than descriptors or paths reach.
const deepest = 64

// eraser deletes a tree by descriptors, so that no symbolic link leads it elsewhere. Most directories of a container are
// empty, so rmdir(2) comes before looking inside; os.RemoveAll needs three times as many system calls.
type eraser struct {
	top   int // descriptor of the tree's parent
	name  string
	moved int
}

// erase deletes path and everything below it. What does not exist is no error.
func erase(path string) error {
	parent, name := split(path)
	fd, err := unix.Open(parent, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: parent, Err: err}
	}
	defer unix.Close(fd)
	e := &eraser{top: fd, name: name}
	err = e.directory(fd, name, 0)
	for n := 1; err == nil && n <= e.moved; n++ {
		err = e.directory(fd, e.refuge(n), 0)
	}
	if err != nil {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

func split(path string) (parent, name string) {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			return path[:i], path[i+1:]
		}
	}
	return "/", path
}

func (e *eraser) refuge(n int) string { return e.name + ".deep" + strconv.Itoa(n) }

func (e *eraser) directory(parent int, name string, depth int) error {
	switch err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR); err {
	case nil, unix.ENOENT:
		return nil
	case unix.ENOTEMPTY, unix.EEXIST:
	default:
		return err
	}
	if depth == deepest {
		e.moved++
		return unix.Renameat(parent, name, e.top, e.refuge(e.moved))
	}
	// A file system may skip entries when others vanish under its reader: look again.
	for again := 0; ; again++ {
		if err := e.contents(parent, name, depth); err != nil {
			return err
		}
		err := unix.Unlinkat(parent, name, unix.AT_REMOVEDIR)
		if again == 8 || err != unix.ENOTEMPTY && err != unix.EEXIST {
			return err
		}
	}
}

func (e *eraser) contents(parent int, name string, depth int) error {
	fd, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), name)
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(512)
		for _, entry := range entries {
			if err := e.entry(fd, entry, depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (e *eraser) entry(dir int, entry fs.DirEntry, depth int) error {
	if entry.IsDir() {
		return e.directory(dir, entry.Name(), depth+1)
	}
	if err := unix.Unlinkat(dir, entry.Name(), 0); err != nil && err != unix.ENOENT {
		return err
	}
	return nil
}
