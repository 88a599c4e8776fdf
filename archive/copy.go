package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Copy copies what directory from holds into directory to, and gives it the owner, mode, extended attributes and times of from.
// Owners, modes, times, hard links, holes, extended attributes (security.capability and ACLs among them), devices and links
// come out as they are. Names that to has already are left alone. It works by descriptors only: nobody who renames or links
// while it runs can lead it elsewhere. made are the names in to that it has made, also after an error.
func Copy(to, from *os.File) (made []string, err error) {
	c := copier{root: int(to.Fd()), links: map[inode]string{}}
	err = c.directory(int(to.Fd()), int(from.Fd()), ".")
	return c.made, err
}

type copier struct {
	root  int
	links map[inode]string // files of several names that were copied, by their first name below root
	made  []string
	plain bool // without overlayfs's own marks
}

// directory copies the entries of one directory, then what belongs to the directory itself: its times last.
func (c *copier) directory(to, from int, at string) error {
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return failed("reading", at, err)
	}
	names, err := List(from)
	if err != nil {
		return failed("reading", at, err)
	}
	for _, name := range names {
		if err := c.entry(to, from, name, path.Join(at, name)); err != nil {
			return err
		}
	}
	return c.attributes(to, from, &st, at)
}

func (c *copier) entry(to, from int, name, at string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(from, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return failed("reading", at, err)
	}
	id := inode{unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino}
	first, linked := c.links[id]
	var err error
	if linked {
		err = c.making(at, unix.Linkat(c.root, first, to, name, 0))
	} else {
		err = c.node(to, from, name, at, &st)
	}
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err == nil && st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		c.links[id] = at
	}
	return err
}

// making notes what was made at the top.
func (c *copier) making(at string, err error) error {
	if err != nil {
		return failed("making", at, err)
	}
	if !strings.Contains(at, "/") {
		c.made = append(c.made, at)
	}
	return nil
}

// node makes one file of whatever kind.
func (c *copier) node(to, from int, name, at string, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return c.regular(to, from, name, at, st)
	case unix.S_IFDIR:
		if err := c.making(at, unix.Mkdirat(to, name, 0o700)); err != nil {
			return err
		}
		return c.both(to, from, name, at, unix.O_RDONLY|unix.O_DIRECTORY, func(to, from int) error { return c.directory(to, from, at) })
	case unix.S_IFLNK:
		target, err := Readlink(from, name)
		if err == nil {
			err = unix.Symlinkat(target, to, name)
		}
		if err := c.making(at, err); err != nil {
			return err
		}
	default:
		if err := c.making(at, unix.Mknodat(to, name, st.Mode&unix.S_IFMT|0o600, int(st.Rdev))); err != nil {
			return err
		}
	}
	return c.both(to, from, name, at, unix.O_PATH, func(to, from int) error { return c.attributes(to, from, st, at) })
}

// both opens the same name on both sides, itself and not what a link leads to.
func (c *copier) both(to, from int, name, at string, flags int, do func(to, from int) error) error {
	source, err := unix.Openat(from, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed("opening", at, err)
	}
	defer unix.Close(source)
	target, err := unix.Openat(to, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed("opening the copy of", at, err)
	}
	defer unix.Close(target)
	return do(target, source)
}

func (c *copier) regular(to, from int, name, at string, st *unix.Stat_t) error {
	fd, err := unix.Openat(from, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed("opening", at, err)
	}
	source := os.NewFile(uintptr(fd), at)
	defer source.Close()
	fd, err = unix.Openat(to, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err := c.making(at, err); err != nil {
		return err
	}
	target := os.NewFile(uintptr(fd), at)
	if err := contents(target, source, st.Size); err != nil {
		target.Close()
		return failed("copying", at, err)
	}
	err = c.attributes(fd, int(source.Fd()), st, at)
	if closed := target.Close(); err == nil && closed != nil {
		err = failed("copying", at, closed) // where a network file system tells of a full disk
	}
	return err
}

// contents copies the data and leaves the holes, lseek(2).
func contents(to, from *os.File, size int64) error {
	for at := int64(0); at < size; {
		data, end := at, size
		switch start, err := from.Seek(at, unix.SEEK_DATA); {
		case errors.Is(err, unix.ENXIO):
			return to.Truncate(size) // nothing but a hole from here on
		case err == nil:
			data = start
			if end, err = from.Seek(start, unix.SEEK_HOLE); err != nil {
				return err
			}
		case !errors.Is(err, unix.EINVAL): // a file system that knows no holes
			return err
		}
		if _, err := from.Seek(data, io.SeekStart); err != nil {
			return err
		}
		if _, err := to.Seek(data, io.SeekStart); err != nil {
			return err
		}
		if n, err := io.CopyN(to, from, end-data); err != nil {
			if errors.Is(err, io.EOF) && n >= 0 {
				return nil // it became shorter meanwhile
			}
			return err
		}
		at = end
	}
	return to.Truncate(size)
}

// attributes gives the copy what the original has. Their order matters: chown(2) takes set-id bits and capabilities away, and any
// change but that of the times changes those.
func (c *copier) attributes(to, from int, st *unix.Stat_t, at string) error {
	if err := unix.Fchownat(to, "", int(st.Uid), int(st.Gid), unix.AT_EMPTY_PATH); err != nil {
		return failed("giving an owner to", at, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		// A descriptor of O_PATH can be changed by its name only.
		if err := unix.Chmod(descriptor(to), st.Mode&0o7777); err != nil {
			return failed("giving a mode to", at, err)
		}
	}
	if err := extended(to, from, c.plain); err != nil {
		return failed("copying extended attributes of", at, err)
	}
	if err := unix.UtimesNanoAt(to, "", []unix.Timespec{st.Atim, st.Mtim}, unix.AT_EMPTY_PATH); err != nil {
		return failed("giving times to", at, err)
	}
	return nil
}

// extended copies extended attributes, xattr(7), but those that the file system of the copy does not know.
func extended(to, from int, plain bool) error {
	names, err := attributeNames(from)
	for _, name := range names {
		if plain && overlayOwn(name) {
			continue
		}
		value, ok, err := attribute(from, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !ok {
			continue
		}
		if err := unix.Setxattr(descriptor(to), name, value, 0); err != nil && err != unix.ENOTSUP {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return err
}

func failed(doing, at string, err error) error {
	if at == "." {
		at = "the directory itself"
	}
	return fmt.Errorf("%s %s: %w", doing, at, err)
}
