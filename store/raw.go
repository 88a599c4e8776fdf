package store

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Files that are read or written whole, by raw calls. An os.File would be offered to epoll(7) first, which takes as long as the reading.

// ReadFile reads a file, also one of proc(5), which does not say how long it is.
func ReadFile(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	for all, next := make([]byte, 2048), 0; ; {
		n, err := unix.Read(fd, all[next:])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return all[:next], nil
		default:
			if next += n; next == len(all) {
				all = append(all, make([]byte, len(all))...)
			}
		}
	}
}

// WriteFile makes a file, or replaces what is in it.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, uint32(mode.Perm()))
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := WriteAll(fd, data); err != nil {
		unix.Close(fd)
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return os.NewSyscallError("close", unix.Close(fd))
}

// WriteAll writes b to a descriptor that is for raw calls.
func WriteAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
