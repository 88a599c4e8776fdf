package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// scaffold is what every container has, Docker's "init layer": where things of the runtime get mounted, and the mark by which programs
// tell that they are in a container. A start finds its mount points there and writes nothing for them, so that neither diff
// nor commit shows any. It lies below the image's layers, so that what the image has of it shows as the image has it.
var scaffold = []struct {
	name string
	kind fs.FileMode // directory, symbolic link or file
	link string
}{
	{".dockerenv", 0, ""},
	{"dev", fs.ModeDir, ""}, {"dev/console", 0, ""}, {"dev/pts", fs.ModeDir, ""}, {"dev/shm", fs.ModeDir, ""},
	{"etc", fs.ModeDir, ""}, {"etc/hostname", 0, ""}, {"etc/hosts", 0, ""}, {"etc/mtab", fs.ModeSymlink, "/proc/mounts"}, {"etc/resolv.conf", 0, ""},
	{"proc", fs.ModeDir, ""}, {"sys", fs.ModeDir, ""},
}

// initLayer is that layer's directory, the same for all containers. It appears complete or not at all.
func (c *Containers) initLayer() (string, error) {
	dir := c.root.InitLayer()
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	draft, err := os.MkdirTemp(filepath.Dir(dir), "init-")
	if err != nil {
		return "", err
	}
	if err = erect(draft); err == nil {
		err = os.Rename(draft, dir)
	}
	if err == nil {
		return dir, nil
	}
	gone := os.RemoveAll(draft)
	if _, known := os.Lstat(dir); known == nil {
		return dir, gone // somebody was quicker
	}
	return "", errors.Join(err, gone)
}

// erect makes it, with modes that no umask takes away.
func erect(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for _, s := range scaffold {
		file := filepath.Join(dir, s.name)
		var err error
		switch s.kind {
		case fs.ModeDir:
			err = os.Mkdir(file, 0o755)
		case fs.ModeSymlink:
			err = os.Symlink(s.link, file)
		default:
			err = os.WriteFile(file, nil, 0o755)
		}
		if err == nil && s.kind != fs.ModeSymlink {
			err = os.Chmod(file, 0o755)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
