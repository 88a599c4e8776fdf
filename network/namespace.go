package network

import (
	"fmt"
	"os"
	"strconv"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Namespace is a container's network namespace, held open; nil where nothing is asked of the kernel. Two netlink sockets are opened
// when they are first needed, one inside and one outside, and serve all requests until Close.
type Namespace struct {
	File    *os.File
	name    string // as iproute2 takes it after netns: a process or a path
	typed   string // what is typed before a command to run it inside
	inner   line
	outside line
}

// Open holds the network namespace of a process.
func Open(pid int) (*Namespace, error) {
	p := strconv.Itoa(pid)
	return hold("/proc/"+p+"/ns/net", p, "nsenter -t "+p+" -n ")
}

// OpenPath holds the network namespace that a path names: namespaces(7).
func OpenPath(path string) (*Namespace, error) {
	return hold(path, path, "nsenter --net="+path+" ")
}

func hold(path, name, typed string) (*Namespace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the network namespace: %w", err)
	}
	n := &Namespace{File: f, name: name, typed: typed}
	n.inner.open, n.outside.open = n.dial, dial
	return n, nil
}

// Close lets go of the namespace and of what was opened for it.
func (n *Namespace) Close() error {
	n.inner.close()
	n.outside.close()
	return n.File.Close()
}

// Enter runs f on a thread of its own inside the namespace: sockets that f opens belong to it for good.
func (n *Namespace) Enter(f func() error) error {
	if n == nil {
		return errPlan
	}
	done := make(chan error, 1)
	program.Apart(func() {
		if err := unix.Setns(int(n.File.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering the network namespace of %s: %w", n.name, err)
			return
		}
		done <- f()
	})
	return <-done
}

func (n *Namespace) dial() (s *socket, err error) {
	err = n.Enter(func() error {
		s, err = dial()
		return err
	})
	return s, err
}

// inside is the container's side.
func (n *Namespace) inside() place {
	if n == nil {
		return nowhere
	}
	return place{typed: n.typed, speak: n.inner.speak, enter: n.Enter}
}

// host is the host's side of what is done for the container.
func (n *Namespace) host() place {
	if n == nil {
		return here
	}
	return place{speak: n.outside.speak, enter: here.enter}
}

// ref is the namespace as iproute2 takes it.
func (n *Namespace) ref() string {
	if n == nil {
		return "<pid>"
	}
	return n.name
}
