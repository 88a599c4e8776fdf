package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// initName is what the engine calls this binary in a container started with --init, as Docker does.
const initName = "docker-init"

// runInit is PID 1 of a container with --init: it starts the command, passes signals on to it, reaps whatever loses its parent, and ends
// as the command ends. A PID 1 without such a keeper ignores the signals that it has no handler for, and collects zombies.
func runInit(args []string) error {
	if len(args) > 1 && args[0] == become {
		return becomeCommand(args[1], args[2:])
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("init: give it a command")
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals) // before the start: a signal that comes early is passed on, not lost
	pid, err := startCommand(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "init: exec %s failed: %v\n", args[0], err)
		return exit(startCode(err))
	}
	for s := range signals {
		switch s {
		case unix.SIGCHLD:
			if status, ended := reapUntil(pid); ended {
				return exit(exitCode(status))
			}
		case unix.SIGURG: // the Go runtime's own, to preempt goroutines
		default:
			unix.Kill(pid, s.(syscall.Signal)) //nolint:errcheck // it may just have ended
		}
	}
	return nil
}

// startCommand starts it in a process group of its own, in the foreground of the terminal if there is one, so that Ctrl-C reaches it.
func startCommand(args []string) (int, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		defer ignoreTerminal()
		return syscall.ForkExec(path, args, attr)
	}
	ignoreTerminal()
	attr.Sys.Foreground = true
	return syscall.ForkExec("/proc/self/exe", append([]string{initName, become, path}, args...), attr)
}

// ignoreTerminal: whoever is not in the terminal's foreground is stopped by these signals when it touches the terminal. That they are ignored
// tells the engine that init is ready.
func ignoreTerminal() { signal.Ignore(unix.SIGTTIN, unix.SIGTTOU) }

// become is the argument with which init's child at a terminal is init once more, for the moment that it takes to give back what it inherited.
const become = "--become"

// becomeCommand executes the command with the default for the two signals that init ignores: to make its child the terminal's foreground it
// must, and ignored signals stay ignored over execve.
func becomeCommand(path string, argv []string) error {
	for _, s := range []unix.Signal{unix.SIGTTIN, unix.SIGTTOU} {
		var standard [32]byte // struct sigaction, all zero: SIG_DFL
		if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&standard)), 0, 8, 0, 0); errno != 0 {
			return os.NewSyscallError("rt_sigaction", errno)
		}
	}
	err := syscall.Exec(path, argv, os.Environ())
	fmt.Fprintf(os.Stderr, "init: exec %s failed: %v\n", argv[0], err)
	return exit(startCode(err))
}

func startCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return 127
	}
	return 126
}

// reapUntil reaps every child that has ended, and reports whether pid was among them.
func reapUntil(pid int) (status syscall.WaitStatus, ended bool) {
	for {
		var s syscall.WaitStatus
		reaped, err := syscall.Wait4(-1, &s, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || reaped <= 0:
			return status, ended
		case reaped == pid:
			status, ended = s, true
		}
	}
}
