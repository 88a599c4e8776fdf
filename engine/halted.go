package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"glassbox/program"
	"glassbox/runtime"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// Halted is a start that somebody steps through: the container is half made, and its process waits.
type Halted struct {
	Pid          int    // the container's process on the host; 0: there is none yet
	PidStart     uint64 // when that began, proc_pid_stat(5), field 22
	Stepper      int    // the process that asks
	StepperStart uint64 // when that began
	Phase        string // of the plan, or "network"
	Number       int    // of the step that comes next, as a plan counts, from 1; 0: it is the host's request
	Steps        int    // how many the plan has; 0: it is a stop, at whose end the container is taken off its networks
	Call         string // what comes next
	Why          string
}

// Halted tells where a start waits; nil where none does. It waits for nobody.
func (c *Containers) Halted(id string) (*Halted, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	h, err := haltedAt(r.place)
	if h != nil && h.Steps == 0 {
		return nil, err
	}
	return h, err
}

func haltedAt(p store.Place) (*Halted, error) {
	var h Halted
	err := store.Read(p.Step(), &h)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !runtime.Alive(h.Stepper, h.StepperStart):
		return nil, nil // it was killed; the container's process ends with its monitor
	}
	return &h, nil
}

// note writes down where the start waits, for view.
func (r *record) note(s program.Stop) error {
	h := Halted{Pid: s.Pid, Stepper: os.Getpid(), Phase: s.Phase, Number: s.Number, Steps: s.Steps, Call: s.Next[0].Call, Why: s.Next[0].Why}
	var err error
	if h.StepperStart, err = runtime.Began(h.Stepper); err != nil {
		return err
	}
	if h.Pid != 0 {
		if h.PidStart, err = runtime.Began(h.Pid); err != nil {
			return nil // it was killed just now, as its monitor is about to tell
		}
	}
	return store.Write(r.place.Step(), h)
}

// unnote: it waits no more.
func (r *record) unnote() error {
	err := os.Remove(r.place.Step())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// busy is the answer to commands that would have to wait until somebody has stepped through a start.
func (h *Halted) busy(ref string) error {
	if h.Steps == 0 {
		return conflict("container %s is being stopped step by step: process %d waits: answer there, or end it with rm -f", ref, h.Stepper)
	}
	return conflict("container %s is being started step by step: process %d waits in the phase %s: answer there, or end it with rm -f", ref, h.Stepper, h.Phase)
}

// breakOff ends a start that somebody steps through, if there is one, as their q would: its command takes everything back. One that does not,
// such as one that is stopped by Ctrl-Z and cannot be continued, is killed, and its monitor takes everything back.
func (c *Containers) breakOff(ctx context.Context, place store.Place) (was bool, err error) {
	h, err := haltedAt(place)
	if h == nil {
		return false, err
	}
	fd, err := unix.PidfdOpen(h.Stepper, 0)
	if errors.Is(err, unix.ESRCH) {
		return true, nil
	}
	if err != nil {
		return true, os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	if !runtime.Alive(h.Stepper, h.StepperStart) {
		return true, nil
	}
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGCONT} {
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return true, os.NewSyscallError("pidfd_send_signal", err)
		}
	}
	if err := c.settled(ctx, place, 5*time.Second); err == nil {
		return true, nil
	}
	unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) //nolint:errcheck // it may be gone by now
	return true, c.settled(ctx, place, lockWait)
}

// settled waits until nobody works on the container.
func (c *Containers) settled(ctx context.Context, place store.Place, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	lock, err := store.Exclusive(ctx, place.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed, by its --rm
	}
	if err != nil {
		return err
	}
	return lock.Release()
}
