package attendant

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// life is what the attendant's own life depends on.
type life struct {
	alive string                  // the monitor's lock
	state string                  // where a container that was started again is found
	waits atomic.Pointer[os.File] // a copy of the pidfd, in Go's poller: waiting costs no thread
}

// watch waits for the process whose pidfd is in its place.
func (l *life) watch() error {
	fd, err := unix.FcntlInt(pidFD, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	unix.CloseOnExec(pidFD)
	l.waits.Store(os.NewFile(uintptr(fd), "pidfd"))
	return nil
}

// wake makes awaitProcess come back.
func (l *life) wake() {
	if f := l.waits.Load(); f != nil {
		f.SetReadDeadline(time.Unix(1, 0))
	}
}

// awaitProcess says whether the process has ended; otherwise it was woken.
func (l *life) awaitProcess() (ended bool) {
	f := l.waits.Load()
	if f == nil {
		return true
	}
	f.SetReadDeadline(time.Time{})
	c, err := f.SyscallConn()
	if err == nil {
		err = c.Read(func(fd uintptr) bool { return gone(int(fd), 0) })
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	l.waits.Store(nil)
	f.Close()
	return true
}

// While the container's process is gone and its monitor alive, the attendant looks again: soon, as most monitors end then, and
// later now and then.
const (
	lookFirst  = 20 * time.Millisecond
	lookLatest = 2 * time.Second
)

// over says whether the container has ended for good; otherwise it was started again.
func (l *life) over() bool {
	for pause := lookFirst; l.waits.Load() == nil; pause = min(2*pause, lookLatest) {
		held, err := store.Held(l.alive)
		if l.alive == "" || err == nil && !held {
			return true
		}
		time.Sleep(pause)
		l.adopt()
	}
	return false
}

// adopt takes a new process of a container that was started again. A pid that has changed hands since it was written is
// harmless: it would have had to do so while the monitor lives, within the time between two looks.
func (l *life) adopt() {
	var s struct{ Pid int }
	data, err := os.ReadFile(l.state)
	if err != nil || store.Decode(data, &s) != nil || s.Pid == 0 {
		return
	}
	fd, err := unix.PidfdOpen(s.Pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if !gone(fd, 0) && unix.Dup3(fd, pidFD, unix.O_CLOEXEC) == nil {
		l.watch() //nolint:errcheck // it is looked for again
	}
}

// gone says whether the process of a pidfd has ended, waiting for it.
func gone(pidfd int, wait time.Duration) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(wait/time.Millisecond))
		if err != unix.EINTR {
			return n > 0
		}
	}
}
