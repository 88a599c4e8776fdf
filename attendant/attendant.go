// Package attendant is the process that stays with a container's network, where it needs one: it answers the names of
// user-defined networks at 127.0.0.11, and holds the sockets of published ports, forwarding what the kernel cannot (::1, and
// IPv6 to a container that has only IPv4).
//
// The engine makes the sockets, those of the resolver inside the container's network namespace, and Spawn hands them over. The
// attendant itself is in the host's network namespace, so what it asks of others goes out as the host's. It holds DIR/attendant.lock as long
// as it lives, and ends when the container has ended for good.
package attendant

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"glassbox/sealed"

	"golang.org/x/sys/unix"
)

// attendant is one running attendant.
type attendant struct {
	dir    string
	config Config
	life   life
}

// The descriptors that Spawn hands over.
const (
	readyFD  = 3 // a pipe, for the word that says how the start went
	socketFD = 4 // the first socket
)

// Run is `glassrun attend DIR`.
func Run(args []string) error {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("attend needs one argument, the container's state directory")
	}
	a := &attendant{dir: args[0]}
	if err := a.settleIn(); err != nil {
		return err
	}
	err := a.begin()
	if e := tell(err); err == nil {
		err = e // whoever started us is gone
	}
	if err != nil {
		return err
	}
	a.life.wait(a.path(configName))
	return nil
}

// settleIn makes this process fit to stay for long, whoever started it.
func (a *attendant) settleIn() error {
	unix.Umask(0o022)
	os.Unsetenv("GOMAXPROCS") // see sealed.OneProcessor
	if err := unix.Chdir("/"); err != nil {
		return os.NewSyscallError("chdir", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(readyFD, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		return errors.New("descriptor 3 is not a pipe: an attendant is started by glassbox, not by hand")
	}
	unix.CloseOnExec(readyFD)
	return nil
}

// begin takes the lock and the sockets. When it comes back everything is served.
func (a *attendant) begin() error {
	if err := takeLock(a.path(lockName)); err != nil {
		return err
	}
	var err error
	if a.config, err = readConfig(a.path(configName)); err != nil {
		return err
	}
	n := len(a.config.Ports)
	if a.config.Names != nil {
		n += 2
	}
	if err := sealed.CloseInherited(socketFD + n - 1); err != nil {
		return err
	}
	if a.life, err = watch(a.config); err != nil {
		return err
	}
	return a.serve()
}

// serve starts to serve the sockets, in the order in which they were handed over.
func (a *attendant) serve() error {
	fd := socketFD
	places := newPlaces()
	for _, p := range a.config.Ports {
		if err := p.serve(fd, places); err != nil {
			return fmt.Errorf("serving port %v/%s: %w", p.Listen, p.Proto, err)
		}
		fd++
	}
	if a.config.Names == nil {
		return nil
	}
	r := newResolver(a.path(configName), *a.config.Names)
	if err := r.serve(fd, fd+1); err != nil {
		return fmt.Errorf("serving names: %w", err)
	}
	return nil
}

func (a *attendant) path(name string) string { return filepath.Join(a.dir, name) }

// tell says to Spawn how the start went.
func tell(err error) error {
	word := ready
	if err != nil {
		word = err.Error()
	}
	_, e := unix.Write(readyFD, []byte(word))
	unix.Close(readyFD)
	return os.NewSyscallError("write", e)
}

// listener takes over a descriptor that listens for TCP connections.
func listener(fd int) (*net.TCPListener, error) {
	f := os.NewFile(uintptr(fd), "listening socket")
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
	f := os.NewFile(uintptr(fd), "bound socket")
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
