// Package trace follows the system calls that the processes of a container make, by ptrace(2), and writes them with the printer that writes a
// start's steps.
//
// Follow seizes a process while it waits at its gate; nothing is seen of it until execve has made it the container's program. Every process
// and thread that comes of it is followed too, from its first instruction. Who is followed runs two to ten times slower, and does not notice
// otherwise: signals, stops and exits go their way. When the tracer ends, for whatever reason, the kernel lets go of all it follows.
package trace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

// Sink is told what happens, in the order in which the kernel tells it.
type Sink interface {
	Call(t Task, d program.Done) // a call that has returned, or never will
	Signal(t Task, s unix.Signal, from string)
	End(t Task, how string)
}

// Task is a process or a thread.
type Task struct {
	Pid    int  // on the host
	Inside int  // as the container counts
	Thread bool // one that is not its process's first
}

// options of PTRACE_SEIZE: whoever is made is followed, and stops for a call can be told from SIGTRAP.
const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC

// follower is the tracer of one container.
type follower struct {
	sink   Sink
	only   Selection
	most   int
	began  time.Time
	tasks  map[int]*task
	told   map[uint64]bool // by number: only's answer
	begun  bool            // the container's program runs
	failed error
}

type task struct {
	Task
	in *program.Observed // the call that it is in; nil: none that anybody wants to know of
}

// Options say what is told.
type Options struct {
	Only Selection // of the calls
	Most int       // bytes of a string that are shown
}

// Follow tells the sink of what the process does until the last one that came of it has ended. ready is called once it is followed. The process
// that calls Follow must have no children of its own: it waits for all.
func Follow(pid int, o Options, sink Sink, ready func() error) error {
	runtime.LockOSThread() // only the thread that seized a process may ask of it; it ends with the goroutine, and lets go of all
	if err := request(unix.PTRACE_SEIZE, pid, 0, options); err != nil {
		return fmt.Errorf("following process %d: ptrace(PTRACE_SEIZE): %w", pid, err)
	}
	f := &follower{sink: sink, only: o.Only, most: o.Most, tasks: map[int]*task{}, told: map[uint64]bool{}}
	if err := ready(); err != nil {
		return err
	}
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err == unix.ECHILD:
			return f.failed
		case err != nil:
			return os.NewSyscallError("wait4", err)
		default:
			f.happened(tid, status)
		}
	}
}

// happened is one event of a task. What cannot be asked of a task that was killed meanwhile is not asked: its end comes next.
func (f *follower) happened(tid int, status unix.WaitStatus) {
	t := f.task(tid)
	if status.Exited() || status.Signaled() {
		f.end(t, status)
		return
	}
	sig, event := status.StopSignal(), int(status)>>16
	var err error
	switch {
	case sig == unix.SIGTRAP|0x80:
		err = f.call(t)
		sig = 0
	case event == unix.PTRACE_EVENT_EXEC:
		f.execed(t)
		sig = 0
	case event == unix.PTRACE_EVENT_STOP && stops(sig):
		f.note(request(unix.PTRACE_LISTEN, tid, 0, 0)) // it stays stopped, as whoever sent SIGSTOP wants
		return
	case event != 0:
		sig = 0
	default:
		f.signal(t, sig)
	}
	f.note(err)
	f.note(f.resume(tid, sig))
}

// signal tells of one that a task is about to get. What a program's threads send one another, as Go's do all the time, is told of with the
// calls that send it.
func (f *follower) signal(t *task, sig unix.Signal) {
	from, thread := sender(t.Pid)
	if f.begun && (!thread || f.only.Has("tgkill")) {
		f.sink.Signal(t.Task, sig, from)
	}
}

// note keeps the first error that is not a task's sudden end.
func (f *follower) note(err error) {
	if err != nil && !errors.Is(err, unix.ESRCH) && f.failed == nil {
		f.failed = err
	}
}

func stops(sig unix.Signal) bool {
	return sig == unix.SIGSTOP || sig == unix.SIGTSTP || sig == unix.SIGTTIN || sig == unix.SIGTTOU
}

// resume lets a task go on: to its next call, or before the container's program runs to that.
func (f *follower) resume(tid int, sig unix.Signal) error {
	how := unix.PTRACE_CONT
	if f.begun {
		how = unix.PTRACE_SYSCALL
	}
	return request(how, tid, 0, uintptr(sig))
}

func (f *follower) task(tid int) *task {
	t := f.tasks[tid]
	if t == nil {
		t = &task{Task: identify(tid)}
		f.tasks[tid] = t
	}
	return t
}

// execed: the first time the container begins; from then on it is a call like any other, which returns next.
func (f *follower) execed(t *task) {
	if !f.begun {
		f.begun, f.began = true, time.Now()
		return
	}
	former, err := unix.PtraceGetEventMsg(t.Pid)
	if old := f.tasks[int(former)]; err == nil && old != nil && old != t {
		t.in, old.in = old.in, nil // a thread that was not the first goes on under the first one's number
		delete(f.tasks, int(former))
	}
}

// call is told of twice: on its way in, and out.
func (f *follower) call(t *task) error {
	info, err := callInfo(t.Pid)
	if err != nil {
		return err
	}
	switch info.op {
	case unix.PTRACE_SYSCALL_INFO_ENTRY, unix.PTRACE_SYSCALL_INFO_SECCOMP:
		t.in = nil
		if f.tells(info.number()) {
			t.in = program.Observe(info.number(), info.args(), memoryOf(t.Pid), f.most)
		}
	case unix.PTRACE_SYSCALL_INFO_EXIT:
		if t.in != nil {
			d := t.in.Done(info.result())
			d.At = time.Since(f.began)
			f.sink.Call(t.Task, d)
		}
		t.in = nil
	}
	return nil
}

// tells says whether the call of this number is wanted. It is asked for every call, and so decided once for each number.
func (f *follower) tells(number uint64) bool {
	told, known := f.told[number]
	if !known {
		told = f.only.Has(program.CallName(uintptr(number)))
		f.told[number] = told
	}
	return told
}

// end tells of a call too that will never return.
func (f *follower) end(t *task, status unix.WaitStatus) {
	delete(f.tasks, t.Pid)
	if !f.begun {
		return
	}
	if t.in != nil {
		f.sink.Call(t.Task, program.Done{Call: t.in.Begun(), Result: "?", At: time.Since(f.began)})
	}
	if status.Signaled() {
		f.sink.End(t.Task, "ended by "+unix.SignalName(status.Signal()))
		return
	}
	f.sink.End(t.Task, "ended with "+strconv.Itoa(status.ExitStatus()))
}

// identify reads a task's numbers, proc_pid_status(5): the last of NSpid is the innermost PID namespace's.
func identify(tid int) Task {
	t := Task{Pid: tid}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return t
	}
	if numbers := field(status, "NSpid"); len(numbers) > 0 {
		t.Inside, _ = strconv.Atoi(numbers[len(numbers)-1])
	}
	group := field(status, "Tgid")
	t.Thread = len(group) > 0 && group[0] != strconv.Itoa(tid)
	return t
}

func field(status []byte, name string) []string {
	_, rest, _ := strings.Cut(string(status), "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Fields(line)
}
