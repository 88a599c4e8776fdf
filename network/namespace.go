package network

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Namespace is a container's network namespace, held open; nil where nothing is asked of the kernel. What its requests need inside
// is opened in one visit when it is first needed, and serves them all until Close.
type Namespace struct {
	File    *os.File
	name    string // as iproute2 takes it after netns: a process or a path
	typed   string // what is typed before a command to run it inside
	inner   line
	outside line
	conf    map[string]*os.File // its /proc/sys/net/ipv4/conf and ipv6
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
	n.inner.open, n.outside.open = n.visit, dial
	return n, nil
}

// Close lets go of the namespace and of what was opened for it.
func (n *Namespace) Close() error {
	n.inner.close()
	n.outside.close()
	for _, dir := range n.conf {
		dir.Close()
	}
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

// visit opens what belongs to the namespace: a netlink socket, and the directories of its interfaces' settings. What is below
// net in proc_sys(5) is found by the namespace of who opens it; but from a directory of one namespace everyone finds that namespace's.
func (n *Namespace) visit() (s *socket, err error) {
	err = n.Enter(func() error {
		n.conf = map[string]*os.File{}
		for _, ip := range []string{"ipv4", "ipv6"} {
			if dir, err := os.Open("/proc/sys/net/" + ip + "/conf"); err == nil {
				n.conf[ip] = dir
			}
		}
		s, err = dial()
		return err
	})
	return s, err
}

// setting opens a file below /proc/sys: in a directory that is held, or else by going there.
func (n *Namespace) setting(file string, flags int) (f *os.File, err error) {
	ip, below, ok := strings.Cut(strings.TrimPrefix(file, "/proc/sys/net/"), "/conf/")
	if err := n.inner.speak(func(*socket) error { return nil }); err != nil {
		return nil, err
	}
	if dir := n.conf[ip]; ok && dir != nil {
		fd, err := unix.Openat(int(dir.Fd()), below, flags|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: file, Err: err}
		}
		return os.NewFile(uintptr(fd), file), nil
	}
	err = n.Enter(func() error {
		f, err = os.OpenFile(file, flags, 0)
		return err
	})
	return f, err
}

// inside is the container's side.
func (n *Namespace) inside() place {
	if n == nil {
		return nowhere
	}
	return place{typed: n.typed, speak: n.inner.speak, setting: n.setting}
}

// host is the host's side of what is done for the container.
func (n *Namespace) host() place {
	if n == nil {
		return here
	}
	return place{speak: n.outside.speak, setting: here.setting}
}

// ref is the namespace as iproute2 takes it.
func (n *Namespace) ref() string {
	if n == nil {
		return "<pid>"
	}
	return n.name
}
