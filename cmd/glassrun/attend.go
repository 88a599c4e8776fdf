package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"glassbox/oci"

	"golang.org/x/sys/unix"
)

// watch stays with a process that we have just started, to its end, and then removes its container, if one is named. At a terminal nobody minds
// that we become small at once; later there might be keys on their way.
func (g globals) watch(s *oci.Session, remove string) error {
	forward(s)
	if s.Console() != nil || s.Lasts(moment) {
		g.become(s, remove)
	}
	return g.attend(s, remove)
}

// attend joins our terminal to the process's and waits for its end.
func (g globals) attend(s *oci.Session, remove string) error {
	restore := func() {}
	if console := s.Console(); console != nil {
		restore = connect(console)
	}
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
