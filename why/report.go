package why

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"glassbox/engine"
	"glassbox/event"
	"glassbox/linux"

	"golang.org/x/sys/unix"
)

// Report says why a container is as it is.
type Report struct {
	ID       string
	Name     string
	State    string   // "exited (137)", "running", "created"
	Verdict  string   // what ended it, and who
	Sender   string   `json:",omitempty"` // who sent the signal, as far as anybody knows
	Why      string   `json:",omitempty"` // the kernel's rule
	Evidence []Item   // line by line
	Return   string   `json:",omitempty"` // why it does not come back, or that it does
	Notes    []string `json:",omitempty"` // what was asked and is otherwise
	Check    string   `json:",omitempty"`
	Fix      string   `json:",omitempty"`
	Learn    string   `json:",omitempty"`

	next, purpose string // the next command
	own           bool   // the exit code says all there is
}

// Item is a piece of evidence, and where it stands.
type Item struct{ Source, Text string }

// inquiry is a container's evidence while it is judged.
type inquiry struct {
	*engine.Evidence
	Report
	now time.Time
}

// Container judges; code is the exit code that was asked about, -1 where none was.
func Container(e *engine.Evidence, code int) *Report {
	q := &inquiry{Evidence: e, now: time.Now()}
	q.Report.ID, q.Report.Name = e.ID, e.Name
	q.judge()
	q.compare(code)
	return &q.Report
}

// judge asks what is the case, in this order.
func (q *inquiry) judge() {
	s := q.Evidence.State
	switch {
	case q.Gone:
		q.removed()
	case q.Halted != nil:
		q.stepped()
	case q.Restarting:
		q.restarting()
	case q.Paused:
		q.paused()
	case q.Running:
		q.running()
	case q.failedStart():
		q.notStarted()
	case s.StartedAt.IsZero():
		q.neverStarted()
	default:
		q.ended()
		q.comesBack()
	}
}

func (q *inquiry) say(source, format string, a ...any) {
	q.Report.Evidence = append(q.Report.Evidence, Item{source, fmt.Sprintf(format, a...)})
}

// clock is a time as people read it: the day only where it is another one.
func (q *inquiry) clock(t time.Time) string {
	t = t.Local()
	if y, d := t.Year(), t.YearDay(); y == q.now.Year() && d == q.now.YearDay() {
		return t.Format("15:04:05.000")
	}
	return t.Format("2006-01-02 15:04:05")
}

// span is a duration for people.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(time.Second / 10).String()
	}
	return d.Round(time.Second).String()
}

// sum writes 137 as 128 + 9.
func sum(sig unix.Signal) string { return fmt.Sprintf("%d = 128 + %d", 128+int(sig), sig) }

func signalName(sig unix.Signal) string { return linux.Signal(int(sig)) }

// sent is a signal that glassbox has sent, as the journal has it.
type sent struct {
	unix.Signal
	event.Event
}

// sentSignals are those of the last life, in order.
func (q *inquiry) sentSignals() (all []sent) {
	for _, e := range q.Life() {
		if e.Action != "kill" || e.Time.Before(q.Evidence.State.StartedAt) {
			continue
		}
		if n, err := strconv.Atoi(e.Attributes["signal"]); err == nil {
			all = append(all, sent{unix.Signal(n), e})
		}
	}
	return all
}

// by is who has sent it.
func (s sent) by() string {
	who := s.Notes[engine.NoteCommand]
	if who == "" {
		who = "glassbox"
	}
	var more []string
	if pid := s.Notes[engine.NotePid]; pid != "" {
		more = append(more, "process "+pid)
	}
	if uid := s.Notes[engine.NoteUID]; uid != "" {
		user := "user " + uid
		if from := s.Notes[engine.NoteSudo]; from != "" {
			user += " by sudo from " + from
		}
		more = append(more, user)
	}
	if tty := s.Notes[engine.NoteTTY]; tty != "" {
		more = append(more, "at "+tty)
	}
	if more == nil {
		return who
	}
	return who + " (" + strings.Join(more, ", ") + ")"
}

// hears says what PID 1 did with it, when it was sent.
func (s sent) hears() string {
	name := s.Notes[engine.NoteName]
	switch s.Notes[engine.NoteHandler] {
	case engine.Caught:
		return fmt.Sprintf("PID 1 (%s) had a handler for it (SigCgt)", name)
	case engine.Ignores:
		return fmt.Sprintf("PID 1 (%s) ignored it (SigIgn)", name)
	case engine.Blocked:
		return fmt.Sprintf("PID 1 (%s) had it blocked (SigBlk)", name)
	case engine.Default:
		return fmt.Sprintf("PID 1 (%s) had no handler for it (SigCgt)", name)
	}
	return ""
}

// tellJournal writes the journal's lines of the last life as evidence.
func (q *inquiry) tellJournal() {
	const most = 12
	var lines []Item
	for _, e := range q.Life() {
		if line := q.line(e); line != "" {
			lines = append(lines, Item{"journal " + q.clock(e.Time), line})
		}
	}
	if n := len(lines) - most; n > 0 {
		lines = append(lines[:1], append([]Item{{"journal", fmt.Sprintf("%d lines left out", n)}}, lines[1+n:]...)...)
	}
	q.Report.Evidence = append(q.Report.Evidence, lines...)
}

func (q *inquiry) line(e event.Event) string {
	switch e.Action {
	case "kill":
		n, _ := strconv.Atoi(e.Attributes["signal"])
		s := sent{unix.Signal(n), e}
		line := fmt.Sprintf("kill signal=%d (%s) by %s", n, signalName(s.Signal), s.by())
		if hears := s.hears(); hears != "" && s.Signal != unix.SIGKILL {
			line += "; " + hears
		}
		return line
	case "die":
		return fmt.Sprintf("die exitCode=%s after %s s", e.Attributes["exitCode"], e.Attributes["execDuration"])
	case "exec_die":
		if e.Attributes["exitCode"] == "0" {
			return ""
		}
		return "an exec ended with exitCode=" + e.Attributes["exitCode"]
	case "start", "stop", "restart", "oom", "pause", "unpause", "destroy":
		return e.Action
	}
	if strings.HasPrefix(e.Action, "health_status") {
		return e.Action
	}
	return ""
}

// Own says that there is nothing to tell that the exit code does not: its meaning is the program's.
func (r *Report) Own() bool { return r.own }
