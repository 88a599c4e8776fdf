package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"glassbox/linux"
	"glassbox/program"

	"golang.org/x/sys/unix"
)

// The phases of a stop.
const (
	phaseSignal = "signal"
	phaseGrace  = "grace"
	phaseKill   = "kill"
	phaseUnplug = "unplug"
)

// ending is what the end of a container asks of the kernel, phase by phase.
type ending struct {
	step   *program.Stepping // nil: nobody is asked
	began  time.Time
	stages []*stage
	record *record // of the container, for step
	pid    int
	pidfd  *os.File // of pid; nil: not opened
}

type stage struct {
	name, why string
	program.Ledger
}

// newEnding begins one. With Containers.Step somebody is asked before each request. The last ones are made with the container's lock held, and
// noted, so that nobody waits for it.
func (c *Containers) newEnding(ctx context.Context, r *record) *ending {
	e := &ending{began: time.Now(), record: r}
	if c.Step != nil {
		e.step = program.NewStepping(func(s program.Stop) (program.Answer, error) {
			s.Phases = []string{phaseSignal, phaseGrace, phaseKill, phaseUnplug}
			if s.Phase == phaseUnplug {
				if err := r.note(s); err != nil {
					return program.Go, err
				}
			}
			return c.Step(ctx, s)
		})
	}
	return e
}

// in begins a phase, or goes on with it.
func (e *ending) in(name, why string) *stage {
	e.step.In(name)
	for _, s := range e.stages {
		if s.name == name {
			return s
		}
	}
	s := &stage{name: name, why: why, Ledger: program.Ledger{Step: e.step, Began: e.began}}
	e.stages = append(e.stages, s)
	return s
}

// accounts is what was asked of the kernel.
func (e *ending) accounts() []program.Account {
	var all []program.Account
	for _, s := range e.stages {
		if a := s.Account(s.name, s.why); len(a.Host) > 0 {
			all = append(all, a)
		}
	}
	return all
}

func (e *ending) close() error {
	if e.pidfd != nil {
		e.pidfd.Close()
	}
	if e.step == nil {
		return nil
	}
	return e.record.unnote()
}

// open makes sure that there is a pidfd of the container's process; there is none if it has ended.
func (e *ending) open(pid int) (*os.File, error) {
	if e.pid == pid && e.pidfd != nil {
		return e.pidfd, nil
	}
	if e.pidfd != nil {
		e.pidfd.Close()
	}
	e.pid, e.pidfd = pid, nil
	err := e.last().Carry(program.Request{
		Call: fmt.Sprintf("pidfd_open(%d, 0)", pid), From: "stop", Gives: "<pidfd>",
		Why: "hold the container's first process: a number could be another's by the time that the signal is sent",
		Do: func() (err error) {
			e.pidfd, err = openPidfd(pid)
			e.step.At(pid, nil) // not its pidfd: that it ends is what is wanted
			return err
		},
	})
	if errors.Is(err, unix.ESRCH) {
		return nil, nil
	}
	return e.pidfd, err
}

// last is the phase that was begun last; callers who tell nobody have none.
func (e *ending) last() *program.Ledger {
	if len(e.stages) == 0 {
		return new(program.Ledger)
	}
	return &e.stages[len(e.stages)-1].Ledger
}

// signal sends through the pidfd.
func (e *ending) signal(sig unix.Signal, from, why string) error {
	err := e.last().Carry(program.Request{
		Call: fmt.Sprintf("pidfd_send_signal(<pidfd>, %s, NULL, 0)", linux.Signal(int(sig))), From: from, Why: why,
		Do: func() error {
			err := unix.PidfdSendSignal(int(e.pidfd.Fd()), sig, nil, 0)
			if err == unix.ESRCH {
				return program.Tolerated{Errno: unix.ESRCH}
			}
			return os.NewSyscallError("pidfd_send_signal", err)
		},
	})
	return err
}

// wait waits at most so many seconds, negative: for ever, until the process has ended. What the kernel leaves of the time is in its answer.
func (e *ending) wait(ctx context.Context, seconds int, from, why string) (ended bool, err error) {
	limit, left := "NULL", (*unix.Timespec)(nil)
	if seconds >= 0 {
		limit, left = fmt.Sprintf("{tv_sec=%d, tv_nsec=0}", seconds), &unix.Timespec{Sec: int64(seconds)}
	}
	r := program.Request{
		Call: "ppoll([{fd=<pidfd>, events=POLLIN}], 1, " + limit + ", NULL, 0)", From: from, Why: why,
		Do: func() (err error) {
			ended, err = pollEnd(ctx, e.pidfd, left)
			return err
		},
		Gave: func() string { return polled(ended, left) },
	}
	for {
		err := e.last().Carry(r)
		if !errors.Is(err, unix.EINTR) || ctx.Err() != nil {
			return ended, err
		}
		if left != nil { // a signal of ours: go on with what is left
			r.Call = fmt.Sprintf("ppoll([{fd=<pidfd>, events=POLLIN}], 1, {tv_sec=%d, tv_nsec=%d}, NULL, 0)", left.Sec, left.Nsec)
		}
	}
}

// pollEnd asks the kernel. Should ctx end before it answers, nobody waits for the answer.
func pollEnd(ctx context.Context, pidfd *os.File, left *unix.Timespec) (ended bool, err error) {
	type answer struct {
		ready int
		err   error
	}
	told := make(chan answer, 1)
	fd := int32(pidfd.Fd())
	go func() {
		n, err := unix.Ppoll([]unix.PollFd{{Fd: fd, Events: unix.POLLIN}}, left, nil)
		told <- answer{n, err}
	}()
	select {
	case a := <-told:
		return a.ready > 0, os.NewSyscallError("ppoll", a.err)
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// polled is the answer as strace prints it.
func polled(ended bool, left *unix.Timespec) string {
	switch {
	case !ended:
		return "0 (Timeout)"
	case left == nil:
		return "1 ([{fd=<pidfd>, revents=POLLIN}])"
	}
	return fmt.Sprintf("1 ([{fd=<pidfd>, revents=POLLIN}], left {tv_sec=%d, tv_nsec=%d})", left.Sec, left.Nsec)
}
