package program

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Clone is how the child is made.
type Clone struct {
	Flags  uint64   // CLONE_NEW*
	Cgroup *os.File // the child is born in this group (CLONE_INTO_CGROUP); nil: where the parent is
	Memory *os.File // an empty file in which the program lies, for another process to Resume; nil: it lies in no file
}

// Process is a started child: first it interprets its program, then it is what execve made of it.
type Process struct {
	Pid   int      // in the host's PID namespace
	Pidfd *os.File // refers to the process however often its number is reused

	program Program // nil while somebody else's: see recall
	recall  func() (Program, error)
	frozen  *frozen
	hosts   Numbers
	sync    int // our end; -1 when closed
	began   int64
	ended   bool                       // execve happened or a step failed: nothing more comes over sync
	answer  func(Stop) (Answer, error) // nil: the program asks no questions
	ran     []Ran
}

// Start freezes the program and makes the child, which begins to interpret it. The descriptors in hosts are inherited
// under their own numbers; the program says where they go. clock makes the child note the time of each step,
// where that needs no system call.
func Start(p Program, c Clone, hosts map[Host]*os.File, clock bool) (*Process, error) {
	var pair [2]int
	if err := socketpair(&pair); err != nil {
		return nil, fmt.Errorf("making the socket pair for the gates: %w", err)
	}
	defer unix.Close(pair[1])
	numbers := Numbers{Sync: pair[1], HostSync: pair[0]}
	for name, f := range hosts {
		numbers[name] = int(f.Fd())
	}
	f, err := freeze(p, numbers, c.Memory)
	if err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	proc := &Process{program: p, frozen: f, hosts: numbers, sync: pair[0], began: nanotime()}
	err = proc.clone(c, clock && clockIsFree())
	runtime.KeepAlive(hosts)
	if err != nil {
		unix.Close(pair[0])
		f.release()
		return nil, err
	}
	return proc, nil
}

// clone makes the child. ForkLock keeps descriptors that another goroutine is just opening out of it.
func (p *Process) clone(c Clone, clock bool) error {
	pidfd := int32(-1)
	args := cloneArgs{
		flags:      c.Flags | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND,
		pidfd:      uint64(uintptr(unsafe.Pointer(&pidfd))),
		exitSignal: uint64(unix.SIGCHLD),
	}
	if c.Cgroup != nil {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(c.Cgroup.Fd())
	}
	syscall.ForkLock.Lock()
	pid, errno := launch(&args, p.frozen.state, p.frozen.code, p.frozen.ran, clock)
	syscall.ForkLock.Unlock()
	runtime.KeepAlive(&pidfd)
	if errno != 0 {
		return &CloneError{Flags: c.Flags, Cgroup: c.Cgroup, Errno: errno}
	}
	p.Pid = int(pid)
	p.Pidfd = os.NewFile(uintptr(pidfd), "pidfd")
	return nil
}

// CloneError is a clone3 that the kernel refused.
type CloneError struct {
	Flags  uint64
	Cgroup *os.File
	Errno  unix.Errno
}

func (e *CloneError) Error() string {
	where := ""
	if e.Cgroup != nil {
		where = " into cgroup " + e.Cgroup.Name()
	}
	return fmt.Sprintf("making the container's process%s: clone3: %v", where, e.Errno)
}

func (e *CloneError) Unwrap() error { return e.Errno }

// Reach waits until the child is at the gate of this name. If a step failed before, the error is a *Failure.
func (p *Process) Reach(gate string) error {
	b, err := p.receive()
	if err != nil {
		return err
	}
	if b == 0 {
		return p.end(gate)
	}
	if b != gate[0] {
		return fmt.Errorf("the container's process is at gate %q, not at %q", string(b), gate)
	}
	return p.settle()
}

// Pass lets the child through the gate at which it waits.
func (p *Process) Pass() error {
	if _, err := unix.Write(p.sync, []byte{1}); err != nil {
		if errors.Is(err, unix.EPIPE) {
			return p.end("the gate's other side")
		}
		return fmt.Errorf("opening the gate: %w", err)
	}
	return nil
}

// Finish waits for execve: nil when it happened, else the *Failure of the step that failed.
func (p *Process) Finish() error {
	b, err := p.receive()
	if err != nil {
		return err
	}
	if b != 0 {
		return fmt.Errorf("the container's process waits at gate %q, not in execve", string(b))
	}
	return p.end("execve")
}

// Until waits for execve, or for the gate of this name: whether it is that.
func (p *Process) Until(gate string) (waits bool, err error) {
	b, err := p.receive()
	switch {
	case err != nil:
		return false, err
	case b == 0:
		return false, p.end("execve")
	case b != gate[0]:
		return false, fmt.Errorf("the container's process waits at gate %q, not in execve", string(b))
	}
	return true, p.settle()
}

// Slot is what a step of the child, which waits at a gate, has left there.
func (p *Process) Slot(s Slot) uintptr { return p.frozen.state.slots[s] }

// Abandon closes the gates: a child that waits, or comes to wait, at one ends itself.
func (p *Process) Abandon() {
	if p.sync >= 0 {
		unix.Close(p.sync)
		p.sync = -1
	}
}

// Kill ends a child whose start has failed elsewhere, and reaps it. What it had done stays in Ran.
func (p *Process) Kill() {
	p.Abandon()
	unix.PidfdSendSignal(int(p.Pidfd.Fd()), unix.SIGKILL, nil, 0) //nolint:errcheck // it may be gone already
	reap(p.Pid)
	if !p.ended {
		p.ended = true
		p.keep()
		p.frozen.release()
	}
}

// receive reads one gate's letter; 0 is the end of file that execve or the child's death made.
func (p *Process) receive() (byte, error) {
	var b [1]byte
	for {
		n, err := unix.Read(p.sync, b[:])
		switch {
		case err == unix.EINTR:
		case err == unix.ECONNRESET, err == nil && n == 0: // reset: it died with our answer unread
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("waiting for the container's process: %w", err)
		case b[0] == question[0] && p.answer != nil:
			if err := p.stop(); err != nil {
				return 0, err
			}
		default:
			return b[0], nil
		}
	}
}

// end is called once the child's end of the socket is closed: by execve, by a failure or by death.
func (p *Process) end(waitedFor string) error {
	if p.ended {
		return fmt.Errorf("the container's process is past %s", waitedFor)
	}
	p.ended = true
	err := p.settle()
	p.keep()
	s := p.frozen.state
	failed, errno, reached := s.failed != 0, unix.Errno(s.errno), p.frozen.reached()
	became := !failed && p.frozen.code[reached].becomes()
	var unknown error
	if !became {
		unknown = p.Recall()
	}
	p.frozen.release()
	p.Abandon()
	switch {
	case became:
		return err
	case unknown != nil && failed:
		return fmt.Errorf("step %d: %w (what the step was cannot be told: %w)", reached+1, errno, unknown)
	case unknown != nil:
		return fmt.Errorf("the container's process was killed in step %d while the host waited for %s", reached+1, waitedFor)
	case failed:
		return &Failure{Index: p.program.number(reached), Step: p.program[reached], Errno: errno, Call: p.program.Call(reached, p.ran, p.hosts)}
	}
	if real := p.program.real(reached); real != reached {
		return fmt.Errorf("the container's process was killed before step %d (%s) while the host waited for %s", p.program.number(real)+1, p.program[real].Why, waitedFor)
	}
	return fmt.Errorf("the container's process was killed in step %d (%s) while the host waited for %s", p.program.number(reached)+1, p.program[reached].Why, waitedFor)
}

// becomes says whether the step ends the program when it succeeds. It need not be the last one: a name is looked for in
// each directory of PATH.
func (in *instruction) becomes() bool {
	return in.call == unix.SYS_EXECVE || in.call == unix.SYS_EXECVEAT
}

// settle follows a second clone: the first child has handed over to another one, which is our child too (CLONE_PARENT).
func (p *Process) settle() error {
	pid := int(p.frozen.state.forked)
	if pid == 0 || pid == p.Pid {
		return nil
	}
	reap(p.Pid)
	p.Pidfd.Close()
	fd, err := unix.PidfdOpen(pid, 0)
	p.Pid = pid
	if err != nil {
		return fmt.Errorf("opening a pidfd of process %d: %w", pid, err)
	}
	p.Pidfd = os.NewFile(uintptr(fd), "pidfd")
	return nil
}

// keep copies what the child noted, up to the step that it reached, before the mapping goes.
func (p *Process) keep() { p.ran = p.answers(p.frozen.reached() + 1) }

// answers are what the child noted of its first steps.
func (p *Process) answers(steps int) []Ran {
	all := make([]Ran, steps)
	for i := range all {
		r := p.frozen.ran[i]
		all[i].Result = r.result
		if p.frozen.code[i].forks && r.result == 0 {
			all[i].Result = int64(p.frozen.state.forked) // noted by the new process, which got 0
		}
		if r.at != 0 {
			all[i].At = time.Duration(r.at - p.began)
		}
		if i < len(p.program) {
			all[i].Out = p.frozen.out(i, p.program[i])
		}
	}
	return all
}

// Ran is what the kernel answered, step by step, up to the last one reached; nil before Finish or a failure.
func (p *Process) Ran() []Ran { return p.ran }

// RanSoFar is the same of a child that waits at a gate, up to the read at which it waits.
func (p *Process) RanSoFar() []Ran {
	if p.ended {
		return p.ran
	}
	// We are told of a gate by the write before it, which the child may just be about to note.
	for range 1000 {
		if n := p.frozen.reached(); n < len(p.program) && p.program[n].Gate != "" {
			return p.answers(n)
		}
		time.Sleep(20 * time.Microsecond)
	}
	return nil
}

// Numbers are the descriptors that the child inherited.
func (p *Process) Numbers() Numbers { return p.hosts }

// Failure is a step that the kernel refused.
type Failure struct {
	Index int // in the program, from 0
	Step  Step
	Errno unix.Errno
	Call  string // with its arguments, as strace prints it
}

func (f *Failure) Error() string {
	from := ""
	if f.Step.From != "" {
		from = " (asked for by " + f.Step.From + ")"
	}
	return fmt.Sprintf("step %d, %s%s: %s: %v", f.Index+1, f.Step.Why, from, f.Call, f.Errno)
}

func (f *Failure) Unwrap() error { return f.Errno }

func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

func socketpair(pair *[2]int) error {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	*pair = p
	return err
}

// sigmask is rt_sigprocmask(2) for this thread alone, past the Go runtime.
//
//go:norace
//go:nosplit
func sigmask(set, old *uint64) {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}

// clockIsFree reports whether the vDSO can read the clock in user space. With other clock sources it makes the
// system call itself, which the account would not show.
func clockIsFree() bool {
	b, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if err != nil {
		return false
	}
	switch strings.TrimSpace(string(b)) {
	case "tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter":
		return true
	}
	return false
}
