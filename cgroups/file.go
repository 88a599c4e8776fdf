package cgroups

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// writeFile is openat, write, close: one write per value, since each write(2) to a cgroup file is one command. The
// files are never created or truncated.
func writeFile(path, data string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("writing %q to %s: open: %w", data, path, err)
	}
	defer unix.Close(fd)
	for {
		_, err = unix.Write(fd, []byte(data))
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("writing %q to %s: %w", data, path, err)
	}
	return nil
}

// writeCall is the write of such a file with its path in the descriptor's place: what is left of
// openat, write and close when descriptor numbers do not count.
func writeCall(path, data string) string {
	return fmt.Sprintf("write(%s, %s, %d)", strconv.Quote(path), strconv.Quote(data), len(data))
}

func mkdirCall(path string) string {
	return fmt.Sprintf("mkdirat(AT_FDCWD, %s, 0755)", strconv.Quote(path))
}
