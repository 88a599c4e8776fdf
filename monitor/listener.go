package monitor

import (
	"os"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// listener is DIR/sock.
type listener struct {
	m  *monitor
	fd int
}

func (m *monitor) listen() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	unix.Unlink(m.path("sock"))
	umask := unix.Umask(0o177)
	defer unix.Umask(umask)
	err = store.AtAddress(m.path("sock"), func(a *unix.SockaddrUnix) error { return unix.Bind(fd, a) })
	if err == nil {
		err = unix.Listen(fd, 64)
	}
	if err != nil {
		unix.Close(fd)
		return &os.PathError{Op: "listen", Path: m.path("sock"), Err: err}
	}
	m.listener = &listener{m, fd}
	return nil
}

func (l *listener) interest() (int, int16) { return l.fd, unix.POLLIN }

func (l *listener) ready(int16) {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return
		}
		l.m.peers = append(l.m.peers, &peer{m: l.m, fd: fd})
	}
}

// close takes in those who have connected already: they can still be told the end.
func (l *listener) close() {
	l.ready(0)
	unix.Unlink(l.m.path("sock"))
	unix.Close(l.fd)
	l.fd = -1 // poll(2) may have reported it already
}
