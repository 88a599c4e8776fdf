package oci

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// ParseSignal reads a signal as kill takes it: a number, or a name with or without SIG, in any case.
func ParseSignal(text string) (unix.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 0 || n > 64 {
			return 0, fmt.Errorf("unknown signal %q", text)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	for n := 1; n <= 64; n++ {
		if linux.Signal(n) == name {
			return unix.Signal(n), nil
		}
	}
	return 0, fmt.Errorf("unknown signal %q", text)
}

// Kill sends a signal to the container's process, or to all in its cgroup. All may be gone already; one must not.
func (s Store) Kill(id string, signal unix.Signal, all bool) error {
	c, err := s.Container(id)
	if err != nil {
		return err
	}
	if all {
		return c.signalAll(signal)
	}
	return c.signal(signal)
}

func (c *Container) signal(signal unix.Signal) error {
	pidfd, err := c.Pidfd()
	if err != nil {
		return err
	}
	defer pidfd.Close()
	return signalPidfd(pidfd, signal)
}

func signalPidfd(pidfd *os.File, signal unix.Signal) error {
	err := unix.PidfdSendSignal(int(pidfd.Fd()), signal, nil, 0)
	if err == unix.ESRCH {
		return ErrNotRunning
	}
	return os.NewSyscallError("pidfd_send_signal", err)
}

// Pidfd refers to the container's process. Its number may be reused at any moment: so it is opened first, and then looked at.
func (c *Container) Pidfd() (*os.File, error) {
	if c.Pid == 0 {
		return nil, ErrNotRunning
	}
	fd, err := unix.PidfdOpen(c.Pid, 0)
	if errors.Is(err, unix.ESRCH) || err == nil && !c.alive() {
		if err == nil {
			unix.Close(fd)
		}
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// signalAll signals every process of the cgroup. For SIGKILL the kernel does it itself, and misses no fork.
func (c *Container) signalAll(signal unix.Signal) error {
	group := c.Cgroup()
	if !group.Exists() {
		if c.alive() {
			return c.signal(signal)
		}
		return nil
	}
	if signal == unix.SIGKILL {
		return group.Kill()
	}
	pids, err := group.Procs()
	for _, pid := range pids {
		if e := unix.Kill(pid, signal); e != nil && e != unix.ESRCH {
			err = errors.Join(err, fmt.Errorf("signalling process %d: %w", pid, e))
		}
	}
	return err
}
