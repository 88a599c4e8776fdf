package main

import (
	"os"
	"os/signal"
	"syscall"

	"glassbox/oci"

	"golang.org/x/sys/unix"
)

// attend stays with a process to its end: our terminal is its terminal, our signals are its signals.
func attend(s *oci.Session) (code int, err error) {
	restore := func() {}
	if console := s.Console(); console != nil {
		restore = connect(console)
	}
	forward(s)
	status, err := s.Wait()
	restore()
	return exitCode(status), err
}

// exitCode is an exit status as shells give it.
func exitCode(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// forward passes on the signals that reach us, so that Ctrl-C ends the container and not its keeper.
func forward(s *oci.Session) {
	ch := make(chan os.Signal, 16)
	signal.Notify(ch, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	go func() {
		for sig := range ch {
			if sig == unix.SIGWINCH {
				if console := s.Console(); console != nil {
					resize(console)
				}
				continue
			}
			s.Signal(sig.(syscall.Signal)) //nolint:errcheck // it may just have ended
		}
	}()
}
