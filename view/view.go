// Package view shows a container as the kernel has it at this moment, beside the host, and marks what is not as it was asked for.
package view

import (
	"fmt"
	"strings"
	"time"

	"glassbox/engine"

	"golang.org/x/sys/unix"
)

// View is a container as the kernel has it. "The host" is where glassbox was called: its namespaces are those of the process that looks.
// A mark says how a value differs from what was asked for; while a start is stepped, that it is not yet so.
type View struct {
	ID           string       `json:"id"`
	Name         string       `json:"name"`
	Status       string       `json:"status"` // running, paused; created, while its start is stepped
	Pid          int          `json:"pid"`    // its first process, on the host
	Started      time.Time    `json:"started"`
	Waits        *Waits       `json:"waits,omitempty"` // where its start waits, if somebody steps through it
	Processes    []Process    `json:"processes"`
	Namespaces   []Namespace  `json:"namespaces"`
	Root         Root         `json:"root"`
	Mounts       []Mount      `json:"mounts"`
	Users        Users        `json:"users"`
	Capabilities Capabilities `json:"capabilities"`
	NoNewPrivs   Value        `json:"no_new_privs"` // true, false
	Seccomp      Seccomp      `json:"seccomp"`
	Label        Value        `json:"label"` // of the security module, proc_pid_attr(5); empty: the kernel has none
	Cgroup       Cgroup       `json:"cgroup"`
	Network      Network      `json:"network"`
	Hostname     Value        `json:"hostname"`
	Domainname   Value        `json:"domainname"`
	Clocks       []Clock      `json:"clocks"`
	OOMScore     Value        `json:"oom_score"` // the higher, the sooner it is killed when memory runs out
	OOMScoreAdj  Value        `json:"oom_score_adj"`
	Rlimits      []Rlimit     `json:"rlimits"`
	Resources    []Resource   `json:"resources"`   // what programs are told, and what counts
	Differences  []Difference `json:"differences"` // all that is marked

	sight  *engine.Sight
	before *View
	init   *held
	host   *held
}

// Value is one thing as the host has it, as the container has it, and as it was asked for.
type Value struct {
	Host      string `json:"host"`
	Container string `json:"container"`
	Asked     string `json:"asked,omitempty"` // empty: nothing
	Mark      string `json:"mark,omitempty"`
}

// Waits tells where a start waits that somebody steps through.
type Waits struct {
	Stepper int    `json:"stepper"` // the process that asks
	Phase   string `json:"phase"`
	Step    int    `json:"step"` // as a plan counts, from 1; 0: it is a request of the host's
	Call    string `json:"call"` // what comes next
	Why     string `json:"why"`
}

// Difference is something that is not as it was asked for.
type Difference struct {
	Section string `json:"section"`
	What    string `json:"what"`
	Is      string `json:"is"`
	Mark    string `json:"mark"`
}

// Gone is a container that has no process to look at.
type Gone struct {
	Name  string
	Text  string // how that came
	Next  string // the command that is of use now, without the program's name
	Later bool   // it may have one soon
}

func (g *Gone) Error() string { return g.Text }

// Look reads the container. What can be taken from an earlier view, nil the first time, because it cannot have changed, is. All else comes from the one process that the sight names: one that took its number since is told by its start.
func Look(s *engine.Sight, before *View) (*View, error) {
	if s.Pid == 0 || s.Spec == nil {
		return nil, nobody(s)
	}
	host, err := hold("self")
	if err != nil {
		return nil, err
	}
	defer host.close()
	first, err := hold(fmt.Sprint(s.Pid))
	if err != nil {
		return nil, ended(s)
	}
	defer first.close()
	if first.began() != s.PidStart {
		return nil, ended(s)
	}
	v := &View{ID: s.ID, Name: s.Name, Status: s.Status, Pid: s.Pid, sight: s, before: before, init: first, host: host, Differences: []Difference{}}
	v.Waits = waiting(s)
	err = v.read()
	v.before = nil
	if !first.alive() {
		return nil, ended(s)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (v *View) read() error {
	for _, part := range []func() error{
		v.time, v.processes, v.namespaces, v.mounts, v.users, v.rights, v.filters, v.group, v.network, v.names, v.clocks, v.bounds, v.resources,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// clockTicks is USER_HZ, in which /proc counts, fixed at 100 on amd64 and arm64.
const clockTicks = 100

// time is when the first process began, by the clock that /proc counts with.
func (v *View) time() error {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return err
	}
	age := time.Duration(up.Nano()) - time.Duration(v.init.began())*(time.Second/clockTicks)
	v.Started = time.Now().Add(-age).Round(time.Second / clockTicks)
	return nil
}

// differs notes what is not as it was asked for, and returns the mark.
func (v *View) differs(section, what, is, format string, a ...any) string {
	mark := "!= " + fmt.Sprintf(format, a...)
	if v.Waits != nil {
		mark = "not yet " + fmt.Sprintf(format, a...)
	}
	v.Differences = append(v.Differences, Difference{section, what, is, mark})
	return mark
}

// compare marks the value unless it is what was asked for.
func (v *View) compare(section, what string, value *Value) {
	if value.Container != value.Asked {
		value.Mark = v.differs(section, what, value.Container, "asked %s", quoted(value.Asked))
	}
}

// quoted is a value that may be empty.
func quoted(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// nobody says why a container has no process, and what is of use then.
func nobody(s *engine.Sight) error {
	switch {
	case s.Halted != nil:
		return &Gone{s.Name, fmt.Sprintf("container %s has no process yet: its start waits before %s", s.Name, waiting(s)), "view " + s.Name + " --watch", true}
	case s.Pid != 0:
		return &Gone{s.Name, fmt.Sprintf("container %s runs, and what it was asked to be is gone: somebody has deleted its config.json", s.Name), "inspect " + s.Name, false}
	case s.Status == "created":
		return &Gone{s.Name, fmt.Sprintf("container %s has not been started: there is nothing of it in the kernel yet", s.Name), "start " + s.Name, true}
	case s.Status == "restarting":
		return &Gone{s.Name, fmt.Sprintf("container %s is between two starts by its restart policy: %s", s.Name, s.Sentence), "logs " + s.Name, true}
	}
	return &Gone{s.Name, fmt.Sprintf("container %s does not run, nothing of it is in the kernel: %s", s.Name, s.Sentence), "why " + s.Name, false}
}

func ended(s *engine.Sight) error {
	return &Gone{s.Name, fmt.Sprintf("container %s ended while it was looked at (process %d)", s.Name, s.Pid), "why " + s.Name, false}
}

// waiting is where the start waits; nil: nobody steps through it.
func waiting(s *engine.Sight) *Waits {
	h := s.Halted
	if h == nil {
		return nil
	}
	return &Waits{Stepper: h.Stepper, Phase: h.Phase, Step: h.Number, Call: h.Call, Why: h.Why}
}

// String names what comes next.
func (w *Waits) String() string {
	if w.Step == 0 {
		return "the host's request " + oneLine(w.Call)
	}
	return fmt.Sprintf("step %d, %s", w.Step, oneLine(w.Call))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
