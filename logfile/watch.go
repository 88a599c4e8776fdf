package logfile

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Watch waits for files to change, by inotify(7). A user has a limited number of those: without one it is as if something changed now
// and then.
type Watch struct{ fd int }

// NewWatch watches what is directly in the directories.
func NewWatch(dirs ...string) *Watch {
	const changes = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_DELETE_SELF
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return &Watch{-1}
	}
	for _, dir := range dirs {
		if _, err := unix.InotifyAddWatch(fd, dir, changes); err != nil {
			unix.Close(fd)
			return &Watch{-1}
		}
	}
	return &Watch{fd}
}

// Close ends it.
func (w *Watch) Close() { unix.Close(w.fd) }

// Wait returns after a change, or when patience has passed. ctx is looked at ten times a second: a poll(2) cannot be called off.
func (w *Watch) Wait(ctx context.Context, patience time.Duration) error {
	const slice = 100 * time.Millisecond
	for ; patience > 0 && ctx.Err() == nil; patience -= slice {
		n, err := unix.Poll(w.polls(), int(min(slice, patience)/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
		if n > 0 || w.fd < 0 {
			w.forget()
			break
		}
	}
	return ctx.Err()
}

func (w *Watch) polls() []unix.PollFd {
	if w.fd < 0 {
		return nil
	}
	return []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
}

// forget takes the events that have come: what they say is looked at anyway.
func (w *Watch) forget() {
	var events [4096]byte
	for w.fd >= 0 {
		if n, _ := unix.Read(w.fd, events[:]); n < len(events)/2 {
			return
		}
	}
}
