package archive

import (
	"os"

	"golang.org/x/sys/unix"
)

// Liken gives a file owner, mode, extended attributes and times of another, but for overlayfs's own marks, which mean something only where they are.
// Neither path is one that others can change.
func Liken(file, like string) error {
	from, err := hold(like)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	to, err := hold(file)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return failed("reading", like, err)
	}
	c := copier{plain: true}
	return c.attributes(to, from, &st, file)
}

func hold(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}
