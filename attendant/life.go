package attendant

import (
	"os"
	"time"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// life is what the attendant's own life depends on.
type life struct {
	pid   int
	pidfd int    // -1: it has ended
	alive string // the monitor's lock
}

// watch is called while the engine, which waits for us, knows that the process lives: the pid is nobody else's.
func watch(c Config) (life, error) {
	l := life{pid: c.Pid, pidfd: -1, alive: c.Alive}
	if c.Pid <= 0 {
		return l, nil
	}
	fd, err := unix.PidfdOpen(c.Pid, unix.PIDFD_NONBLOCK)
	if err == unix.ESRCH {
		return l, nil
	}
	l.pidfd = fd
	return l, os.NewSyscallError("pidfd_open", err)
}

// While the container's process is gone and its monitor alive, the attendant looks again: soon, as most monitors end then, and
// later now and then.
const (
	lookFirst  = 20 * time.Millisecond
	lookLatest = 2 * time.Second
)

// wait returns when the container has ended for good.
func (l life) wait(config string) {
	for {
		l.awaitProcess()
		pause := lookFirst
		for l.pidfd < 0 {
			held, err := store.Held(l.alive)
			if l.alive == "" || err == nil && !held {
				return
			}
			time.Sleep(pause)
			pause = min(2*pause, lookLatest)
			l.renew(config)
		}
	}
}

// awaitProcess sleeps in Go's poller, which costs no thread.
func (l *life) awaitProcess() {
	if l.pidfd < 0 {
		return
	}
	f := os.NewFile(uintptr(l.pidfd), "pidfd")
	defer f.Close()
	fd := l.pidfd
	l.pidfd = -1
	if c, err := f.SyscallConn(); err == nil {
		if c.Read(func(uintptr) bool { return gone(fd, 0) }) == nil {
			return
		}
	}
	gone(fd, -1)
}

// renew takes a new process of a container that was started again. A pid that has changed hands since it was written is
// harmless: it would have had to do so while the monitor lives, within the time between two looks.
func (l *life) renew(config string) {
	c, err := readConfig(config)
	if err != nil || c.Pid == l.pid {
		return
	}
	if next, err := watch(c); err == nil {
		*l = next
	}
}

// gone says whether the process of a pidfd has ended, waiting for it; a negative time is for ever.
func gone(pidfd int, wait time.Duration) bool {
	ms := int(wait / time.Millisecond)
	if wait < 0 {
		ms = -1
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, ms)
		if err != unix.EINTR {
			return n > 0
		}
	}
}
