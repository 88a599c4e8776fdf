package stepper

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"glassbox/linux"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// lines reads a terminal line by line, and not a byte beyond a line's end: what follows is the container's. It can be woken.
type lines struct {
	in      int // -1: there is no terminal
	wake    int // an eventfd
	signals chan os.Signal
	mu      sync.Mutex
	by      string // the first signal that came
}

func newLines(in *os.File) (*lines, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &lines{in: -1, wake: wake, signals: make(chan os.Signal, 1)}
	if in != nil {
		l.in = int(in.Fd())
	}
	signal.Notify(l.signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	go func() {
		for sig := range l.signals {
			l.note(linux.Signal(int(sig.(syscall.Signal))))
		}
	}()
	return l, nil
}

// note keeps a signal. It wakes under the lock, so that close cannot give the descriptor away meanwhile.
func (l *lines) note(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == "" {
		l.by = name
	}
	l.rouse()
}

func (l *lines) rouse() {
	if l.wake >= 0 {
		unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) //nolint:errcheck // an eventfd takes it
	}
}

// caught is the signal that has come; empty: none.
func (l *lines) caught() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by
}

// release lets signals be as they were: they are the container's, or end the program.
func (l *lines) release() { signal.Stop(l.signals) }

func (l *lines) close() {
	l.release()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake >= 0 {
		close(l.signals)
		unix.Close(l.wake)
		l.wake = -1
	}
}

// read waits for a line. It gives up when ctx ends or pidfd, if there is one, becomes readable (program.ErrEnded), and when a signal comes
// (*program.Quit).
func (l *lines) read(ctx context.Context, pidfd *os.File) (string, error) {
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.rouse()
	})()
	polls := []unix.PollFd{{Fd: int32(l.in), Events: unix.POLLIN}, {Fd: int32(l.wake), Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN}}
	if pidfd != nil {
		polls[2].Fd = int32(pidfd.Fd())
	}
	var line []byte
	for {
		if _, err := unix.Poll(polls, -1); err != nil && err != unix.EINTR {
			return "", os.NewSyscallError("poll", err)
		}
		switch {
		case polls[1].Revents != 0:
			var count [8]byte
			unix.Read(l.wake, count[:]) //nolint:errcheck // it is readable
			if by := l.caught(); by != "" {
				return "", &program.Quit{By: by}
			}
			if ctx.Err() != nil {
				return "", program.ErrEnded
			}
		case polls[2].Revents != 0:
			return "", program.ErrEnded
		case polls[0].Revents != 0:
			end, err := l.take(&line)
			if end || err != nil {
				return string(line), err
			}
		}
	}
}

// take reads one byte.
func (l *lines) take(line *[]byte) (end bool, err error) {
	var b [1]byte
	n, err := unix.Read(l.in, b[:])
	switch {
	case err == unix.EINTR || err == unix.EAGAIN:
		return false, nil
	case err == unix.EIO || err == nil && n == 0: // the terminal is gone, or Ctrl-D was typed
		return true, io.EOF
	case err != nil:
		return true, os.NewSyscallError("read", err)
	case b[0] == '\n':
		return true, nil
	}
	*line = append(*line, b[0])
	return false, nil
}
