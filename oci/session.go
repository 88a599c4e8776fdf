package oci

import (
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Session is a process of a container that this process started and watches.
type Session struct {
	process interface {
		Console() *os.File
		Wait() (syscall.WaitStatus, error)
	}
	pid    int
	pidfd  *os.File
	adopts bool // whatever in the container loses its parent becomes our child
}

// adoptOrphans makes this process the parent of what loses its own. A container with a PID namespace of its own has a PID 1 for that.
func adoptOrphans() error {
	return os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// fit gives the process's terminal the size of ours, before the process can look at it.
func fit(p *specs.Process) {
	if p == nil || !p.Terminal {
		return
	}
	if size, err := unix.IoctlGetWinsize(int(os.Stdin.Fd()), unix.TIOCGWINSZ); err == nil {
		p.ConsoleSize = &specs.Box{Height: uint(size.Row), Width: uint(size.Col)}
	}
}

// Console is the master of the process's terminal, nil if it has none.
func (s *Session) Console() *os.File { return s.process.Console() }

// Signal signals the process.
func (s *Session) Signal(signal syscall.Signal) error { return signalPidfd(s.pidfd, signal) }

// Wait waits for the process's end, and reaps what is adopted meanwhile.
func (s *Session) Wait() (syscall.WaitStatus, error) {
	for s.adopts {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("wait4", err)
		case pid == s.pid:
			return status, nil
		}
	}
	return s.process.Wait()
}
