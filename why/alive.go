package why

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/binfmt"
	"glassbox/engine"
	"glassbox/event"
	"glassbox/monitor"

	"golang.org/x/sys/unix"
)

// running: what keeps it alive is its PID 1.
func (q *inquiry) running() {
	s := q.Evidence.State
	q.Report.State, q.Learn = "running", "first-container"
	one := &probe{pid: itoa(s.Pid)}
	name := one.status("Name")
	q.Verdict = fmt.Sprintf("it has not ended: PID 1 (%s, process %d on the host) lives, and a container lives as long as that", name, s.Pid)
	q.Why = "the kernel ends a PID namespace with its PID 1, and not before; what else runs in it does not count"
	q.say("/proc/"+itoa(s.Pid)+"/status", "Name: %s, State: %s", name, one.status("State"))
	if at, err := read(one.proc("wchan")); err == nil && at != "" && at != "0" {
		q.say("/proc/"+itoa(s.Pid)+"/wchan", "%s: where in the kernel it waits", at)
	}
	if term := engine.Disposition(s.Pid, unix.SIGTERM); term != "" {
		q.say("/proc/"+itoa(s.Pid)+"/status", "SigCgt: SIGTERM is %s by PID 1: %s", handled(term), outlook(term))
	}
	if q.Group != "" {
		if all, err := members(q.Group); err == nil {
			q.say(q.Group+"/cgroup.procs", "%d: %s", len(all), list(all))
		}
	}
	for _, z := range q.Zombies {
		q.Notes = append(q.Notes, z.String()+"; "+z.Fix())
	}
	q.tellJournal()
	q.health()
	q.before()
	q.Fix = "glassbox stop " + q.Report.Name + " ends it"
	q.next, q.purpose = "glassbox view "+q.Report.Name, "what it is made of"
}

func handled(word string) string {
	if word == engine.Default {
		return "not handled"
	}
	return word
}

func outlook(word string) string {
	if word == engine.Caught {
		return "stop will ask it to end"
	}
	return "stop will take its whole grace period"
}

// health: a check that fails ends nothing.
func (q *inquiry) health() {
	if q.Evidence.State.Health == "" {
		return
	}
	q.say("state.json", "Health: %s", q.Evidence.State.Health)
	if n := len(q.Checks.Log); n > 0 {
		last := q.Checks.Log[n-1]
		q.say("health.json "+q.clock(last.End), "ExitCode %d, %d failures in a row: %s", last.ExitCode, q.Checks.FailingStreak, lastLine(last.Output))
	}
	if q.Evidence.State.Health == monitor.Unhealthy {
		q.Notes = append(q.Notes, "It is unhealthy, and nobody restarts it for that: Docker's rule, and ours. A check that takes too long is killed; the container is not")
	}
}

// before tells of lives before this one.
func (q *inquiry) before() {
	if n := q.Evidence.State.Restarts; n > 0 {
		q.say("state.json", "Restarts: %d, by its restart policy (%s)", n, q.policy())
	}
	for _, e := range slices.Backward(q.Events) {
		if e.Action == "die" {
			q.say("journal "+q.clock(e.Time), "the life before ended with exitCode=%s", e.Attributes["exitCode"])
			return
		}
	}
}

func (q *inquiry) policy() string {
	p := q.Evidence.Policy
	switch {
	case p.Policy == "":
		return "no"
	case p.Max > 0:
		return p.Policy + ":" + itoa(p.Max)
	}
	return p.Policy
}

func (q *inquiry) paused() {
	q.Report.State, q.Learn = "paused", "freeze"
	q.Verdict = "it has not ended: all its processes stand still, and take no processor time"
	q.Why = "the kernel's freezer holds every process of its group where it is; signals wait, but for SIGKILL"
	if text, err := read(q.Group + "/cgroup.freeze"); err == nil {
		q.say(q.Group+"/cgroup.freeze", "%s", text)
	}
	q.tellJournal()
	q.Fix = "glassbox unpause " + q.Report.Name
	q.next, q.purpose = q.Fix, "it goes on where it was"
}

func (q *inquiry) stepped() {
	h := q.Halted
	q.Report.State, q.Learn = "being started, step by step", "first-container"
	q.Verdict = fmt.Sprintf("it waits for who steps through its start (process %d), before %s", h.Stepper, h.Call)
	q.Why = h.Why
	what := fmt.Sprintf("step %d", h.Number)
	if h.Number == 0 {
		what = "a request of the host's"
	}
	q.say("step.json", "phase %s, %s", h.Phase, what)
	if h.Pid != 0 {
		q.say("step.json", "the container's process is %d, and waits", h.Pid)
	}
	q.next, q.purpose = "glassbox view "+q.Report.Name, "what is made of it by now"
}

func (q *inquiry) restarting() {
	q.ended()
	q.Report.State = fmt.Sprintf("restarting (%d)", q.Evidence.State.ExitCode)
	q.say("state.json", "Restarts: %d", q.Evidence.State.Restarts)
	q.Return = fmt.Sprintf("yes: its restart policy (%s) starts it again; that was end number %d since somebody started it. The pause doubles each time, up to a minute", q.policy(), q.Evidence.State.Restarts)
	q.next, q.purpose = "glassbox stop "+q.Report.Name, "ends the restarts"
}

// comesBack says why it does not.
func (q *inquiry) comesBack() {
	p, s := q.Evidence.Policy, q.Evidence.State
	switch {
	case strings.HasPrefix(s.Error, "starting it again: "):
		q.Return = "no: its restart policy (" + q.policy() + ") wanted it back, and that start failed: " + strings.TrimPrefix(s.Error, "starting it again: ")
	case s.Error == monitor.NotStartedAgain || strings.HasPrefix(s.Error, "not started again"):
		q.Return = "no: its restart policy (" + q.policy() + ") wanted it back: " + s.Error
	case p.Policy == "" || p.Policy == "no":
		q.Return = "no: it has no restart policy (--restart)"
	case q.Evidence.Stopped:
		q.Return = "no: a user has told it to end, and that counts more than its restart policy (" + q.policy() + ")"
	case p.Policy == monitor.OnFailure && s.ExitCode == 0:
		q.Return = "no: on-failure means an exit code other than 0"
	case p.Policy == monitor.OnFailure && p.Max > 0 && s.Restarts >= p.Max:
		q.Return = fmt.Sprintf("no: it was started again %s, as often as %s allows", times(s.Restarts), q.policy())
	}
	if q.Return != "" {
		q.say("container.json", "RestartPolicy: %s", q.policy())
	}
}

func (q *inquiry) removed() {
	q.Report.State, q.Learn = "removed", "lifecycle"
	q.Verdict = "it was removed: all that is left are its lines in the journal"
	var over time.Time
	for _, e := range q.Events {
		switch e.Action {
		case "die":
			q.Verdict = fmt.Sprintf("it was removed, after it had ended with %s: all that is left are its lines in the journal", e.Attributes["exitCode"])
		case "destroy":
			over = e.Time
		}
	}
	if all := q.sentSignals(); len(all) > 0 {
		q.Sender = all[len(all)-1].by()
	}
	q.Why = "with --rm a container goes when it ends; rm removes one that has ended, rm -f any. Its record, its log and its writable layer go with it"
	q.tellJournal()
	q.Notes = append(q.Notes, "Removed at "+q.clock(over))
	q.Fix = "leave out --rm to be able to look at what ended"
	q.next, q.purpose = "glassbox ps -a", "what is there"
}

// failedStart: the last thing that happened to it is a start that came to nothing.
func (q *inquiry) failedStart() bool {
	e := q.Evidence.State.Error
	return e != "" && !strings.Contains(e, "not observed") && !strings.Contains(e, "was damaged") && !strings.HasPrefix(e, "not started again") && !strings.HasPrefix(e, "starting it again")
}

func (q *inquiry) neverStarted() {
	q.Report.State, q.Learn = "created", "lifecycle"
	q.Verdict = "nobody has started it: it is a record, and no process"
	q.Why = "create makes the record and claims the name; the kernel hears of a container when it is started"
	q.tellJournal()
	q.Fix = "glassbox start " + q.Report.Name
	q.next, q.purpose = q.Fix, "run it"
}

// notStarted: what failed is in its state, with the step and the field that asked for it.
func (q *inquiry) notStarted() {
	s := q.Evidence.State
	q.Report.State, q.Learn = fmt.Sprintf("not started (%d)", s.ExitCode), "first-container"
	words := s.Error
	if _, after, found := strings.Cut(words, "unable to start container process: "); found {
		words = after
	}
	words = strings.TrimSuffix(strings.TrimPrefix(words, "error during container init: "), ": unknown")
	q.Verdict = "its start failed, so its program never ran: " + words
	q.say("state.json", "ExitCode %d, Error: %s", s.ExitCode, words)
	q.tellJournal()
	q.next, q.purpose = "glassbox start "+q.Report.Name, "try again"
	if q.unrunnable(words) {
		return
	}
	if k := knownIn(words); k != nil {
		a := k.ask(&probe{pid: "self", open: binfmt.Host}, k.Calls[0])
		best := a.Causes[0]
		q.Why, q.Check, q.Fix, q.Learn = best.Why, best.Check, best.Fix, best.Learn
		q.next, q.purpose = fmt.Sprintf("glassbox why %s %s", a.Errno, a.Call), "its causes, tested"
		return
	}
	if c := cardOf(words); c != nil {
		q.Why, q.Check, q.Fix = c.Why, c.Check, c.Fix
		if c.Learn != "" {
			q.Learn = c.Learn
		}
	}
}

// unrunnable examines the program where the error is about executing it.
func (q *inquiry) unrunnable(words string) bool {
	if !strings.Contains(words, "exec: ") && !strings.Contains(words, "execve") {
		return false
	}
	name := q.found()
	if name == "" {
		q.Why = "no directory in the container's PATH holds a file of that name"
		q.say("image", "%s is in none of %s", q.Program, strings.Join(q.Path, ":"))
		q.Check, q.Fix = "glassbox run --rm --entrypoint ls IMAGE /bin /usr/bin", "give the whole path, or another command"
		return true
	}
	r, err := binfmt.Examine(q.Open, name)
	if err != nil || r == nil {
		return false
	}
	for _, line := range r.Evidence {
		q.say("image", "%s", line)
	}
	q.Why, q.Check, q.Fix = r.Why, r.Check, r.Fix
	q.next, q.purpose = fmt.Sprintf("glassbox why %s execve %s:%s", meaning(r.Errno).Name, q.Report.Name, name), "all causes, tested"
	return true
}

// found is the file that a program's name means; empty: none.
func (q *inquiry) found() string {
	if strings.Contains(q.Program, "/") {
		return q.Program
	}
	for _, dir := range q.Path {
		f, err := q.Open(dir + "/" + q.Program)
		if err == nil {
			f.Close()
			return dir + "/" + q.Program
		}
	}
	return ""
}

// compare says whether the code that was asked about is the container's.
func (q *inquiry) compare(code int) {
	if code < 0 {
		return
	}
	if q.Gone || q.Running || q.Evidence.State.StartedAt.IsZero() && !q.failedStart() {
		if e := q.execEnded(code); e != nil {
			q.Notes = append(q.Notes, fmt.Sprintf("%d is not the container's: an exec ended with it, at %s", code, q.clock(e.Time)))
			return
		}
		if q.Gone && slices.ContainsFunc(q.Events, func(e event.Event) bool { return e.Action == "die" && e.Attributes["exitCode"] == itoa(code) }) {
			return
		}
		q.Notes = append(q.Notes, fmt.Sprintf("%d is not its exit code: it has none now", code))
		return
	}
	if own := q.Evidence.State.ExitCode; own != code {
		note := fmt.Sprintf("%d is not its exit code: that is %d", code, own)
		if e := q.execEnded(code); e != nil {
			note += fmt.Sprintf("; an exec in it ended with %d, at %s", code, q.clock(e.Time))
		}
		q.Notes = append(q.Notes, note)
	}
}

func (q *inquiry) execEnded(code int) *event.Event {
	for i, e := range slices.Backward(q.Events) {
		if e.Action == "exec_die" && e.Attributes["exitCode"] == strconv.Itoa(code) {
			return &q.Events[i]
		}
	}
	return nil
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return itoa(n) + " times"
}
