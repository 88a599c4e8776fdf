package cgroups

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Populated says whether a process lives in the group or below.
func (g Group) Populated() bool {
	populated, err := g.says("populated 1")
	return err == nil && populated
}

// Watch tells that something happened in a group: its last process ended, all were frozen, or one was killed for want of memory.
type Watch struct {
	files []unix.PollFd
}

// Watch begins. Where the memory controller is not ours, nobody is killed for want of the group's memory.
func (g Group) Watch() (*Watch, error) {
	w := &Watch{}
	for _, name := range []string{"cgroup.events", "memory.events"} {
		path := filepath.Join(g.Path, name)
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if name == "memory.events" && errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			w.Close()
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
		w.files = append(w.files, unix.PollFd{Fd: int32(fd), Events: unix.POLLPRI})
	}
	return w, w.clear()
}

// clear makes the kernel tell of what happens from now on: it announces a change as POLLPRI until the file is read again (cgroup-v2.rst).
func (w *Watch) clear() error {
	var buf [1]byte
	for _, f := range w.files {
		if _, err := unix.Pread(int(f.Fd), buf[:], 0); err != nil && err != unix.ENODEV {
			return os.NewSyscallError("pread", err)
		}
	}
	return nil
}

// Wait returns when something has happened since the last Wait, or when patience is at an end.
func (w *Watch) Wait(patience time.Duration) error {
	_, err := unix.Poll(w.files, int(max(0, patience)/time.Millisecond)+1)
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("poll", err)
	}
	return w.clear()
}

// Close ends the watch.
func (w *Watch) Close() {
	for _, f := range w.files {
		unix.Close(int(f.Fd))
	}
}
