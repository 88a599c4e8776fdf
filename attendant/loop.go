package attendant

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// loop takes what comes to a socket, until it is stopped.
type loop struct {
	run      func() // returns when the socket's deadline is over
	deadline func(time.Time) error
	stopping chan struct{}
	done     chan struct{}
}

func (l *loop) start() {
	l.stopping, l.done = make(chan struct{}), make(chan struct{})
	l.deadline(time.Time{})
	go func() {
		defer close(l.done)
		l.run()
	}()
}

// stop loses nothing: what the loop has not taken stays in the kernel's queue.
func (l *loop) stop() {
	close(l.stopping)
	l.deadline(time.Unix(1, 0))
	<-l.done
}

// socket is a copy of a descriptor that was handed over, for package net to work with. The descriptor itself stays, for a renewal.
func socket(fd int) (*os.File, error) {
	unix.CloseOnExec(fd)
	c, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(c), "socket"), nil
}

// listener takes over a descriptor that listens for TCP connections.
func listener(fd int) (*net.TCPListener, error) {
	f, err := socket(fd)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("descriptor %d is no TCP socket", fd)
	}
	return t, nil
}

// datagrams takes over a descriptor that is bound for UDP.
func datagrams(fd int) (*net.UDPConn, error) {
	f, err := socket(fd)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("descriptor %d is no UDP socket", fd)
	}
	return u, nil
}

// over says whether an error of a socket ends its loop. Others pass, such as that of too many open files.
func over(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return true
	}
	time.Sleep(5 * time.Millisecond)
	return false
}

// accept is the loop of a listening socket: client is called for each connection, as long as there are places.
func accept(socket *net.TCPListener, p places, client func(*net.TCPConn)) *loop {
	l := &loop{deadline: socket.SetDeadline}
	l.run = func() {
		for p.take(l.stopping) {
			c, err := socket.AcceptTCP()
			if err == nil {
				go func() {
					defer p.leave()
					defer c.Close()
					client(c)
				}()
				continue
			}
			p.leave()
			if over(err) {
				return
			}
		}
	}
	return l
}
