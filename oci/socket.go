package oci

import (
	"fmt"
	"os"

	"glassbox/store"

	"golang.org/x/sys/unix"
)

// listen makes the socket at which a created container waits.
func (c *Container) listen() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	path := c.path(fileSocket)
	err = store.AtAddress(path, func(a *unix.SockaddrUnix) error { return unix.Bind(fd, a) })
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		unix.Close(fd)
		return nil, &os.PathError{Op: "listen", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// hand connects to a socket of the engine's and passes it a descriptor with SCM_RIGHTS, unix(7). The message itself says what it is.
func hand(path string, f *os.File, name string) error {
	fd, err := store.Connect(path, patience)
	if err != nil {
		return fmt.Errorf("handing over the %s: %w", f.Name(), err)
	}
	defer unix.Close(fd)
	if err := store.Pass(fd, []byte(name), int(f.Fd())); err != nil {
		return fmt.Errorf("handing over the %s: %w", f.Name(), &os.PathError{Op: "sendmsg", Path: path, Err: err})
	}
	return nil
}
