package view

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"glassbox/linux"
	"glassbox/program"
	"glassbox/seccomp"

	"golang.org/x/sys/unix"
)

// Seccomp is what the first process may not ask of the kernel, seccomp(2).
type Seccomp struct {
	Mode      string    `json:"mode"`         // disabled, strict, filter
	Filters   int       `json:"filters"`      // how many the kernel asks before each call,
	Inherited int       `json:"host_filters"` // and how many of the process that looks
	Source    string    `json:"source"`       // "kernel": Refused is what the kernel's filters answer; "asked": what those would that were asked for
	Because   string    `json:"source_because,omitempty"`
	Refused   []Refusal `json:"refused"`   // whatever the arguments are, of this machine's own calls
	Sometimes []string  `json:"sometimes"` // refused with some arguments
	Calls     int       `json:"calls"`     // of how many
	Mark      string    `json:"mark,omitempty"`

	programs [][]byte // the kernel's filters
}

// Refusal is an answer, and the calls that get it.
type Refusal struct {
	Answer string   `json:"answer"` // EPERM, ENOSYS, kill, ...
	Calls  []string `json:"calls"`
}

func (v *View) filters() error {
	status, err := v.init.status()
	if err != nil {
		return err
	}
	mine, err := v.host.status()
	if err != nil {
		return err
	}
	s := &v.Seccomp
	s.Mode = map[string]string{"0": "disabled", "1": "strict", "2": "filter"}[status["Seccomp"]]
	s.Filters, _ = strconv.Atoi(status["Seccomp_filters"])
	s.Inherited, _ = strconv.Atoi(mine["Seccomp_filters"])
	s.Refused, s.Sometimes, s.Source = []Refusal{}, []string{}, "kernel"
	asked, err := v.askedFilter()
	if err != nil {
		return err
	}
	if s.Mode == "filter" {
		s.programs, err = v.kernelFilters()
		if err != nil {
			s.Source, s.Because = "asked", err.Error()
		}
	}
	programs := s.programs
	if s.Source == "asked" && asked != nil {
		programs = [][]byte{asked}
	}
	if err := s.evaluate(programs); err != nil {
		return err
	}
	v.compareFilters(asked)
	return nil
}

// askedFilter is the program that the spec's profile makes; nil: it has none.
func (v *View) askedFilter() ([]byte, error) {
	profile := v.sight.Spec.Linux.Seccomp
	if profile == nil {
		return nil, nil
	}
	filter, _, err := seccomp.Compile(profile, linux.Native())
	return filter, err
}

// compareFilters marks a process whose filters are not those that were asked for.
func (v *View) compareFilters(asked []byte) {
	s := &v.Seccomp
	has := slices.ContainsFunc(s.programs, func(p []byte) bool { return bytes.Equal(p, asked) })
	switch {
	case asked == nil && s.Filters > s.Inherited:
		s.Mark = v.differs("rights", "seccomp", "filter", "asked none")
	case asked != nil && s.Mode != "filter":
		s.Mark = v.differs("rights", "seccomp", s.Mode, "asked a filter")
	case asked != nil && s.Source == "kernel" && !has:
		s.Mark = v.differs("rights", "seccomp", "another filter", "asked the profile of config.json")
	}
}

// kernelFilters are the filters as the kernel has them. It gives them to whoever traces the process, ptrace(2): the process stands still
// for some ten microseconds. What was read before of the same process, and is still as many, is not read again.
func (v *View) kernelFilters() ([][]byte, error) {
	if b := v.before; b != nil && b.Pid == v.Pid && b.sight.PidStart == v.sight.PidStart && b.Seccomp.Filters == v.Seccomp.Filters && b.Seccomp.Source == "kernel" {
		return b.Seccomp.programs, nil
	}
	if v.Status == "paused" {
		return nil, errors.New("the container is paused: its process cannot be traced until it goes on")
	}
	type answer struct {
		programs [][]byte
		err      error
	}
	done := make(chan answer, 1)
	program.Apart(func() { // ptrace(2) goes by threads; when this one ends, the kernel lets go of the process
		all, err := v.trace()
		done <- answer{all, err}
	})
	a := <-done
	return a.programs, a.err
}

// standstill is how long the process may take to stop.
const standstill = time.Second

func (v *View) trace() ([][]byte, error) {
	if err := unix.PtraceSeize(v.Pid); err != nil {
		return nil, fmt.Errorf("tracing process %d: %w", v.Pid, err)
	}
	if !v.init.alive() { // from here on its number stays its own
		return nil, errors.New("it has ended")
	}
	if err := unix.PtraceInterrupt(v.Pid); err != nil {
		return nil, fmt.Errorf("stopping process %d: %w", v.Pid, err)
	}
	signal, err := v.stopped()
	if err != nil {
		return nil, err
	}
	all, err := v.fetch()
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(v.Pid), 0, uintptr(signal), 0, 0)
	if errno != 0 {
		return nil, fmt.Errorf("letting go of process %d: %w", v.Pid, errno)
	}
	return all, err
}

// stopped waits until the process stands still. A signal that it was about to get then must be passed on.
func (v *View) stopped() (signal unix.Signal, err error) {
	for end := time.Now().Add(standstill); ; time.Sleep(50 * time.Microsecond) {
		var status unix.WaitStatus
		pid, err := unix.Wait4(v.Pid, &status, unix.WALL|unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, fmt.Errorf("waiting for process %d: %w", v.Pid, err)
		case pid == v.Pid && status.Stopped():
			if int(status)>>16 == unix.PTRACE_EVENT_STOP {
				return 0, nil
			}
			return status.StopSignal(), nil
		case pid == v.Pid:
			return 0, errors.New("it has ended")
		case time.Now().After(end):
			return 0, fmt.Errorf("process %d did not stop within %v to be traced", v.Pid, standstill)
		}
	}
}

// fetch reads the filters of a process that stands still, the one attached last first.
func (v *View) fetch() ([][]byte, error) {
	var all [][]byte
	for i := 0; ; i++ {
		length, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER, uintptr(v.Pid), uintptr(i), 0, 0, 0)
		if errno == unix.ENOENT {
			return all, nil
		}
		var code []byte
		if errno == 0 && length > 0 {
			code = make([]byte, 8*length)
			_, _, errno = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SECCOMP_GET_FILTER, uintptr(v.Pid), uintptr(i), uintptr(unsafe.Pointer(&code[0])), 0, 0)
		}
		if errno != 0 {
			return nil, fmt.Errorf("the kernel does not show filter %d: %w", i, errno)
		}
		all = append(all, code)
	}
}

// evaluate asks the filters about each call of this machine.
func (s *Seccomp) evaluate(programs [][]byte) error {
	native := linux.Native()
	s.Calls = len(native.Calls)
	if len(programs) == 0 {
		return nil
	}
	refused := map[string][]string{}
	for _, c := range native.Calls {
		answer, always, err := strictest(programs, native.Audit, c.Number)
		switch {
		case err != nil:
			return fmt.Errorf("reading a seccomp filter: %w", err)
		case !always:
			s.Sometimes = append(s.Sometimes, c.Name)
		case answer != "":
			refused[answer] = append(refused[answer], c.Name)
		}
	}
	for answer, calls := range refused {
		s.Refused = append(s.Refused, Refusal{answer, calls})
	}
	slices.SortFunc(s.Refused, func(a, b Refusal) int { return len(b.Calls) - len(a.Calls) })
	return nil
}

// strictest is what all filters together answer: the kernel asks each, and takes the strictest answer. Empty: the call is let through.
func strictest(programs [][]byte, arch, number uint32) (answer string, always bool, err error) {
	sometimes := false
	for _, p := range programs {
		answers, err := seccomp.Judge(p, arch, number)
		if err != nil {
			return "", false, err
		}
		refusing := 0
		for _, a := range answers {
			if refusal(a) != "" {
				refusing++
				answer = refusal(a)
			}
		}
		if refusing == len(answers) {
			return answer, true, nil
		}
		sometimes = sometimes || refusing > 0
	}
	if sometimes {
		return "", false, nil
	}
	return "", true, nil
}

// refusal words an answer; empty: the call is let through, perhaps with a word to somebody.
func refusal(answer uint32) string {
	switch data := answer & unix.SECCOMP_RET_DATA; answer & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG:
		return ""
	case unix.SECCOMP_RET_ERRNO:
		return unix.ErrnoName(unix.Errno(data))
	case unix.SECCOMP_RET_TRACE:
		return "a tracer decides"
	case unix.SECCOMP_RET_USER_NOTIF:
		return "an agent decides"
	case unix.SECCOMP_RET_TRAP:
		return "SIGSYS"
	case unix.SECCOMP_RET_KILL_THREAD:
		return "the thread is killed"
	}
	return "the process is killed"
}
