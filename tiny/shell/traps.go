package shell

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"glassbox/tiny/signals"
)

// traps are the actions of `trap`, by signal; 0 is EXIT. An empty action ignores the signal.
type traps struct {
	actions   map[unix.Signal]string
	inherited map[unix.Signal]bool // ignored when the shell started: POSIX says such a signal cannot be trapped
	shared    *arrivals
	busy      bool
}

// arrivals collects signals between the goroutine that the runtime tells of them and the shell, which looks between commands
// and is woken from `wait` and `read`.
type arrivals struct {
	once   sync.Once
	in     chan os.Signal
	any    atomic.Bool
	caught [65]atomic.Bool
	event  int // an eventfd: what poll(2) can wait for
}

func (t *traps) reset() {
	t.actions = map[unix.Signal]string{}
	t.inherited = map[unix.Signal]bool{}
	t.shared = &arrivals{event: -1}
}

func (t *traps) inherit() {
	for sig := unix.Signal(1); sig <= 31; sig++ {
		if signals.Ignored(sig) {
			t.inherited[sig] = true
		}
	}
}

// environment tells our own applets which signals to ignore; see signals.Inherited. HUP and INT survive by themselves.
func (t *traps) environment() []string {
	var list []string
	for sig := unix.Signal(1); sig <= 31; sig++ {
		action, set := t.actions[sig]
		if (t.inherited[sig] || set && action == "") && sig != unix.SIGHUP && sig != unix.SIGINT {
			list = append(list, itoa(int(sig)))
		}
	}
	if list == nil {
		return nil
	}
	return []string{signals.Inherited + "=" + strings.Join(list, ",")}
}

func (a *arrivals) listen() {
	a.once.Do(func() {
		a.in = make(chan os.Signal, 64)
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		if err == nil {
			a.event, _ = high(fd)
			unix.Close(fd)
		}
		go func() {
			for sig := range a.in {
				if n := sig.(unix.Signal); n != unix.SIGCHLD && int(n) < len(a.caught) {
					a.caught[n].Store(true)
					a.any.Store(true)
				}
				a.wake()
			}
		}()
	})
}

func (a *arrivals) wake() {
	if a.event >= 0 {
		unix.Write(a.event, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (t *traps) wake() { t.shared.wake() }

// settle gives a signal that this shell, or a child that has ended, has just sent it the time to arrive: a C program would have it
// already, here it comes through the runtime's queue and a goroutine.
func (t *traps) settle() {
	if len(t.actions) == 0 {
		return
	}
	for range 50 {
		if t.shared.any.Load() {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// drain forgets earlier wake-ups; the caller then looks at everything once and polls.
func (a *arrivals) drain() {
	var buf [8]byte
	if a.event >= 0 {
		unix.Read(a.event, buf[:])
	}
}

// pending runs the actions of the signals that have arrived.
func (s *Shell) pending() {
	if s.traps.busy || !s.traps.shared.any.Swap(false) {
		return
	}
	s.traps.busy = true
	defer func() { s.traps.busy = false }()
	for n := range s.traps.shared.caught {
		if !s.traps.shared.caught[n].Swap(false) {
			continue
		}
		action := s.traps.actions[unix.Signal(n)]
		if action == "" {
			continue
		}
		status, flow := s.status, s.flow
		s.flow = running
		s.evaluate(action, "trap")
		if s.flow != exiting {
			s.status, s.flow = status, flow
		}
	}
}

// restore puts a signal back to what the shell wants of it, after a moment of something else.
func (t *traps) restore(sig unix.Signal) {
	action, set := t.actions[sig]
	switch {
	case t.inherited[sig] || set && action == "":
		signals.Ignore(sig)
	case set:
		signals.Catch(t.shared.in, sig)
	default:
		signals.Default(sig)
	}
}

func (s *Shell) trap(args []string) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 || len(args) == 1 && args[0] == "-p" {
		s.showTraps()
		return 0
	}
	if strings.HasPrefix(args[0], "-") && args[0] != "-" && args[0] != "-l" {
		s.errorf("trap: illegal option %s", args[0])
		return 2
	}
	if args[0] == "-l" {
		for n := 1; n <= signals.Count(); n++ {
			fmt.Fprintf(s.stdout(), "%2d) %s\n", n, signals.Name(unix.Signal(n)))
		}
		return 0
	}
	action, names, remove := args[0], args[1:], args[0] == "-"
	if len(names) == 0 { // trap TERM, trap 15: back to the default
		names, remove = args, true
	}
	code := 0
	for _, name := range names {
		sig, ok := signals.Parse(name)
		if !ok {
			s.errorf("trap: %s: invalid signal specification", name)
			code = 1
			continue
		}
		s.setTrap(sig, action, remove)
	}
	return code
}

func (s *Shell) setTrap(sig unix.Signal, action string, remove bool) {
	if s.traps.inherited[sig] && !s.interactive {
		return
	}
	if s.traps.actions == nil {
		s.traps.actions = map[unix.Signal]string{}
	}
	if remove {
		delete(s.traps.actions, sig)
	} else {
		s.traps.actions[sig] = action
	}
	if sig == 0 || sig == unix.SIGKILL || sig == unix.SIGSTOP || s.inside {
		return
	}
	s.traps.shared.listen()
	switch {
	case remove && s.interactive && slices.Contains(deaf[:], sig):
		signals.Deafen(sig)
	case remove && s.interactive && sig == unix.SIGINT:
	default:
		s.traps.restore(sig)
	}
}

func (s *Shell) showTraps() {
	for sig := unix.Signal(0); sig <= 64; sig++ {
		action, set := s.traps.actions[sig]
		if !set {
			continue
		}
		name := "EXIT"
		if sig != 0 {
			name = signals.Name(sig)
		}
		io.WriteString(s.stdout(), "trap -- '"+strings.ReplaceAll(action, "'", `'"'"'`)+"' "+name+"\n")
	}
}

// pollAgain waits until fd (or, when it is -1, nothing but a wake-up) is ready. It says whether fd is.
func (s *Shell) pollAgain(fd int, milliseconds int) (ready, timeout bool) {
	set := []unix.PollFd{{Fd: int32(s.traps.shared.event), Events: unix.POLLIN}, {Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(set, milliseconds)
	if err != nil {
		return false, false
	}
	return set[1].Revents != 0, n == 0
}

// wait waits for background jobs; a trapped signal ends it at once with 128 and the signal's number (POSIX 2.11).
func (s *Shell) wait(args []string) int {
	s.traps.shared.listen()
	signals.Catch(s.traps.shared.in, unix.SIGCHLD)
	defer s.traps.restore(unix.SIGCHLD)
	wanted := append([]*job{}, s.jobs.list...)
	if len(args) > 0 {
		if strings.HasPrefix(args[0], "-") {
			s.errorf("wait: illegal option %s", args[0])
			return 2
		}
		wanted = wanted[:0]
		code := 0
		for _, arg := range args {
			if j := s.jobNamed(arg); j != nil {
				wanted = append(wanted, j)
				continue
			}
			code = 127
			if strings.HasPrefix(arg, "%") {
				s.errorf("wait: %s: no such job", arg)
				code = 2
			}
		}
		if code != 0 {
			return code
		}
	}
	settled := false
	for {
		s.traps.shared.drain()
		for s.reap(nil, unix.WNOHANG) {
		}
		if sig := s.caught(); sig != 0 {
			return 128 + int(sig)
		}
		if over(wanted) && !settled { // a job's last act may have been to send a signal
			settled = true
			s.traps.settle()
			continue
		}
		if code, all := s.waited(wanted, len(args) > 0); all {
			return code
		}
		if s.interactive && s.interrupted.Load() {
			return 130
		}
		s.pollAgain(-1, -1)
	}
}

// over: nothing more is to be expected of the jobs.
func over(jobs []*job) bool {
	return !slices.ContainsFunc(jobs, func(j *job) bool { return !j.ended() && !j.stopped() })
}

func (s *Shell) waited(wanted []*job, named bool) (code int, all bool) {
	if !over(wanted) {
		return 0, false
	}
	for _, j := range wanted {
		if named {
			code = s.jobStatus(j)
		}
		if j.ended() {
			j.told = !s.interactive
			if !s.interactive {
				s.forget(j)
			}
		}
	}
	return code, true
}

// caught is the first signal that has arrived and has an action.
func (s *Shell) caught() unix.Signal {
	if !s.traps.shared.any.Load() {
		return 0
	}
	for n := range s.traps.shared.caught {
		if s.traps.shared.caught[n].Load() && s.traps.actions[unix.Signal(n)] != "" {
			return unix.Signal(n)
		}
	}
	return 0
}
