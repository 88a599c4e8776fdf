package monitor

import (
	"os"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The monitor is one goroutine around poll(2): nothing in it needs a lock, and it costs no thread or stack for each thing
// that it waits for. The runtime's calls are made from the same goroutine, so nobody reaps a child that it waits for.

// source is something that the loop waits for.
type source interface {
	interest() (fd int, events int16) // fd -1: nothing at the moment
	ready(revents int16)
}

// The monitor gives memory back when it has been idle for tidyAfter, or tidyLatest after it became busy, but not more often
// than tidyEvery.
const (
	tidyAfter  = 100 * time.Millisecond
	tidyLatest = time.Second
	tidyEvery  = 2 * time.Second
)

// tolerable is how much garbage is not worth the trouble; a request leaves about perRequest.
const (
	tolerable  = 256 << 10
	perRequest = 16 << 10
)

// loop waits and acts until everything is told and nobody is left to tell it to.
func (m *monitor) loop() error {
	for !m.done {
		if err := m.step(); err != nil {
			return err
		}
	}
	return nil
}

func (m *monitor) step() error {
	m.gather()
	n, err := unix.Poll(m.polls, m.timeout(time.Now()))
	if err != nil && err != unix.EINTR {
		return os.NewSyscallError("poll", err)
	}
	if n > 0 {
		m.isBusy(time.Now())
		for i, s := range m.sources {
			if r := m.polls[i].Revents; r != 0 {
				s.ready(r)
			}
		}
	}
	m.settle(time.Now())
	return nil
}

func (m *monitor) isBusy(now time.Time) {
	if m.busyAt.IsZero() {
		m.busySince = now
	}
	m.busyAt = now
}

// gather lists what to wait for. It is made anew each time: sources come and go while others are served.
func (m *monitor) gather() {
	m.sources, m.polls = m.sources[:0], m.polls[:0]
	m.wait(m.children)
	if m.listener != nil {
		m.wait(m.listener)
	}
	for _, p := range m.processes {
		m.wait(p)
		if p.in != nil {
			m.wait(p.in)
		}
		for _, o := range p.outputs {
			m.wait(o)
		}
	}
	for _, x := range m.stepped {
		m.wait(x)
	}
	for _, p := range m.peers {
		m.wait(p)
	}
}

func (m *monitor) wait(s source) {
	if fd, events := s.interest(); fd >= 0 {
		m.sources = append(m.sources, s)
		m.polls = append(m.polls, unix.PollFd{Fd: int32(fd), Events: events})
	}
}

// timeout is the time until something must happen by itself, for poll(2): in milliseconds, -1 for ever.
func (m *monitor) timeout(now time.Time) int {
	var next time.Time
	by := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, p := range m.processes {
		if p.ended && !p.over {
			by(p.drainBy)
		}
		by(p.reapBy)
	}
	for _, p := range m.peers {
		by(p.giveUpAt())
	}
	by(m.health.wake())
	by(m.again)
	by(m.log.RetryAt(now))
	if !m.busyAt.IsZero() {
		by(m.tidyAt())
	}
	if next.IsZero() {
		return -1
	}
	return max(0, int((next.Sub(now)+time.Millisecond-1)/time.Millisecond))
}

// settle does what is due.
func (m *monitor) settle(now time.Time) {
	for _, p := range slices.Backward(m.processes) { // the end of an exec is told before that of its container
		if !p.reapBy.IsZero() && !now.Before(p.reapBy) {
			m.reap(p)
		}
		p.settle(now)
	}
	m.forget()
	if m.waiting() && !now.Before(m.again) {
		m.startAgain()
	}
	m.health.settle(now)
	m.log.Retry()
	for _, p := range m.peers {
		p.settle(now)
	}
	m.sweep()
	if !m.busyAt.IsZero() && !now.Before(m.tidyAt()) {
		m.tidy(now)
	}
	m.mayLeave()
}

// tidyAt is when to give memory back, if nothing happens until then.
func (m *monitor) tidyAt() time.Time {
	at := m.busyAt.Add(tidyAfter)
	if latest := m.busySince.Add(tidyLatest); latest.Before(at) {
		at = latest
	}
	if soonest := m.tidiedAt.Add(tidyEvery); soonest.After(at) {
		at = soonest
	}
	return at
}

// tidy gives memory back to the kernel: most monitors are idle, and there may be many. A garbage collection alone would make more
// pages dirty than a small monitor has, so that is for the time when it cannot be renewed.
func (m *monitor) tidy(now time.Time) {
	m.busyAt, m.tidiedAt = time.Time{}, now
	if !m.grown && m.garbage < tolerable {
		return
	}
	if m.mayRenew() {
		complain(m.renew())
		m.grown = false // not again and again
	} else if m.grown && len(m.processes) == 1 {
		m.busyAt = now // what is in the way goes without a further event, perhaps: look again
	}
	m.garbage, m.sources = 0, nil
	debug.FreeOSMemory()
}

// buffer is what output is read into.
func (m *monitor) buffer() []byte {
	if m.scratch == nil {
		m.scratch = make([]byte, largest)
	}
	return m.scratch
}
