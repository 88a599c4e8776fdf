package engine

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"glassbox/linux"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// Cause is why a container ended, where its exit code alone would leave one guessing. It says no more than is known.
type Cause struct {
	Text string // one line: who or what
	Hint Hint
}

// Cause returns nil for a container that runs, has not run, or ended by an exit whose meaning is the program's own.
func (c *Containers) Cause(id string) (*Cause, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	s, err := c.state(r)
	if err != nil || s.Running || s.FinishedAt.IsZero() {
		return nil, err
	}
	switch sig := unix.Signal(s.Signal); {
	case s.OOMKilled:
		return r.outOfMemory(s), nil
	case sig == sigkill:
		sent, err := c.sent(r, s)
		if err != nil {
			return nil, err
		}
		return r.killed(s, sent), nil
	case sig != 0:
		return &Cause{Text: fmt.Sprintf("ended by %s (%d = 128 + %d)", linux.Signal(int(sig)), s.ExitCode, sig), Hint: signalHints[sig]}, nil
	}
	return r.exited(s), nil
}

// outOfMemory: the limit was reached, and the kernel chose a process. If that was PID 1 the container ended; if it was another, PID 1 may have
// ended because of that.
func (r *record) outOfMemory(s state) *Cause {
	limit := "its limit, or that of a group above it"
	more := "give it a limit that it can live with: -m"
	if m := r.HostConfig.Memory; m > 0 {
		limit = "its limit of " + units.BytesSize(float64(m))
		more = fmt.Sprintf("glassbox update -m %d --memory-swap %d %s, and start it again", 2*m, 4*m, r.Name)
	}
	text := "the kernel's OOM killer ended it: its memory had reached " + limit
	if s.Signal != int(sigkill) {
		text = fmt.Sprintf("it ended with %d after the kernel's OOM killer had ended a process in it: its memory had reached %s", s.ExitCode, limit)
	}
	return &Cause{Text: text, Hint: Hint{
		Why:   "when a group is at memory.max and nothing can be reclaimed, the kernel sends SIGKILL to a process in it (137 = 128 + 9); nobody can catch that",
		Check: "glassbox inspect -f '{{.State.OOMKilled}} {{.HostConfig.Memory}}' " + r.Name + "; dmesg | grep -i 'memory cgroup'",
		Fix:   more,
	}}
}

// sent are the signals that glassbox sent to the container's PID 1 in its last life, as the journal has them.
func (c *Containers) sent(r *record, s state) ([]sentSignal, error) {
	events, err := journal(c.root).Read(func(string) {}) // damage is for `events` to tell
	if err != nil {
		return nil, err
	}
	defer events.Close()
	var all []sentSignal
	for {
		e, more, err := events.Next()
		if err != nil || !more {
			return all, err
		}
		if e.ID != r.ID || e.Action != "kill" || e.Time.Before(s.StartedAt) || e.Time.After(s.FinishedAt) {
			continue
		}
		if n, err := strconv.Atoi(e.Attributes["signal"]); err == nil {
			all = append(all, sentSignal{unix.Signal(n), e.Time})
		}
	}
}

type sentSignal struct {
	unix.Signal
	at time.Time
}

// killed tells SIGKILL's senders apart.
func (r *record) killed(s state, sent []sentSignal) *Cause {
	last := slices.IndexFunc(sent, func(e sentSignal) bool { return e.Signal == sigkill })
	switch {
	case last < 0:
		return &Cause{Text: "ended by SIGKILL (137 = 128 + 9), which glassbox did not send", Hint: Hint{
			Why:   "somebody on the host did (kill -9), or the kernel because the whole machine was out of memory: no limit of the container's own was reached",
			Check: "dmesg | grep -iE 'killed process|out of memory'",
		}}
	case last == 0:
		return &Cause{Text: "ended by SIGKILL (137 = 128 + 9), which glassbox sent: kill, rm -f, or stop and restart with a grace period of 0"}
	}
	first := sent[last-1]
	grace := sent[last].at.Sub(first.at).Round(time.Second / 10)
	return &Cause{
		Text: fmt.Sprintf("ended by SIGKILL (137 = 128 + 9): glassbox had sent %s %v before, which did not end it", linux.Signal(int(first.Signal)), grace),
		Hint: Hint{
			Why: "that is how stop and restart end what does not end by itself: a signal, the grace period, SIGKILL; PID 1 gets only signals that it has a handler for",
			Fix: "handle the signal, or let --init do it; a longer grace period is -t SECONDS",
		},
	}
}

// exited is for codes by which programs pass on what happened to others.
func (r *record) exited(s state) *Cause {
	switch code := s.ExitCode; {
	case code == 126 || code == 127:
		what := map[int]string{126: "may not be executed", 127: "does not exist"}[code]
		return &Cause{
			Text: fmt.Sprintf("its program started, and ended with %d", code),
			Hint: Hint{Why: fmt.Sprintf("with that code a shell says that a command %s; a container whose own program cannot be started stays Created", what), Check: "glassbox logs " + r.Name},
		}
	case code > 128 && code <= 128+64:
		name := linux.Signal(code - 128)
		return &Cause{
			Text: fmt.Sprintf("it ended by itself, with %d = 128 + %d", code, code-128),
			Hint: Hint{Why: fmt.Sprintf("shells and --init say by such a code that the command they waited for was ended by %s; the container's PID 1 was not", name)},
		}
	}
	return nil
}

// signalHints is what usually stands behind a signal.
var signalHints = map[unix.Signal]Hint{
	unix.SIGSEGV: {Why: "the kernel sends it to a program that touches memory which it does not have: mostly a bug, or a program for another libc or CPU"},
	unix.SIGBUS:  {Why: "the kernel sends it for memory that has no file behind it any more; a full /dev/shm does that", Check: "df -h /dev/shm inside", Fix: "a larger one: --shm-size 256m"},
	unix.SIGILL:  {Why: "the kernel sends it to a program whose next instruction this CPU does not have"},
	unix.SIGFPE:  {Why: "the kernel sends it to a program that divides by zero"},
	unix.SIGABRT: {Why: "programs send it to themselves, by abort(3), when they find themselves broken"},
	unix.SIGSYS:  {Why: "a seccomp filter sends it to a program that makes a system call which the filter forbids"},
	unix.SIGPIPE: {Why: "the kernel sends it to a program that writes into a pipe which nobody reads any more"},
	unix.SIGTERM: {Why: "stop sends it, as anybody may: the program ended without a handler of its own, which PID 1 of a PID namespace never would"},
	unix.SIGXCPU: {Why: "the kernel sends it to a program that has used up its CPU time", Fix: "--ulimit cpu=-1"},
	unix.SIGXFSZ: {Why: "the kernel sends it to a program that makes a file larger than it may", Fix: "--ulimit fsize=-1"},
}
