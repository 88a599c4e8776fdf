package attendant

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"glassbox/sealed"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// ready is the word that an attendant says when it serves; any other is why it does not.
const ready = "ready\n"

// patience is how long an attendant may take to come up, or to end.
const patience = 10 * time.Second

func commandLine(dir string) []string { return []string{"glassrun", "attend", filepath.Clean(dir)} }

// Starting is an attendant that comes up. Its sockets exist already: who connects or asks meanwhile is served when it has.
type Starting struct {
	dir, id string
	word    *os.File // the pipe in which it says its first word
}

// Spawn starts the attendant of the container whose state directory is dir, from a sealed copy of glassrun. Ready must be called on
// the result. The attendant is given the listening sockets of c.Ports in their order and, with c.Names, the resolver's UDP and TCP
// sockets, which the caller made inside the container's network namespace; the caller may close them when Spawn has returned.
func Spawn(glassrun, dir string, c Config, given []*os.File) (*Starting, error) {
	if want := sockets(c); len(given) != want {
		return nil, fmt.Errorf("the attendant of %s needs %d sockets and was given %d", c.ID, want, len(given))
	}
	if err := store.Write(filepath.Join(dir, configName), c); err != nil {
		return nil, err
	}
	word, err := launch(glassrun, dir, c.Pid, given)
	if err != nil {
		return nil, fmt.Errorf("starting the attendant of %s: %w", c.ID, err)
	}
	return &Starting{dir, c.ID, word}, nil
}

// Ready returns when the attendant serves, or with the reason why it does not.
func (s *Starting) Ready() error {
	defer s.word.Close()
	word, err := firstWord(s.word, s.dir)
	if err == nil && word == ready {
		return nil
	}
	if err == nil && word == "" {
		err = errors.New("it ended before it was ready; see " + filepath.Join(s.dir, logName))
	} else if err == nil {
		err = errors.New(word)
	}
	return fmt.Errorf("starting the attendant of %s: %w", s.id, err)
}

// launch returns the pipe in which the attendant says its first word.
func launch(glassrun, dir string, pid int, sockets []*os.File) (*os.File, error) {
	exe, err := sealed.Open(glassrun)
	if err != nil {
		return nil, err
	}
	defer exe.Close()
	log, err := sealed.Log(filepath.Join(dir, logName))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// The caller knows that the process lives, so the pid is nobody else's.
	pidfd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("opening the container's process %d: %w", pid, os.NewSyscallError("pidfd_open", err))
	}
	defer unix.Close(pidfd)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	err = sealed.Start(exe, commandLine(dir), log, descriptors(w, pidfd, sockets)...)
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func descriptors(pipe *os.File, pidfd int, sockets []*os.File) []int {
	fds := []int{int(pipe.Fd()), pidfd}
	for _, s := range sockets {
		fds = append(fds, int(s.Fd()))
	}
	return fds
}

func firstWord(r *os.File, dir string) (string, error) {
	r.SetReadDeadline(time.Now().Add(patience))
	word, err := io.ReadAll(io.LimitReader(r, 4096))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", errors.Join(fmt.Errorf("it is not ready after %v", patience), Stop(dir))
	}
	return string(word), err
}

// Update replaces the configuration of a running attendant, which answers the next question by it; ports cannot change that way.
func Update(dir string, c Config) error { return store.Write(filepath.Join(dir, configName), c) }

// Running reports whether dir has a living attendant (it holds DIR/attendant.lock).
func Running(dir string) (bool, error) { return store.Held(filepath.Join(dir, lockName)) }

// Stop ends the attendant of dir and returns when its sockets are closed; it is no error when there is none.
func Stop(dir string) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		held, err := Running(dir)
		if err != nil || !held {
			return err
		}
		pidfd, err := holder(dir)
		if err != nil {
			return err
		}
		if pidfd >= 0 {
			err = end(pidfd)
			unix.Close(pidfd)
			return err
		}
		if time.Now().After(deadline) { // somebody else holds it
			return fmt.Errorf("ending the attendant of %s: nobody knows which process it is", dir)
		}
	}
}

// end returns when the process is gone: its descriptors are closed before its pidfd tells (pidfd_open(2)).
func end(pidfd int) error {
	if err := unix.PidfdSendSignal(pidfd, unix.SIGTERM, nil, 0); err != nil && err != unix.ESRCH {
		return os.NewSyscallError("pidfd_send_signal", err)
	}
	if gone(pidfd, patience) {
		return nil
	}
	unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) // SIGTERM cannot be ignored, but stopped processes do not see it
	if !gone(pidfd, patience) {
		return errors.New("ending an attendant: it does not go, even by SIGKILL")
	}
	return nil
}
