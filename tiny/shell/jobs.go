package shell

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"glassbox/tiny/signals"
)

// job is a pipeline: the unit that Ctrl-C, fg, bg and wait speak of.
type job struct {
	number     int // as in %1; 0 while nobody needs a number
	group      int // its process group; 0 without job control
	text       string
	procs      []*process
	background bool
	stops      int            // the signal that stopped it, 0 while it runs
	modes      *unix.Termios  // the terminal's, when it stopped
	helpers    sync.WaitGroup // echo stages that run inside the shell
	told       bool           // its end was printed
}

type process struct {
	pid    int
	ended  bool
	stop   bool
	result unix.WaitStatus
	code   int // instead of result, for what never became a process
}

type jobs struct {
	list  []*job
	group int // the shell's own process group
}

func (p *process) status() int {
	switch {
	case p.pid == 0:
		return p.code
	case p.result.Signaled():
		return 128 + int(p.result.Signal())
	}
	return p.result.ExitStatus()
}

func (j *job) ended() bool {
	for _, p := range j.procs {
		if !p.ended {
			return false
		}
	}
	return true
}

func (j *job) stopped() bool {
	some := false
	for _, p := range j.procs {
		if !p.ended && !p.stop {
			return false
		}
		some = some || p.stop
	}
	return some
}

func (j *job) last() *process { return j.procs[len(j.procs)-1] }

func (s *Shell) jobStatus(j *job) int {
	if j.stops != 0 {
		return 128 + j.stops
	}
	if s.options['P'] {
		for i := len(j.procs) - 1; i >= 0; i-- {
			if code := j.procs[i].status(); code != 0 {
				return code
			}
		}
		return 0
	}
	return j.last().status()
}

func (s *Shell) newJob(text string) *job { return &job{text: text} }

// keepJob gives a job a number: it is in the background, or stopped.
func (s *Shell) keepJob(j *job) {
	if j.number != 0 {
		return
	}
	j.number = 1
	for _, other := range s.jobs.list {
		j.number = max(j.number, other.number+1)
	}
	s.jobs.list = append(s.jobs.list, j)
}

func (s *Shell) forget(j *job) {
	for i, other := range s.jobs.list {
		if other == j {
			s.jobs.list = append(s.jobs.list[:i:i], s.jobs.list[i+1:]...)
			return
		}
	}
}

// reap takes one state change from the kernel and notes it. A process that is no job's is an orphan which this shell
// inherited as PID 1: waiting for it is all that it needs.
func (s *Shell) reap(current *job, options int) (more bool) {
	var status unix.WaitStatus
	pid, err := unix.Wait4(-1, &status, options|unix.WUNTRACED|unix.WCONTINUED, nil)
	if err == unix.EINTR {
		return true
	}
	if err != nil || pid <= 0 {
		return false
	}
	if current != nil && current.note(pid, status) {
		return true
	}
	for _, j := range s.jobs.list {
		if j.note(pid, status) {
			return true
		}
	}
	return true
}

func (j *job) note(pid int, status unix.WaitStatus) bool {
	for _, p := range j.procs {
		if p.pid != pid || p.ended {
			continue
		}
		switch {
		case status.Stopped():
			p.stop = true
			j.stops = int(status.StopSignal())
		case status.Continued():
			p.stop = false
			j.stops = 0
		default:
			p.ended, p.stop, p.result = true, false, status
		}
		return true
	}
	return false
}

// await waits for a foreground job: until it has ended, or, with job control, stopped.
func (s *Shell) await(j *job) {
	for !j.ended() {
		if !s.reap(j, 0) {
			for _, p := range j.procs { // ECHILD: somebody else took the status
				p.ended = true
			}
		}
		if j.stopped() && s.control {
			if s.stoppedTooSoon(j) {
				continue
			}
			break
		}
	}
	j.helpers.Wait()
	s.status = s.jobStatus(j)
	s.settle(j)
}

// stoppedTooSoon cures a race: the job asked for the terminal before it was handed over, and was stopped for that.
func (s *Shell) stoppedTooSoon(j *job) bool {
	if sig := unix.Signal(j.stops); sig != unix.SIGTTIN && sig != unix.SIGTTOU {
		return false
	}
	if group, err := unix.IoctlGetInt(s.terminal, unix.TIOCGPGRP); err != nil || group != j.group {
		return false
	}
	for _, p := range j.procs {
		p.stop = false
	}
	j.stops = 0
	unix.Kill(-j.group, unix.SIGCONT)
	return true
}

// settle takes the terminal back and tells how the job ended, when that is worth a line.
func (s *Shell) settle(j *job) {
	if s.control {
		s.takeTerminal(j)
	}
	if j.stops != 0 && !j.ended() {
		s.keepJob(j)
		j.background = true
		fmt.Fprintf(s.stderr(), "\n[%d]+  %-24s%s\n", j.number, "Stopped", j.text)
		return
	}
	j.stops = 0
	s.forget(j)
	p := j.last()
	if p.pid == 0 || !p.result.Signaled() {
		return
	}
	sig := p.result.Signal()
	if sig == unix.SIGINT && s.interactive {
		io.WriteString(s.stderr(), "\n")
		s.flow = interrupting
	} else if line := signals.Death(sig); line != "" {
		if p.result.CoreDump() {
			line += " (core dumped)"
		}
		io.WriteString(s.stderr(), line+"\n")
	}
}

func (s *Shell) takeTerminal(j *job) {
	if j.stops != 0 {
		j.modes, _ = unix.IoctlGetTermios(s.terminal, unix.TCGETS)
	}
	unix.IoctlSetPointerInt(s.terminal, unix.TIOCSPGRP, s.jobs.group)
	if s.sane != nil && (j.stops != 0 || j.last().pid != 0 && j.last().result.Signaled()) {
		unix.IoctlSetTermios(s.terminal, unix.TCSETSW, s.sane) // it had no chance to put them back
	}
}

func (s *Shell) giveTerminal(j *job) {
	unix.IoctlSetPointerInt(s.terminal, unix.TIOCSPGRP, j.group)
}

// launch starts a program as a process of the job; a status other than 0 says that it could not.
func (s *Shell) launch(j *job, path string, argv []string, fds []uintptr) int {
	attr := &syscall.ProcAttr{Env: s.environment(), Files: fds}
	if s.control {
		attr.Sys = &syscall.SysProcAttr{Setpgid: true, Pgid: j.group}
	}
	pid, err := s.spawn(j, path, argv, attr)
	if err == unix.ENOEXEC {
		pid, err = s.spawn(j, s.self(), append([]string{"sh", path}, argv[1:]...), attr)
	}
	if err != nil {
		return s.unlaunched(argv[0], err)
	}
	s.enroll(j, pid)
	return 0
}

func (s *Shell) enroll(j *job, pid int) {
	j.procs = append(j.procs, &process{pid: pid})
	if !s.control || j.group != 0 {
		return
	}
	j.group = pid
	if !j.background {
		s.giveTerminal(j)
	}
}

// spawn forks and executes. Without job control POSIX wants a background command deaf to the keyboard's signals.
func (s *Shell) spawn(j *job, path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if j.background && !s.control {
		for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGQUIT} {
			if !signals.Ignored(sig) {
				signals.Ignore(sig)
				defer s.traps.restore(sig)
			}
		}
	}
	return syscall.ForkExec(path, argv, attr)
}

func (s *Shell) unlaunched(name string, err error) int {
	switch err {
	case unix.ENOENT:
		s.errorf("%s: not found", name)
		return 127
	case unix.EAGAIN, unix.ENOMEM:
		s.errorf("can't fork: %s", reason(err))
		return 2
	}
	s.errorf("%s: %s", name, reason(err))
	return 126
}

// background starts a command with & and does not wait.
func (s *Shell) background(st *syntaxStmt) {
	plain := *st
	plain.Background = false
	j := s.newJob(source(&plain))
	j.background = true
	before := s.files
	if !s.control {
		s.files = before.borrow()
		if fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			s.install(0, fd)
		}
	}
	s.start(j, &plain)
	if !s.control {
		s.files.release()
		s.files = before
	}
	if len(j.procs) == 0 {
		return
	}
	s.keepJob(j)
	s.status = 0
	if last := j.last(); last.pid != 0 {
		s.last = last.pid
	}
	if s.interactive {
		fmt.Fprintf(s.stderr(), "[%d] %d\n", j.number, s.last)
	}
}

// announce tells, before a prompt, what has become of the background jobs.
func (s *Shell) announce() {
	for s.reap(nil, unix.WNOHANG) {
	}
	for _, j := range append([]*job{}, s.jobs.list...) {
		switch {
		case j.ended():
			if !j.told {
				fmt.Fprintf(s.stderr(), "[%d]%c  %-24s%s\n", j.number, s.mark(j), j.state(), j.text)
			}
			s.forget(j)
		case j.stopped() && !j.told:
			j.told = true
			if j.stops != int(unix.SIGTSTP) {
				fmt.Fprintf(s.stderr(), "[%d]%c  %-24s%s\n", j.number, s.mark(j), j.state(), j.text)
			}
		}
	}
}

func (j *job) state() string {
	switch {
	case !j.ended() && j.stopped():
		return "Stopped"
	case !j.ended():
		return "Running"
	}
	p := j.last()
	switch {
	case p.pid != 0 && p.result.Signaled():
		if line := signals.Death(p.result.Signal()); line != "" {
			return line
		}
		return "Interrupt"
	case p.status() != 0:
		return fmt.Sprintf("Done(%d)", p.status())
	}
	return "Done"
}

// mark is + for the job that fg means, - for the one before it.
func (s *Shell) mark(j *job) byte {
	n := len(s.jobs.list)
	switch {
	case n > 0 && s.jobs.list[n-1] == j:
		return '+'
	case n > 1 && s.jobs.list[n-2] == j:
		return '-'
	}
	return ' '
}

// jobNamed finds %1, %+, %-, %%, %name, or a pid's job.
func (s *Shell) jobNamed(word string) *job {
	list := s.jobs.list
	name, percent := strings.CutPrefix(word, "%")
	n, err := strconv.Atoi(name)
	switch {
	case len(list) == 0:
		return nil
	case percent && (name == "" || name == "+" || name == "%"):
		return list[len(list)-1]
	case percent && name == "-":
		return list[max(0, len(list)-2)]
	}
	for _, j := range list {
		if percent && err == nil && j.number == n || percent && err != nil && strings.HasPrefix(j.text, name) {
			return j
		}
		for _, p := range j.procs {
			if !percent && err == nil && p.pid == n {
				return j
			}
		}
	}
	return nil
}

// resume continues a stopped or background job.
func (s *Shell) resumeJob(j *job, foreground bool) {
	for _, p := range j.procs {
		p.stop = false
	}
	j.stops, j.told = 0, false
	j.background = !foreground
	if !foreground {
		unix.Kill(-j.group, unix.SIGCONT)
		fmt.Fprintf(s.stdout(), "[%d] %s\n", j.number, j.text)
		s.status = 0
		return
	}
	fmt.Fprintln(s.stdout(), j.text)
	s.giveTerminal(j)
	if j.modes != nil {
		unix.IoctlSetTermios(s.terminal, unix.TCSETSW, j.modes)
	}
	unix.Kill(-j.group, unix.SIGCONT)
	s.await(j)
}

// self is this program's own file. /proc/self/exe is right even after a chroot that still has /proc.
func (s *Shell) self() string {
	if _, err := os.Stat("/proc/self/exe"); err == nil {
		return "/proc/self/exe"
	}
	if found := s.find("sh"); found != "" {
		return found
	}
	return "/bin/sh"
}
