package attendant

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// takeLock waits a little: the last attendant may be at its last breath, and store.Held holds the lock while it looks. The lock is never
// given back: it ends with the process.
func takeLock(path string) (fd int, err error) {
	fd, err = unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(time.Millisecond) {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if err != unix.EINTR && (err != unix.EWOULDBLOCK || time.Now().After(deadline)) {
			return -1, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
	unix.Ftruncate(fd, 0)
	if _, err := unix.Pwrite(fd, strconv.AppendInt(nil, int64(os.Getpid()), 10), 0); err != nil {
		return -1, &os.PathError{Op: "write", Path: path, Err: err}
	}
	return fd, nil
}

// holder opens a pidfd of the attendant of dir, -1 when the lock names none that lives: it may have been written by an earlier one,
// whose pid may be anybody's now.
func holder(dir string) (pidfd int, err error) {
	data, err := os.ReadFile(dir + "/" + lockName)
	if err != nil {
		return -1, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 0 {
		return -1, nil // not yet written
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return -1, nil
	}
	if err != nil {
		return -1, os.NewSyscallError("pidfd_open", err)
	}
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if string(line) != strings.Join(commandLine(dir), "\x00")+"\x00" {
		unix.Close(fd)
		return -1, nil
	}
	return fd, nil
}
