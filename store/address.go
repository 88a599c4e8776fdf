package store

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// AtAddress calls f with the address of a socket at path. It goes through a descriptor of the directory, since an address of
// unix(7) holds 108 bytes only.
func AtAddress(path string, f func(*unix.SockaddrUnix) error) error {
	dir := filepath.Dir(path)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return f(&unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(fd) + "/" + filepath.Base(path)})
}
