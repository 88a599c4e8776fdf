package attendant

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// takeLock is never given back: it ends with the process. The file tells who holds it.
func takeLock(path string) (fd int, err error) {
	fd, err = store.Seize(path, 3*time.Second)
	if err != nil {
		return -1, err
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
