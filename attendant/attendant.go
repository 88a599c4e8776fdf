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
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"glassbox/sealed"

	"golang.org/x/sys/unix"
)

// attendant is one running attendant.
type attendant struct {
	dir      string
	lock     int // until the start is told
	config   Config
	life     life
	tidier   tidier
	loops    []*loop
	places   places // of the published ports
	resolver *resolver
}

// An attendant's descriptors have fixed numbers, so that it can execute itself again (renew.go).
const (
	readyFD  = 3 // a pipe, for the word that says how the start went; from then on the lock
	pidFD    = 4 // the pidfd of the container's process
	socketFD = 5 // the first socket
)

// Run is `glassrun attend DIR`.
func Run(args []string) error {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return errors.New("attend needs one argument, the container's state directory")
	}
	a := &attendant{dir: args[0]}
	renewed, err := a.settleIn()
	if err != nil {
		return err
	}
	if err = a.begin(renewed); !renewed {
		err = errors.Join(err, a.tell(err))
	}
	if err != nil {
		return err
	}
	a.stay()
	return nil
}

// settleIn makes this process fit to stay for long, whoever started it.
func (a *attendant) settleIn() (renewed bool, err error) {
	unix.Umask(0o022)
	os.Unsetenv("GOMAXPROCS") // see sealed.OneProcessor
	debug.SetGCPercent(collectAt)
	if err := unix.Chdir("/"); err != nil {
		return false, os.NewSyscallError("chdir", err)
	}
	unix.CloseOnExec(readyFD)
	var given, lock unix.Stat_t
	if err := unix.Fstat(readyFD, &given); err == nil && given.Mode&unix.S_IFMT == unix.S_IFIFO {
		return false, nil
	}
	if unix.Stat(a.path(lockName), &lock) == nil && lock.Dev == given.Dev && lock.Ino == given.Ino {
		return true, nil
	}
	return false, errors.New("descriptor 3 is not a pipe: an attendant is started by glassbox, not by hand")
}

// begin takes the lock and the sockets. When it comes back everything is served.
func (a *attendant) begin(renewed bool) (err error) {
	if !renewed {
		if a.lock, err = takeLock(a.path(lockName)); err != nil {
			return err
		}
	}
	if a.config, err = readConfig(a.path(configName)); err != nil {
		return err
	}
	if err := sealed.CloseInherited(lastFD(a.config)); err != nil {
		return err
	}
	a.life.alive, a.life.state = a.config.Alive, a.config.State
	if err := a.life.watch(); err != nil {
		return err
	}
	return a.serve()
}

// lastFD is that of the last socket.
func lastFD(c Config) int { return socketFD + sockets(c) - 1 }

// sockets is how many an attendant is given.
func sockets(c Config) int {
	n := len(c.Ports)
	if c.Names != nil {
		n += 2
	}
	return n
}

// serve starts to serve the sockets, in the order in which they were handed over.
func (a *attendant) serve() error {
	fd := socketFD
	a.places = newPlaces()
	for _, p := range a.config.Ports {
		l, err := p.serve(fd, a.places, &a.tidier)
		if err != nil {
			return fmt.Errorf("serving port %v/%s: %w", p.Listen, p.Proto, err)
		}
		a.loops = append(a.loops, l...)
		fd++
	}
	if a.config.Names != nil {
		a.resolver = newResolver(a.path(configName), *a.config.Names, &a.tidier)
		l, err := a.resolver.serve(fd, fd+1)
		if err != nil {
			return fmt.Errorf("serving names: %w", err)
		}
		a.loops = append(a.loops, l...)
	}
	a.tidier.renew = a.life.wake
	for _, l := range a.loops {
		l.start()
	}
	return nil
}

func (a *attendant) path(name string) string { return filepath.Join(a.dir, name) }

// tell says to Spawn how the start went. Then the lock takes the pipe's place.
func (a *attendant) tell(err error) error {
	word := ready
	if err != nil {
		word = err.Error()
	}
	_, e := unix.Write(readyFD, []byte(word))
	if err == nil && e == nil { // otherwise whoever started us is gone
		e = unix.Dup3(a.lock, readyFD, unix.O_CLOEXEC)
		unix.Close(a.lock)
	}
	return os.NewSyscallError("telling glassbox", e)
}

// stay returns when the container has ended for good.
func (a *attendant) stay() {
	for {
		if !a.life.awaitProcess() {
			a.renew()
		} else if a.life.over() {
			return
		}
	}
}
