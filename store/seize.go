package store

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Seize makes the file if need be and takes its lock for the rest of this process's life. It asks again for as long as patience lasts: whoever
// had the lock may be at the last breath, and Held has it while it looks. The descriptor is for raw calls: an os.File would cost a process
// that stays with a container Go's machinery for it.
func Seize(path string, patience time.Duration) (fd int, err error) {
	fd, err = unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return fd, nil
		}
		if err != unix.EINTR && (err != unix.EWOULDBLOCK || time.Now().After(deadline)) {
			unix.Close(fd)
			return -1, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}
