package monitor

import (
	"os"
	"strconv"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/runtime"
	"glassbox/store"
)

// State is what is known of the container's process. It is the monitor's word, checked by readers against the lock.
type State struct {
	Status     string // created, running, exited, restarting (paused is read from the cgroup)
	Pid        int
	PidStart   uint64 // starttime of Pid, proc_pid_stat(5) field 22: tells a reused number
	BootID     string // /proc/sys/kernel/random/boot_id: tells a state from before a reboot
	MonitorPid int
	StartedAt  time.Time
	FinishedAt time.Time
	ExitCode   int
	Signal     int // that ended it, as ExitCode - 128 tells, too; 0: it ended by itself
	OOMKilled  bool
	Error      string
	Health     string // of the last check: starting, healthy, unhealthy; empty: there has been no start with checks. See HealthState
	Restarts   int    // how often it was started again by its restart policy since somebody started it
	Last       Last   // of the life that FinishedAt ended
}

// Last is what can be known of a process that has ended while it is reaped, and not afterwards.
type Last struct {
	Pid    int            // of the first process, on the host
	Counts cgroups.Counts // of its group, which goes with it
}

// End is what the event of the container's end says, as pairs: the exit code, and how many seconds it ran.
func (s State) End() []string {
	ran := int(s.FinishedAt.Sub(s.StartedAt).Seconds())
	return []string{"exitCode", strconv.Itoa(s.ExitCode), "execDuration", strconv.Itoa(ran)}
}

// The words of State.Status.
const (
	Created = "created"
	Running = "running"
	Exited  = "exited"

	// Restarting: it has ended, with ExitCode, and its restart policy will start it again. The monitor's lock is held, and Pid is 0 but for a moment
	// in which the next process waits at its gate.
	Restarting = "restarting"
)

// Unobserved is the exit code of a process whose end nobody saw.
const Unobserved = 255

const unobserved = "exit status not observed: the monitor was killed"

// NotStartedAgain is State.Error of a container that was restarting when its monitor was killed.
const NotStartedAgain = "not started again by its restart policy: the monitor was killed"

// ReadState reads a state file.
func ReadState(path string) (State, error) {
	var s State
	err := store.Read(path, &s)
	return s, err
}

// Alive says whether the state's process still exists: the same number, started at the same tick of the same boot.
func (s State) Alive() bool {
	return s.Pid != 0 && s.BootID == bootID() && runtime.Alive(s.Pid, s.PidStart)
}

func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Identify is what tells a living process from others that have its number at other times.
func Identify(pid int) (State, error) {
	start, err := runtime.Began(pid)
	return State{Pid: pid, PidStart: start, BootID: bootID()}, err
}
