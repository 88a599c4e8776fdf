package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"glassbox/oci"

	"golang.org/x/sys/unix"
)

// attend joins our terminal to the process's, passes our signals on to it, and waits for its end. Then it removes its container, if one is named.
func (g globals) attend(s *oci.Session, signals <-chan os.Signal, remove string) error {
	restore := func() {}
	if console := s.Console(); console != nil {
		restore = connect(console)
	}
	go forward(s, signals)
	time.AfterFunc(moment, giveBack)
	status, err := s.Wait()
	restore()
	if remove != "" {
		err = errors.Join(err, g.store().Delete(remove, true)) // unless somebody has done that already
	}
	if err != nil {
		return err
	}
	return exit(exitCode(status))
}

// exitCode is an exit status as shells give it.
func exitCode(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}

// catchUnless keeps the signals that reach us for the process that is about to be started, unless we leave that alone.
func catchUnless(detached bool) <-chan os.Signal {
	if detached {
		return nil
	}
	ch := make(chan os.Signal, 16)
	signal.Notify(ch, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	return ch
}

// forward passes them on, so that Ctrl-C ends the container and not its keeper.
func forward(s *oci.Session, signals <-chan os.Signal) {
	for sig := range signals {
		if sig == unix.SIGWINCH {
			if console := s.Console(); console != nil {
				resize(console)
			}
			continue
		}
		s.Signal(sig.(syscall.Signal)) //nolint:errcheck // it may just have ended
	}
}
