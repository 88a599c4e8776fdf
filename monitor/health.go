package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"glassbox/program"
	"glassbox/runtime"
	"glassbox/store"

	"golang.org/x/sys/unix"
)

// HealthState is how the checks went: Health.File. Whether the container is healthy is in State, which tables read.
type HealthState struct {
	FailingStreak int
	Log           []HealthResult // the last five, oldest first
}

// HealthResult is one check, in the words of Docker's API.
type HealthResult struct {
	Start, End time.Time
	ExitCode   int // -1: it took too long, or could not be executed
	Output     string
}

// The words of State.Health.
const (
	Starting  = "starting"
	Healthy   = "healthy"
	Unhealthy = "unhealthy"
)

const (
	healthKept   = 5    // results
	healthOutput = 4096 // bytes of a check's output
)

// littleGarbage lets the collector run at 1 MiB instead of 4: a check leaves 200 KiB, and there may be several between two renewals.
const littleGarbage = 25

// ExecFailed begins Docker's message about an exec that could not be started.
const ExecFailed = "OCI runtime exec failed: exec failed: unable to start container process: "

// health runs the container's checks, one at a time. What it knows between two of them is in State, in Health.File, and in due.
type health struct {
	m     *monitor
	due   time.Time // of the next check; zero: none, or one is running
	check *check
	kept  *HealthState // the file, once it was read
}

// check is one that is running.
type check struct {
	p     *process
	began time.Time
	until time.Time // afterwards it is killed
	said  said

	killed bool
	void   bool // nobody wants its result any more
}

// said is the beginning of what a check wrote.
type said struct {
	text []byte
	cut  bool
}

func (s *said) write(b []byte) {
	room := min(healthOutput-len(s.text), len(b))
	s.text = append(s.text, b[:room]...)
	s.cut = s.cut || room < len(b)
}

func (s *said) String() string {
	if s.cut {
		return string(s.text) + "..."
	}
	return string(s.text)
}

// begin is for a container that has just been started. As in Docker the results of its last life stay.
func (h *health) begin() {
	if h.wants() == nil {
		return
	}
	h.m.state.Health = Starting
	if s := h.read(); s.FailingStreak != 0 {
		s.FailingStreak = 0
		h.write()
	}
	h.again(time.Now())
}

// resume is for a monitor that has adopted a container.
func (h *health) resume() {
	if h.wants() != nil {
		h.again(time.Now())
	}
}

// wants is what was asked for, nil where no checks are.
func (h *health) wants() *Health { return h.m.config.Health }

// again schedules the next check.
func (h *health) again(now time.Time) {
	wants := h.wants()
	pause := wants.Interval
	if h.m.state.Health == Starting && now.Sub(h.m.state.StartedAt) < wants.StartPeriod {
		pause = wants.StartInterval
	}
	h.due = now.Add(pause)
}

// end is for a container that has ended: as in Docker it counts as unhealthy.
func (h *health) end() {
	if h.wants() == nil {
		return
	}
	h.due = time.Time{}
	h.m.state.Health = Unhealthy
	h.cancel()
}

// wake is when something has to be done by itself; zero: never.
func (h *health) wake() time.Time {
	switch {
	case h.check == nil:
		return h.due
	case h.check.killed:
		return time.Time{}
	}
	return h.check.until
}

// settle does what is due. The next check waits for one that takes its time to die.
func (h *health) settle(now time.Time) {
	if at := h.wake(); at.IsZero() || now.Before(at) {
		return
	}
	switch {
	case h.frozen(): // and nobody has told
		h.suspend()
		h.again(now)
	case h.check == nil:
		h.probe(now)
	default:
		h.kill()
	}
}

func (h *health) frozen() bool {
	frozen, err := h.m.group.Frozen()
	return err == nil && frozen
}

func (h *health) kill() {
	h.check.killed = true
	h.m.killSession(h.check.p)
}

// cancel ends a check whose result nobody wants any more.
func (h *health) cancel() {
	if h.check != nil {
		h.check.void = true
		h.kill()
	}
}

// look is called when the container was frozen or thawed. While it is frozen there are no checks, and, as in Docker, it counts
// as unhealthy until the next one.
func (h *health) look() {
	if h.wants() == nil || h.m.over || h.m.main().ended {
		return
	}
	if h.frozen() {
		h.suspend()
	}
	h.again(time.Now())
}

func (h *health) suspend() {
	h.cancel()
	if h.m.state.Health != Unhealthy {
		h.turn(Unhealthy)
	}
}

func (h *health) turn(word string) {
	h.m.state.Health = word
	if err := h.m.writeState(); err != nil {
		complain(err)
	}
}

// probe starts a check.
func (h *health) probe(now time.Time) {
	h.due = time.Time{}
	debug.SetGCPercent(littleGarbage)
	c := &check{p: &process{m: h.m, id: store.NewID(), pidfd: -1, console: -1}, began: now}
	args := h.wants().Process.Args
	line := args[0] + " " + strings.Join(args[1:], " ")
	h.m.reread()
	h.m.append(h.m.event("exec_create: "+line, "execID", c.p.id), h.m.event("exec_start: "+line, "execID", c.p.id))
	if err := h.start(c); err != nil {
		h.conclude(c, -1, unstarted(args[0], err))
		return
	}
	c.until = time.Now().Add(h.wants().Timeout)
	h.check = c
}

// start executes a check. Both its streams are one pipe, so that they come in the order in which they were written.
func (h *health) start(c *check) (err error) {
	spec := &ExecSpec{ID: c.p.id, Process: h.wants().Process}
	o := runtime.Options{Dir: h.m.dir}
	uid, gid, err := h.m.execOwner(spec)
	if err != nil {
		return err
	}
	if o.Stdin, err = os.Open(os.DevNull); err != nil {
		return err
	}
	if o.Stdout, err = execOutput(c.p, spec, Stdout, uid, gid); err != nil {
		o.Stdin.Close()
		return err
	}
	o.Stderr = o.Stdout
	c.p.outputs[0].said = &c.said
	_, err = h.m.enter(c.p, spec, o)
	return err
}

// unstarted is Docker's text for a check that could not be executed, as far as the errno alone tells.
func unstarted(name string, err error) string {
	var failure *program.Failure
	if !errors.As(err, &failure) || failure.Step.From != "process.args" {
		return ExecFailed + err.Error() + ": unknown"
	}
	why := failure.Errno.Error()
	switch {
	case failure.Errno == unix.ENOENT && !strings.Contains(name, "/"):
		why = "executable file not found in $PATH"
	case failure.Errno == unix.ENOENT:
		why = "stat " + name + ": " + why
	}
	return fmt.Sprintf("%sexec: %q: %s: unknown", ExecFailed, name, why)
}

// finished is called for every process that has ended.
func (h *health) finished(p *process) {
	c := h.check
	if c == nil || c.p != p {
		return
	}
	h.check = nil
	switch text := c.said.String(); {
	case c.void:
		return // look or begin have scheduled the next one, or there is none
	case !c.killed:
		h.conclude(c, p.code, text)
	case text == "":
		h.conclude(c, -1, fmt.Sprintf("Health check exceeded timeout (%v)", h.wants().Timeout))
	default:
		h.conclude(c, -1, fmt.Sprintf("Health check exceeded timeout (%v): %s", h.wants().Timeout, text))
	}
}

// conclude records a result.
func (h *health) conclude(c *check, code int, output string) {
	now := time.Now()
	s := h.read()
	s.Log = append(s.Log, HealthResult{Start: c.began.UTC(), End: now.UTC(), ExitCode: code, Output: output})
	s.Log = s.Log[max(0, len(s.Log)-healthKept):]
	word := h.judge(s, c, code)
	h.write()
	if word != h.m.state.Health {
		h.turn(word)
		h.m.tell("health_status: " + word)
	}
	h.again(now)
}

// judge counts failures, but for those in the start period of a container that has not been healthy yet.
func (h *health) judge(s *HealthState, c *check, code int) string {
	before := h.m.state.Health
	if code == 0 {
		s.FailingStreak = 0
		return Healthy
	}
	if before == Starting && c.began.Sub(h.m.state.StartedAt) < h.wants().StartPeriod {
		return before
	}
	s.FailingStreak++
	if s.FailingStreak >= h.wants().Retries {
		return Unhealthy
	}
	return before
}

// read takes a file that is missing or damaged for an empty one.
func (h *health) read() *HealthState {
	if h.kept != nil {
		return h.kept
	}
	h.kept = &HealthState{}
	b, err := os.ReadFile(h.wants().File)
	if err == nil {
		err = store.Decode(b, h.kept)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		complain(err)
		h.kept = &HealthState{}
	}
	return h.kept
}

func (h *health) write() {
	if err := store.Replace(h.wants().File, h.kept.encode(), 0o600); err != nil {
		complain(err)
	}
}

// encode does by hand what encoding/json would leave a hundred KiB of garbage for.
func (s *HealthState) encode() []byte {
	size := 64
	for _, r := range s.Log {
		size += 160 + len(r.Output)*9/8
	}
	b := append(make([]byte, 0, size), `{"FailingStreak":`...)
	b = append(strconv.AppendInt(b, int64(s.FailingStreak), 10), `,"Log":[`...)
	for i, r := range s.Log {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.Start.AppendFormat(append(b, `{"Start":"`...), time.RFC3339Nano)
		b = r.End.AppendFormat(append(b, `","End":"`...), time.RFC3339Nano)
		b = strconv.AppendInt(append(b, `","ExitCode":`...), int64(r.ExitCode), 10)
		b = store.AppendJSON(append(b, `,"Output":"`...), []byte(r.Output))
		b = append(b, `"}`...)
	}
	return append(b, "]}\n"...)
}
