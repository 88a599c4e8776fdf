package archive

import (
	"os"

	"golang.org/x/sys/unix"
)

// List reads a directory's names, also through a descriptor of O_PATH.
func List(fd int) ([]string, error) {
	again, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(again), ".")
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// Readlink reads the link that lies in a directory, or with an empty name the one that the descriptor itself stands for.
func Readlink(dir int, name string) (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, b)
	return string(b[:max(n, 0)]), err
}

func named(op, file string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: file, Err: err}
}
