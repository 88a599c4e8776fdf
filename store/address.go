package store

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// AtAddress calls f with the address of a socket at path. A path that is too long for an address of unix(7), which holds 108 bytes, goes
// through a descriptor of the directory.
func AtAddress(path string, f func(*unix.SockaddrUnix) error) error {
	if len(path) < len(unix.RawSockaddrUnix{}.Path) {
		return f(&unix.SockaddrUnix{Name: path})
	}
	dir := filepath.Dir(path)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return f(&unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(fd) + "/" + filepath.Base(path)})
}

// Connect connects to a stream socket. One whose queue is full, since nobody reads it, is given up after patience; so is a later
// message to it.
func Connect(path string, patience time.Duration) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	wait := unix.NsecToTimeval(int64(patience))
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err == nil { // of connect, too: socket(7)
		err = AtAddress(path, func(a *unix.SockaddrUnix) error { return again(func() error { return unix.Connect(fd, a) }) })
	}
	if err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "connect", Path: path, Err: err}
	}
	return fd, nil
}

// Pass sends a message with a descriptor, SCM_RIGHTS of unix(7).
func Pass(socket int, text []byte, fd int) error {
	return again(func() error { return unix.Sendmsg(socket, text, unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL) })
}

// again: the Go runtime's signals interrupt calls that have a time limit, signal(7).
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
