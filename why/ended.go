package why

import (
	"fmt"
	"strings"
	"time"

	"glassbox/cgroups"
	"glassbox/engine"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// ended is for a container whose first process has ended.
func (q *inquiry) ended() {
	s := q.Evidence.State
	q.Report.State = fmt.Sprintf("exited (%d)", s.ExitCode)
	q.next, q.purpose = "glassbox logs "+q.Report.Name, "what it said last"
	end := "ended by itself"
	if s.Signal != 0 {
		end = "ended by signal " + fmt.Sprint(s.Signal)
	}
	q.say("state.json", "ExitCode %d, PID 1 %s, at %s, after %s", s.ExitCode, end, q.clock(s.FinishedAt), span(q.Ran()))
	q.tellJournal()
	all, sig := q.sentSignals(), unix.Signal(s.Signal)
	switch {
	case strings.Contains(s.Error, "not observed"), strings.Contains(s.Error, "was damaged"):
		q.unobserved()
	case s.OOMKilled:
		q.outOfMemory()
	case sig == unix.SIGKILL:
		q.killed(all)
	case sig != 0:
		q.signalled(sig, all)
	default:
		q.exited(all)
	}
	if n := s.Last.Counts.ForksRefused; n > 0 {
		q.say("pids.events: max", "%d: fork was refused so often at pids.max %s", n, amount(s.Last.Counts.PidsMax))
	}
}

func amount(n uint64) string {
	if n == cgroups.Unlimited {
		return "max"
	}
	return fmt.Sprint(n)
}

func sizeOf(n uint64) string {
	if n == cgroups.Unlimited {
		return "max"
	}
	return units.BytesSize(float64(n))
}

func (q *inquiry) unobserved() {
	q.Verdict = "nobody saw how it ended: " + strings.TrimPrefix(q.Evidence.State.Error, "exit status not observed: ")
	q.Why = "only the parent of a process is told its exit status, and the parent, the container's monitor, was gone; 255 stands for that"
	q.say("state.json", "Error: %s", q.Evidence.State.Error)
	q.Check, q.Learn = "last -x reboot | head -1", "lifecycle"
	q.Fix = "glassbox start " + q.Report.Name
}

// outOfMemory: the limit was reached, and the kernel chose a process. If that was PID 1 the container ended; if it was another, PID 1 may have
// ended because of that.
func (q *inquiry) outOfMemory() {
	s, m := q.Evidence.State, q.Memory
	limit := "its limit, or that of a group above it"
	q.Fix = "give it a limit that it can live with: -m"
	if m > 0 {
		limit = "its limit of " + units.BytesSize(float64(m))
		q.Fix = fmt.Sprintf("glassbox update -m %d --memory-swap %d %s, and start it again", 2*m, 4*m, q.Report.Name)
	}
	q.Verdict = "the kernel's OOM killer ended it: its memory had reached " + limit
	if s.Signal != int(unix.SIGKILL) {
		q.Verdict = fmt.Sprintf("it ended with %d after the kernel's OOM killer had ended a process in it: its memory had reached %s", s.ExitCode, limit)
	}
	q.Sender = "the kernel"
	q.Why = "when a group is at memory.max and nothing can be reclaimed, the kernel sends SIGKILL to a process in it (" + sum(unix.SIGKILL) + "); nobody can catch that"
	c := s.Last.Counts
	q.say("memory.events: oom_kill", "%d, when it had ended", c.OOMKills)
	if c.MemoryMax != 0 {
		q.say("memory.max", "%s; memory.peak: %s", sizeOf(c.MemoryMax), sizeOf(c.MemoryPeak))
	}
	lines, err := kernelLog(s.StartedAt, s.FinishedAt, func(line string) bool {
		return strings.Contains(line, "oom-kill:") && strings.Contains(line, q.Report.ID)
	})
	q.tellLog(lines, err, "which process it was")
	q.Check, q.Learn = "dmesg | grep -A1 oom-kill", "memory-limit"
	q.next, q.purpose = "glassbox lab start memory-limit", "see it happen"
}

// tellLog adds lines of the kernel's log.
func (q *inquiry) tellLog(lines []string, err error, what string) {
	switch {
	case err != nil:
		q.say("kernel log", "cannot be read (%v): %s is not known", err, what)
	case len(lines) == 0:
		q.say("kernel log", "says nothing of it, or no longer: %s is not known", what)
	}
	const most = 3
	for _, l := range lines[max(0, len(lines)-most):] {
		q.say("kernel log", "%s", oomWords(l))
	}
}

// oomWords shortens the OOM killer's line to what it says of the victim.
func oomWords(line string) string {
	_, after, is := strings.Cut(line, "oom-kill:")
	if !is {
		return line
	}
	var words []string
	for _, f := range strings.Split(after, ",") {
		name, _, _ := strings.Cut(f, "=")
		if name == "constraint" || name == "task" || name == "pid" || name == "uid" {
			words = append(words, f)
		}
	}
	return "oom-kill: " + strings.Join(words, ", ") + " (pid as the host counts)"
}

// recordedBy is what the kernel keeps of a signal's sender.
const recordedBy = "The kernel keeps no record of who sends a signal: a parent is told the number only"

// killed tells SIGKILL's senders apart.
func (q *inquiry) killed(all []sent) {
	last := -1
	for i, one := range all {
		if one.Signal == unix.SIGKILL {
			last = i
			break
		}
	}
	head := "ended by SIGKILL (" + sum(unix.SIGKILL) + ")"
	q.Learn = "pid-1"
	switch {
	case last < 0:
		q.killedByOthers(head)
	case last == 0:
		q.Sender = all[0].by()
		q.Verdict = head + ", which " + command(all[0]) + " sent: nothing was asked of it before"
		q.Why = "kill, rm -f, and stop and restart with a grace period of 0 send SIGKILL at once; the program is told nothing and can clean up nothing"
		q.Fix = "glassbox stop lets a program end by itself first"
	default:
		q.overdue(head, all[last-1], all[last])
	}
}

// command is glassbox's own that has sent a signal.
func command(s sent) string {
	if name := s.Notes[engine.NoteCommand]; name != "" {
		return name
	}
	return "glassbox"
}

// overdue: a first signal, the grace period, SIGKILL.
func (q *inquiry) overdue(head string, first, kill sent) {
	grace := span(kill.Time.Sub(first.Time))
	q.Sender = kill.by()
	q.Verdict = fmt.Sprintf("%s: %s had sent %s %s before, which did not end it", head, command(kill), signalName(first.Signal), grace)
	name := first.Notes[engine.NoteName]
	switch first.Notes[engine.NoteHandler] {
	case engine.Default:
		q.Why = fmt.Sprintf("PID 1 (%s) had no handler for %s, and the kernel drops a signal to the PID 1 of a PID namespace that has none for it: the grace period passed for nothing", name, signalName(first.Signal))
		q.Fix = "--init puts a PID 1 before it that passes signals on; or handle the signal (trap in a shell), or exec the program: CMD [\"prog\"] instead of CMD prog"
	case engine.Ignores, engine.Blocked:
		q.Why = fmt.Sprintf("PID 1 (%s) ignored or blocked %s (SigIgn, SigBlk): the grace period passed for nothing", name, signalName(first.Signal))
		q.Fix = "another signal: --stop-signal, or STOPSIGNAL in the Dockerfile"
	case engine.Caught:
		q.Why = fmt.Sprintf("PID 1 (%s) has a handler for %s and did not end within the grace period: it works longer, passes the signal on to nobody, or waits for a child (a shell runs its trap only when the command in front has ended)", name, signalName(first.Signal))
		q.Fix = "a longer grace period: -t SECONDS; in a shell: run the command with & and wait"
	default:
		q.Why = "stop and restart send a signal, wait for the grace period, and then send SIGKILL; PID 1 gets only signals that it has a handler for"
		q.Fix = "handle the signal, or let --init do it; a longer grace period is -t SECONDS"
	}
	q.Check = "grep SigCgt /proc/PID/status   # bit " + fmt.Sprint(int(first.Signal)-1)
	q.next, q.purpose = "glassbox lab start pid-1", "see it happen"
}

// killedByOthers: not by glassbox, and not from inside, where PID 1 is immune to it.
func (q *inquiry) killedByOthers(head string) {
	s := q.Evidence.State
	oom, err := kernelLog(s.StartedAt, s.FinishedAt, func(line string) bool {
		return strings.Contains(line, "Out of memory: Killed process "+itoa(s.Last.Pid)+" ") || strings.Contains(line, "oom-kill:") && strings.Contains(line, "pid="+itoa(s.Last.Pid)+",")
	})
	q.Check = "dmesg | grep -iE 'killed process|out of memory'"
	parentOver := !q.PidsOver.IsZero() && s.FinishedAt.Sub(q.PidsOver).Abs() < 2*time.Second
	switch {
	case len(oom) > 0:
		q.Verdict, q.Sender = head+" by the kernel: the whole machine was out of memory", "the kernel"
		q.Why = "no limit of the container's own was reached; the kernel chose the process whose end frees most"
		q.Fix = "limits for all containers (-m), so that none takes what the others need"
		q.Learn = "memory-limit"
		q.tellLog(oom, nil, "")
		return
	case parentOver:
		q.Verdict, q.Sender = head+" by the kernel, with the PID namespace of container "+q.Pids, "the kernel"
		q.Why = "when PID 1 of a PID namespace ends, the kernel kills everybody else in it (pid_namespaces(7)); this container lived in that of " + q.Pids
		q.say("state.json of "+q.Pids, "FinishedAt %s", q.clock(q.PidsOver))
		q.Fix, q.Learn = "start "+q.Pids+" first, then this one; or give it a PID namespace of its own", "pid-namespace"
		return
	}
	q.Verdict = head + ", which glassbox did not send"
	q.Sender = "not recorded: somebody on the host, or the kernel"
	if q.Pids == "" {
		q.Why = "it came from outside: from inside its PID namespace PID 1 cannot be killed (pid_namespaces(7)). " + recordedBy
	} else {
		q.Why = "it came from anybody who may signal it: it has no PID namespace of its own. " + recordedBy
	}
	if err != nil {
		q.say("kernel log", "cannot be read (%v): whether the machine was out of memory is not known", err)
	} else {
		q.say("kernel log", "no OOM kill of process %d", s.Last.Pid)
	}
	q.Fix = "to know the next sender: auditctl -a always,exit -S kill,pidfd_send_signal, or the tracepoint signal:signal_generate"
}

// signalled: PID 1 itself was ended by another signal than SIGKILL.
func (q *inquiry) signalled(sig unix.Signal, all []sent) {
	name := signalName(sig)
	q.Verdict = fmt.Sprintf("ended by %s (%s)", name, sum(sig))
	q.Learn = "lifecycle"
	for _, one := range all {
		if one.Signal == sig {
			q.Sender = one.by()
			q.Verdict += ", which " + command(one) + " had sent"
		}
	}
	m, known := meaningOf(sig)
	if known {
		q.Why, q.Check, q.Fix = m.why, m.check, m.fix
		if m.forced && q.Sender == "" {
			q.Sender = "the kernel, because of what the program did"
		}
	}
	if q.Sender == "" {
		q.Sender = "not recorded. " + recordedBy
	}
	if !m.forced {
		return
	}
	s := q.Evidence.State
	lines, err := kernelLog(s.StartedAt, s.FinishedAt, func(line string) bool { return strings.Contains(line, "["+itoa(s.Last.Pid)+"]") })
	if err == nil && len(lines) > 0 {
		q.tellLog(lines, nil, "")
	}
}

// exited: PID 1 ended by itself, and its code may pass on what happened to another.
func (q *inquiry) exited(all []sent) {
	s := q.Evidence.State
	q.Learn = "lifecycle"
	q.Sender = ""
	switch code := s.ExitCode; {
	case code > 128 && code <= 128+64:
		q.passedOn(unix.Signal(code-128), all)
	case len(all) > 0:
		one := all[len(all)-1]
		q.Sender = one.by()
		q.Verdict = fmt.Sprintf("it ended by itself, with %d, %s after %s had sent %s", code, span(s.FinishedAt.Sub(one.Time)), command(one), signalName(one.Signal))
		q.Why = "PID 1 had a handler for the signal, which does what is to be done at the end and calls exit"
		q.Learn = "pid-1"
	case code == 126 || code == 127:
		what := map[int]string{126: "may not be executed", 127: "does not exist"}[code]
		q.Verdict = fmt.Sprintf("its program started, and ended with %d", code)
		q.Why = fmt.Sprintf("with that code a shell says that a command %s; a container whose own program cannot be started stays Created", what)
		q.Check, q.Learn = "glassbox logs "+q.Report.Name, "first-container"
		q.Fix = "correct the command's name, or install it in the image"
	case code == 0:
		q.Verdict = "its program was done: it ended by itself, with 0"
		q.Why = "a container lives as long as its PID 1"
		q.Fix = "let PID 1 be a program that stays; a shell needs its stdin: run -dit"
		q.Learn = "first-container"
	default:
		q.own = true
		q.Verdict = fmt.Sprintf("its program ended by itself, with %d", code)
		q.Why = "what the number means is the program's own; 1 is the usual word for an error, of which it mostly has told"
		if code == 255 {
			q.Why = "what the number means is the program's own: exit(-1) is 255"
		}
		q.Check = "glassbox logs " + q.Report.Name
	}
	if words := lastLine(q.LastWords()); words != "" && s.ExitCode != 0 {
		q.say("log, last line", "%s", words)
	}
}

// passedOn: shells and --init end with 128 + N when what they waited for was ended by signal N.
func (q *inquiry) passedOn(sig unix.Signal, all []sent) {
	name := signalName(sig)
	q.Verdict = fmt.Sprintf("it ended by itself, with %s", sum(sig))
	q.Why = fmt.Sprintf("shells and --init say by such a code that the command they waited for was ended by %s; the container's PID 1 was not", name)
	for _, one := range all {
		if one.Signal == sig {
			q.Sender = one.by()
			q.Verdict = fmt.Sprintf("its command was ended by %s, which %s had sent, and PID 1 passed that on: %s", name, command(one), sum(sig))
			q.Learn = "pid-1"
		}
	}
	if m, known := meaningOf(sig); known && q.Sender == "" {
		q.Why += ". " + name + ": " + m.why
		q.Check, q.Fix = m.check, m.fix
	}
	if q.Sender == "" && sig == unix.SIGKILL {
		q.Sender = "not recorded: somebody inside or on the host; no limit of memory was reached (memory.events: oom_kill 0)"
	}
}

// lastLine is the last one that says something.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	const most = 160
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return line
}

// signalMeaning is what usually stands behind a signal.
type signalMeaning struct {
	signal          unix.Signal
	forced          bool // the kernel sends it for what the program did
	why, check, fix string
}

var signalMeanings = [...]signalMeaning{
	{signal: unix.SIGSEGV, forced: true, why: "the kernel sends it to a program that touches memory which it does not have: mostly a bug, or a program for another libc or CPU", check: "dmesg | grep segfault", fix: "the program's own bug: a core dump (--ulimit core=-1) shows where"},
	{signal: unix.SIGBUS, forced: true, why: "the kernel sends it for memory that has no file behind it any more; a full /dev/shm does that", check: "df -h /dev/shm inside", fix: "a larger one: --shm-size 256m"},
	{signal: unix.SIGILL, forced: true, why: "the kernel sends it to a program whose next instruction this CPU does not have", check: "grep flags /proc/cpuinfo", fix: "a build for this CPU"},
	{signal: unix.SIGFPE, forced: true, why: "the kernel sends it to a program that divides by zero", fix: "the program's own bug"},
	{signal: unix.SIGSYS, forced: true, why: "a seccomp filter sends it to a program that makes a system call which the filter forbids", check: "dmesg | grep 'type=1326'", fix: "--security-opt seccomp=unconfined shows whether it is that"},
	{signal: unix.SIGABRT, why: "programs send it to themselves, by abort(3), when they find themselves broken", check: "glassbox logs CONTAINER", fix: "what it said before tells why"},
	{signal: unix.SIGPIPE, why: "the kernel sends it to a program that writes into a pipe which nobody reads any more"},
	{signal: unix.SIGTERM, why: "stop sends it, as anybody may: the program ended without a handler of its own, which PID 1 of a PID namespace never would"},
	{signal: unix.SIGXCPU, why: "the kernel sends it to a program that has used up its CPU time", fix: "--ulimit cpu=-1"},
	{signal: unix.SIGXFSZ, why: "the kernel sends it to a program that makes a file larger than it may", fix: "--ulimit fsize=-1"},
	{signal: unix.SIGINT, why: "Ctrl-C sends it to who stands in front at a terminal"},
	{signal: unix.SIGHUP, why: "it is sent when a terminal goes"},
}

func meaningOf(sig unix.Signal) (signalMeaning, bool) {
	for _, m := range signalMeanings {
		if m.signal == sig {
			return m, true
		}
	}
	return signalMeaning{}, false
}
