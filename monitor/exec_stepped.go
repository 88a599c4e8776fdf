package monitor

import (
	"os"
	"slices"

	"glassbox/runtime"

	"golang.org/x/sys/unix"
)

// steppedExec is an exec that somebody steps through, which can take them an hour. So it is the one thing that the runtime does beside the
// loop, which goes on copying output and reaping. Until it is done the peer's connection belongs to it, and so do dead children whom nobody
// knows: one may be its own.
type steppedExec struct {
	m    *monitor
	peer *peer
	p    *process
	o    runtime.Options
	fd   int // an eventfd, readable when it is done
	end  int // a pidfd of the container's first process
	c    child
	err  error
}

// execStepped begins an exec whose peer is asked before each call.
func (m *monitor) execStepped(peer *peer, spec *ExecSpec) error {
	p, o, err := m.furnish(spec)
	if err != nil {
		return err
	}
	x := &steppedExec{m: m, peer: peer, p: p, o: o, fd: -1, end: -1}
	c, err := m.runtime()
	if err == nil {
		err = x.open()
	}
	if err != nil {
		_, err = m.take(p, o, nil, err)
		x.close()
		return err
	}
	x.o.Step = asking{peer.fd, x.end}.answer
	m.grown, peer.busy = true, true
	m.stepped = append(m.stepped, x)
	go func() {
		x.c, x.err = c.exec(&spec.Process, x.o)
		unix.Write(x.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) //nolint:errcheck // an eventfd takes it
	}()
	return nil
}

func (x *steppedExec) open() (err error) {
	if x.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	x.end, err = duplicate(x.m.main().pidfd)
	return err
}

func (x *steppedExec) close() {
	for _, fd := range []int{x.fd, x.end} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (x *steppedExec) interest() (int, int16) { return x.fd, unix.POLLIN }

// ready: it is done. Reading the eventfd orders what the goroutine wrote before what is read here.
func (x *steppedExec) ready(int16) {
	var count [8]byte
	unix.Read(x.fd, count[:]) //nolint:errcheck // it is readable
	m := x.m
	m.stepped = slices.DeleteFunc(m.stepped, func(o *steppedExec) bool { return o == x })
	x.peer.busy = false
	x.close()
	c, err := m.take(x.p, x.o, x.c, x.err)
	if err != nil {
		x.peer.refuse(err)
	} else {
		x.peer.follow(x.p, accountOf(c))
	}
	m.reapAll()
}
