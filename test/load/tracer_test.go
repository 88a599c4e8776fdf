package load

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The tracer runs a command under ptrace(2) and kills one of the processes at its N-th system call: the command line, the container's
// monitor, or the child that becomes the container's program. strace can inject a signal, too, but counts for each thread, and cannot tell
// which of the processes shall get it. It is a process of its own, since it waits for every child.

const tracerVar = "LOAD_TRACER"

// stroke says whom to kill, and when. It is the tracer's argument, as JSON.
type stroke struct {
	Target  string   // command, monitor or child
	At      int      // system call; 0: none, but all are counted
	Monitor int      // pid of the monitor that is there already; 0: the command starts one
	Command []string // what is run
}

// outcome is what the tracer prints.
type outcome struct {
	Calls  int  // of the target's
	Struck bool // it was killed
	Code   int  // the command's exit code, -1 if it was killed
}

// strike runs a command under the tracer.
func strike(s stroke) (o outcome, err error) {
	argument, err := json.Marshal(s)
	if err != nil {
		return o, err
	}
	c := exec.Command("/proc/self/exe", string(argument))
	c.Env = append(os.Environ(), tracerVar+"=1")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return o, fmt.Errorf("the tracer: %w: %s", err, out)
	}
	return o, json.Unmarshal(out, &o)
}

// tracer is the state of one run. Roles are those of stroke.Target, by process.
type tracer struct {
	stroke
	outcome
	command int
	process map[int]int    // of a thread
	role    map[int]string // of a process
	inside  map[int]bool   // a thread is in a system call
}

func traceMain(args []string) int {
	t := &tracer{process: map[int]int{}, role: map[int]string{}, inside: map[int]bool{}}
	err := json.Unmarshal([]byte(args[0]), &t.stroke)
	if err == nil {
		err = t.run()
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(t.outcome)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tracer:", err)
		return 1
	}
	return 0
}

const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC

func (t *tracer) run() error {
	runtime.LockOSThread() // only the tracing thread may ask
	if t.Monitor != 0 {
		if err := t.seize(t.Monitor, "monitor"); err != nil {
			return err
		}
	}
	// A seized process, unlike one that asks to be traced, has children whose tracing leaves no SIGSTOP behind when the tracer ends. So the
	// command waits, stopped, to be seized.
	c := exec.Command("sh", append([]string{"-c", `kill -STOP $$; exec "$@"`, "sh"}, t.Command...)...)
	if err := c.Start(); err != nil {
		return err
	}
	t.command = c.Process.Pid
	if _, err := unix.Wait4(t.command, nil, unix.WUNTRACED, nil); err != nil {
		return err
	}
	if err := t.seize(t.command, "shell"); err != nil {
		return err
	}
	if err := unix.Kill(t.command, unix.SIGCONT); err != nil {
		return err
	}
	return t.follow()
}

// seize attaches to each thread of a process.
func (t *tracer) seize(pid int, role string) error {
	t.role[pid] = role
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		tid, _ := strconv.Atoi(filepath.Base(task))
		if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, options, 0, 0); errno != 0 {
			return fmt.Errorf("seizing thread %d: %w", tid, errno)
		}
		if err := unix.PtraceInterrupt(tid); err != nil {
			return err
		}
		t.process[tid] = pid
	}
	return err
}

// follow lets everybody run until the command has ended. Then the tracer ends, and with it the tracing (ptrace(2)).
func (t *tracer) follow() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting: %w", err)
		}
		switch {
		case status.Exited() || status.Signaled():
			if tid == t.command {
				t.Code = status.ExitStatus()
				return nil
			}
			delete(t.process, tid)
		case status.Stopped():
			if err := t.stopped(tid, status); err != nil && err != unix.ESRCH { // killed meanwhile
				return err
			}
		}
	}
}

func (t *tracer) stopped(tid int, status unix.WaitStatus) error {
	pid, known := t.process[tid]
	if !known {
		pid = t.born(tid)
	}
	signal := status.StopSignal()
	switch event := uint32(status) >> 16; {
	case signal == unix.SIGTRAP|0x80:
		if t.inside[tid] = !t.inside[tid]; t.inside[tid] && t.role[pid] == t.Target {
			t.count(pid)
		}
		return t.resume(tid, 0)
	case event == unix.PTRACE_EVENT_EXEC:
		// Other threads are gone, and the one that is left has the process's number.
		t.process[tid], t.inside[tid] = tid, true
		t.executed(tid)
		return t.resume(tid, 0)
	case event != 0:
		return t.resume(tid, 0)
	}
	return t.resume(tid, signal)
}

// born learns of a new thread or process.
func (t *tracer) born(tid int) int {
	pid, parent := tid, 0
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid)); err == nil {
		for line := range strings.Lines(string(text)) {
			fmt.Sscanf(line, "Tgid: %d", &pid)    //nolint:errcheck // other lines
			fmt.Sscanf(line, "PPid: %d", &parent) //nolint:errcheck // other lines
		}
	}
	t.process[tid] = pid
	if pid == tid && t.role[parent] == "monitor" {
		t.role[pid] = "child"
	}
	return pid
}

// executed gives a process its role by what it runs now. The container's own program is nobody's concern any more.
func (t *tracer) executed(pid int) {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	switch {
	case pid == t.command:
		t.role[pid] = "command"
	case strings.HasPrefix(string(line), "glassrun\x00monitor"):
		t.role[pid] = "monitor"
	default:
		delete(t.role, pid)
	}
}

// count kills when it is time.
func (t *tracer) count(pid int) {
	if t.Calls++; t.Calls == t.At {
		t.Struck = true
		unix.Kill(pid, unix.SIGKILL)
	}
}

// resume lets a thread run to its next system call, or, when nothing is left to be counted, on.
func (t *tracer) resume(tid int, signal unix.Signal) error {
	if t.Struck {
		return unix.PtraceCont(tid, int(signal))
	}
	return unix.PtraceSyscall(tid, int(signal))
}
