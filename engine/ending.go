package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"glassbox/cgroups"
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
	by     string            // the verb that asked for it
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

// newEnding begins one, of these phases. With Containers.Step somebody is asked before each request. The last ones are made with the container's
// lock held, and noted, so that nobody waits for it.
func (c *Containers) newEnding(ctx context.Context, r *record, by string, phases []string) *ending {
	e := &ending{by: by, began: time.Now(), record: r}
	if c.Step != nil {
		e.step = program.NewStepping(func(s program.Stop) (program.Answer, error) {
			s.Phases = phases
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

// over ends it, and tells what was asked of the kernel.
func (e *ending) over(told func([]program.Account)) error {
	if told != nil {
		told(e.accounts())
	}
	return e.close()
}

func (e *ending) accounts() []program.Account {
	all := []program.Account{}
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
		Call: fmt.Sprintf("pidfd_open(%d, 0)", pid), From: e.by, Gives: "<pidfd>",
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
func (e *ending) signal(sig unix.Signal, why string) error {
	return e.last().Carry(program.Request{
		Call: fmt.Sprintf("pidfd_send_signal(<pidfd>, %s, NULL, 0)", linux.Signal(int(sig))), From: e.by + " --signal", Why: why,
		Do: func() error {
			err := unix.PidfdSendSignal(int(e.pidfd.Fd()), sig, nil, 0)
			if err == unix.ESRCH {
				return program.Tolerated{Errno: unix.ESRCH}
			}
			return os.NewSyscallError("pidfd_send_signal", err)
		},
	})
}

// group writes to a file of the container's group; do waits for what comes of it, too.
func (e *ending) group(g cgroups.Group, file, value, why string, do func() error) error {
	if g.Path == "" {
		return do()
	}
	return e.last().Carry(program.Request{
		Call: fmt.Sprintf("write(%q, %q, %d)", g.Path+"/"+file, value, len(value)), From: e.by, Why: why, Do: do,
	})
}

// wait waits at most so many seconds, negative: for ever, until the process has ended. What is left of the time is in the kernel's answer.
func (e *ending) wait(ctx context.Context, seconds int, flag, why string) (ended bool, err error) {
	w := poll{fd: unix.PollFd{Fd: int32(e.pidfd.Fd()), Events: unix.POLLIN}}
	limit := "NULL"
	if seconds >= 0 {
		limit, w.left = fmt.Sprintf("{tv_sec=%d, tv_nsec=0}", seconds), &unix.Timespec{Sec: int64(seconds)}
	}
	err = e.last().Carry(program.Request{
		Call: "ppoll([{fd=<pidfd>, events=POLLIN}], 1, " + limit + ", ~[], 8)", From: e.by + flag, Why: why,
		Do: func() error { return w.wait(ctx) }, Gave: w.answer,
	})
	return w.ready > 0, err
}

// poll is a ppoll(2) of one descriptor. All signals are blocked meanwhile: those that Go's scheduler sends to its threads would end it.
type poll struct {
	fd    unix.PollFd
	left  *unix.Timespec
	ready int
}

// wait asks the kernel. Should ctx end before it answers, nobody waits for the answer.
func (p *poll) wait(ctx context.Context) error {
	all, asked := ^uint64(0), *p
	if p.left != nil {
		left := *p.left
		asked.left = &left
	}
	told := make(chan unix.Errno, 1)
	go func() {
		n, _, errno := unix.Syscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&asked.fd)), 1, uintptr(unsafe.Pointer(asked.left)), uintptr(unsafe.Pointer(&all)), 8, 0)
		asked.ready = int(n)
		told <- errno
	}()
	select {
	case errno := <-told:
		if errno != 0 {
			return os.NewSyscallError("ppoll", errno)
		}
		*p = asked
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer is the kernel's, as strace prints it.
func (p *poll) answer() string {
	if p.ready == 0 {
		return "0 (Timeout)"
	}
	events := "POLLIN"
	if p.fd.Revents&unix.POLLHUP != 0 {
		events += "|POLLHUP" // it is reaped, too
	}
	if p.left == nil {
		return "1 ([{fd=<pidfd>, revents=" + events + "}])"
	}
	return fmt.Sprintf("1 ([{fd=<pidfd>, revents=%s}], left {tv_sec=%d, tv_nsec=%d})", events, p.left.Sec, p.left.Nsec)
}
