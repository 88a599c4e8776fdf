package monitor

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// children is told of dead children by SIGCHLD, through an eventfd: of those that were reparented to us, the
// subreaper, because their own parent died first. The ones that the runtime started are also seen by their pidfd.
type children struct {
	m  *monitor
	fd int
}

func watchChildren(m *monitor) (*children, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	dead := make(chan os.Signal, 1)
	signal.Notify(dead, unix.SIGCHLD)
	catchEnding()
	go func() {
		one := []byte{1, 0, 0, 0, 0, 0, 0, 0}
		for range dead {
			unix.Write(fd, one)
		}
	}()
	return &children{m: m, fd: fd}, nil
}

func (c *children) interest() (int, int16) { return c.fd, unix.POLLIN }

func (c *children) ready(int16) {
	var count [8]byte
	unix.Read(c.fd, count[:])
	c.m.reapAll()
}

// catchEnding: these signals are sent to everything at a shutdown or logout, and it is for the container, not for its monitor,
// to end then. They are caught, not ignored: an ignored signal would be inherited.
func catchEnding() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
}
