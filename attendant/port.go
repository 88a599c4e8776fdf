package attendant

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Most connections to a published port never get here: the firewall's rules send them to the container. What arrives at the socket comes
// from where those rules do not reach, such as ::1. An SCTP socket is only held, so that nobody else gets the port: forwarding
// SCTP would need its library, and its clients come from other machines.

// serve takes over the descriptor of the port's socket.
func (p Port) serve(fd int, places places, t *tidier) ([]*loop, error) {
	switch p.Proto {
	case "tcp":
		l, err := listener(fd)
		if err != nil {
			return nil, err
		}
		return []*loop{accept(l, places, func(c *net.TCPConn) { t.worked(); p.connect(c); t.worked() })}, nil
	case "udp":
		c, err := datagrams(fd)
		if err != nil {
			return nil, err
		}
		return p.relay(c, places, t)
	case "sctp":
		unix.CloseOnExec(fd)
		return nil, nil
	}
	return nil, fmt.Errorf("unknown protocol %q", p.Proto)
}

// dialTime is how long the container may take to accept a connection.
const dialTime = 30 * time.Second

// connect joins a client with the container. When the container refuses, the client's connection is closed at once.
func (p Port) connect(client *net.TCPConn) {
	c, err := net.DialTimeout("tcp", p.To.String(), dialTime)
	if err != nil {
		return
	}
	defer c.Close()
	container := c.(*net.TCPConn)
	var back sync.WaitGroup
	back.Go(func() { pass(client, container) })
	pass(container, client)
	back.Wait()
}

// pass copies until from ends, by splice(2), and passes the end on: the other direction may go on.
func pass(to, from *net.TCPConn) {
	io.Copy(to, from)
	from.CloseRead()
	to.CloseWrite()
}
