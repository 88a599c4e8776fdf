package attendant

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Most connections to a published port never get here: the firewall's rules send them to the container. What arrives at the socket comes
// from where those rules do not reach, such as ::1. An SCTP socket is only held, so that nobody else gets the port: forwarding
// SCTP would need its library, and its clients come from other machines.

// serve takes over the descriptor of the port's socket.
func (p Port) serve(fd int, places places) error {
	switch p.Proto {
	case "tcp":
		l, err := listener(fd)
		if err != nil {
			return err
		}
		go p.accept(l, places)
	case "udp":
		c, err := datagrams(fd)
		if err != nil {
			return err
		}
		return p.relay(c, places)
	case "sctp":
	default:
		return fmt.Errorf("unknown protocol %q", p.Proto)
	}
	return nil
}

func (p Port) accept(l *net.TCPListener, places places) {
	for {
		places.take()
		c, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many descriptors, most likely
			places.leave()
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go func() {
			defer places.leave()
			p.connect(c)
		}()
	}
}

// dialTime is how long the container may take to accept a connection.
const dialTime = 30 * time.Second

// connect joins a client with the container. When the container refuses, the client's connection is closed at once.
func (p Port) connect(client *net.TCPConn) {
	defer client.Close()
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
