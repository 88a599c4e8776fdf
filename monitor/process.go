package monitor

import (
	"os"
	"syscall"
	"time"

	"glassbox/logfile"

	"golang.org/x/sys/unix"
)

// drainTime is how long, after a process has ended, its output is read on when somebody else still holds it open:
// a background child in the host's PID namespace, for example. Docker waits as long.
const drainTime = 2 * time.Second

// process is the container's first process or an exec.
type process struct {
	m       *monitor
	id      string // empty: the first process
	pid     int
	pidfd   int
	handle  *os.File // the runtime's, whose number pidfd is; nil after a renewal
	child   child    // nil: adopted, so not our child to wait for
	in      *input
	outputs []*output
	console int  // our descriptor of the terminal's master, -1: none
	ended   bool // reaped
	code    int
	drainBy time.Time
	over    bool      // ended, drained and told
	reapBy  time.Time // adopted and dead: how long its parent has to reap it
}

func (p *process) interest() (int, int16) {
	switch {
	case p.ended:
		return -1, 0
	case !p.reapBy.IsZero():
		return p.pidfd, 0 // POLLHUP
	}
	return p.pidfd, unix.POLLIN
}

func (p *process) ready(int16) { p.m.reap(p) }

// end notes how the process ended.
func (p *process) end(code int) {
	p.ended, p.code = true, code
	p.drainBy, p.reapBy = time.Now().Add(drainTime), time.Time{}
	if p.in != nil && !p.in.tty {
		p.in.close()
	}
}

// release closes what is still open of a process that is over.
func (p *process) release() {
	if p.handle != nil {
		p.handle.Close()
	} else {
		unix.Close(p.pidfd)
	}
}

func (p *process) drained() bool {
	for _, o := range p.outputs {
		if o.fd >= 0 {
			return false
		}
	}
	return true
}

// settle tells the end once the output is drained or the time for that has passed.
func (p *process) settle(now time.Time) {
	if !p.ended || p.over {
		return
	}
	if !p.drained() {
		if now.Before(p.drainBy) {
			return
		}
		for _, o := range p.outputs {
			o.last()
		}
	}
	p.over = true
	p.close()
	p.m.finished(p)
}

func (p *process) close() {
	if p.in != nil {
		p.in.close()
	}
	for _, o := range p.outputs {
		o.close()
	}
	if p.console >= 0 {
		unix.Close(p.console)
		p.console = -1
	}
}

// terminal makes the terminal's master the process's input and output. It is a descriptor of our own, whatever the runtime
// does with its.
func (p *process) terminal(master int, log *logfile.Lines) error {
	fd, err := duplicate(master)
	if err != nil {
		return err
	}
	p.console = fd
	in, err := duplicate(master)
	if err != nil {
		return err
	}
	out, err := duplicate(master)
	if err != nil {
		unix.Close(in)
		return err
	}
	p.in = &input{fd: in, tty: true}
	p.outputs = []*output{{p: p, kind: Stdout, fd: out, log: log}}
	return unix.SetNonblock(fd, true)
}

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

// resize sets the terminal's size; the kernel sends SIGWINCH to its foreground processes.
func (p *process) resize(s Size) error {
	if p.console < 0 {
		return errNoTerminal
	}
	return unix.IoctlSetWinsize(p.console, unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Cols})
}

func (p *process) signal(sig unix.Signal) error {
	if p.ended {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(p.pidfd, sig, nil, 0)
}

// exit is how a process ended. The code is the shell's and Docker's: 128 more than the signal's number for a death by signal.
type exit struct {
	code   int
	signal unix.Signal // 0: none
}

func exitOf(s syscall.WaitStatus) exit {
	if s.Signaled() {
		return exit{128 + int(s.Signal()), s.Signal()}
	}
	return exit{code: s.ExitStatus()}
}
