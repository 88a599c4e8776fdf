package oci

import (
	"errors"
	"os"
	"strconv"

	"glassbox/store"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Handover is what an engine gets of a new process, and gives it.
type Handover struct {
	ConsoleSocket string // where the terminal's master goes, if nobody here watches it
	PidfdSocket   string // where a pidfd of the process goes
	PidFile       string
	Sockets       int // so many descriptors from 3 on, which systemd gave us, are the process's (LISTEN_FDS)
	Preserve      int // and so many behind them
}

// inherited is how many descriptors from 3 on are the process's.
func (h Handover) inherited() int { return h.Sockets + h.Preserve }

// check refuses a terminal whose master would be nowhere, and descriptors that are not open. A terminal has its master either here
// or, of a detached process, at the console socket.
func (h Handover) check(p *specs.Process, detached bool) error {
	terminal := p != nil && p.Terminal
	switch {
	case detached && terminal && h.ConsoleSocket == "":
		return errors.New("process.terminal: cannot allocate tty if glassrun will detach without setting console socket")
	case !(detached && terminal) && h.ConsoleSocket != "":
		return errors.New("process.terminal: cannot use console socket if glassrun will not detach or allocate tty")
	case h.Preserve < 0 || h.Sockets < 0 || h.inherited() > 900: // rootfs.Console is 1000
		return errors.New("--preserve-fds: there are 0 to 900 to pass on, not " + strconv.Itoa(h.Preserve))
	}
	for fd := 3; fd < 3+h.inherited(); fd++ {
		// What was inherited has come through an execve(2); descriptors of our own are close-on-exec.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			return errors.New("--preserve-fds: descriptor " + strconv.Itoa(fd) + " is not open")
		}
	}
	return nil
}

// handOver passes descriptors to the engine's sockets, and writes the process's number into its file.
func (h Handover) handOver(pid int, pidfd, console *os.File) error {
	if h.ConsoleSocket != "" {
		if err := hand(h.ConsoleSocket, console, "/dev/ptmx"); err != nil {
			return err
		}
	}
	if h.PidfdSocket != "" {
		if err := hand(h.PidfdSocket, pidfd, "pidfd"); err != nil {
			return err
		}
	}
	if h.PidFile != "" {
		return store.Replace(h.PidFile, strconv.AppendInt(nil, int64(pid), 10), 0o644)
	}
	return nil
}
