package why

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"glassbox/test/need"
	"glassbox/test/world"
)

// machine is glassbox with directories of its own. What it started goes at the end.
type machine struct{ testing.TB }

func newMachine(t testing.TB) *machine {
	t.Helper()
	need.Root(t)
	need.Hierarchy(t)
	world.Own(t)
	t.Setenv("DIR", t.TempDir())
	m := &machine{t}
	t.Cleanup(func() { m.sh("glassbox ps -aq | xargs -r glassbox rm -f") })
	return m
}

// sh runs a script, whose own end is of no interest: containers fail on purpose.
func (m *machine) sh(script string) string {
	m.Helper()
	out, _ := exec.Command("timeout", "120", "sh", "-c", script).CombinedOutput() // what a script waits for may never come
	return strings.TrimRight(string(out), "\n")
}

// report is what glassbox says of a container.
func (m *machine) report(words string) *Report {
	m.Helper()
	out, err := exec.Command("sh", "-c", "glassbox why --format json "+words).CombinedOutput()
	var r Report
	if err != nil || json.Unmarshal(out, &r) != nil {
		m.Fatalf("why %s: %v\n%s", words, err, out)
	}
	return &r
}

func (r *Report) has(text string) bool {
	return slices.ContainsFunc(r.Evidence, func(i Item) bool { return strings.Contains(i.Source+": "+i.Text, text) })
}

// fate is how a container comes to its end, and what must be said of it.
type fate struct {
	script   string // $C is its name
	ask      string // instead of the name alone
	state    string
	verdict  string
	sender   string
	why      string
	evidence []string
	comes    string // why it comes back, or not
	note     string
}

const run = "glassbox run --name $C --network none "

var fates = map[string]fate{
	"own exit":        {script: run + "tiny sh -c 'echo it broke >&2; exit 3'", state: "exited (3)", verdict: "its program ended by itself, with 3", evidence: []string{"state.json: ExitCode 3", "die exitCode=3", "log, last line: it broke"}, comes: "no restart policy"},
	"done":            {script: run + "tiny true", state: "exited (0)", verdict: "its program was done"},
	"no such command": {script: run + "tiny sh -c nosuch", state: "exited (127)", verdict: "its program started, and ended with 127", why: "a command does not exist"},
	"255":             {script: run + "tiny sh -c 'exit 255'", state: "exited (255)", why: "exit(-1) is 255"},
	"stop of the deaf": {
		script: run + "-d tiny sh -c 'echo ready; while :; do sleep 1; done'; until glassbox logs $C | grep -q ready; do :; done; glassbox stop -t 1 $C", ask: "137", state: "exited (137)",
		verdict: "ended by SIGKILL (137 = 128 + 9): glassbox stop had sent SIGTERM ", sender: "glassbox stop (process ", why: "had no handler for SIGTERM",
		evidence: []string{"kill signal=15 (SIGTERM) by glassbox stop", "PID 1 (sh) had no handler for it (SigCgt)", "kill signal=9 (SIGKILL) by glassbox stop"},
	},
	"stop of the slow": {
		script: run + `-d tiny sh -c 'trap "echo heard" TERM; echo ready; while :; do sleep 1; done'; until glassbox logs $C | grep -q ready; do :; done; glassbox stop -t 1 $C`, state: "exited (137)",
		verdict: "glassbox stop had sent SIGTERM", why: "has a handler for SIGTERM and did not end within the grace period", evidence: []string{"PID 1 (sh) had a handler for it"},
	},
	"stop of the polite": {
		script: run + `-d tiny sh -c 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done'; until glassbox logs $C | grep -q ready; do :; done; glassbox stop $C`, state: "exited (0)",
		verdict: "after glassbox stop had sent SIGTERM", why: "PID 1 had a handler for the signal",
	},
	"stop with --init": {
		script: run + "-d --init tiny sleep 1000; until glassbox top $C | grep -q sleep; do :; done; glassbox stop $C", ask: "143", state: "exited (143)", verdict: "its command was ended by SIGTERM, which glassbox stop had sent, and PID 1 passed that on: 143 = 128 + 15", sender: "glassbox stop",
	},
	"kill":          {script: run + "-d tiny sleep 1000; glassbox kill $C", state: "exited (137)", verdict: "which glassbox kill sent", sender: "glassbox kill"},
	"rm -f":         {script: run + "-d tiny sleep 1000; glassbox rm -f $C", state: "removed", verdict: "it was removed, after it had ended with 137", sender: "glassbox rm", evidence: []string{": destroy"}},
	"kill by hand":  {script: run + "-d tiny sleep 1000; kill -9 $(glassbox inspect -f '{{.State.Pid}}' $C); glassbox wait $C", state: "exited (137)", verdict: "which glassbox did not send", sender: "not recorded", why: "keeps no record of who sends a signal"},
	"a fault":       {script: run + "tiny sh -c 'exit 139'", ask: "139", state: "exited (139)", verdict: "it ended by itself, with 139 = 128 + 11", why: "SIGSEGV"},
	"another code":  {script: run + "tiny sh -c 'exit 3'", ask: "137", state: "exited (3)", note: "137 is not its exit code: that is 3"},
	"an exec":       {script: run + "-d tiny sleep 1000; glassbox exec $C sh -c 'exit 42'", ask: "42", state: "running", note: "42 is not the container's: an exec ended with it"},
	"running":       {script: run + "-d tiny sleep 1000; until glassbox why $C | grep -q 'is not handled'; do :; done", state: "running", verdict: "it has not ended: PID 1 (sleep", evidence: []string{"Name: sleep", "SigCgt: SIGTERM is not handled"}},
	"paused":        {script: run + "-d tiny sleep 1000; glassbox pause $C", state: "paused", verdict: "all its processes stand still", evidence: []string{"cgroup.freeze: 1"}},
	"created":       {script: "glassbox create --name $C tiny true", state: "created", verdict: "nobody has started it"},
	"missing":       {script: run + "tiny /bin/nosuch", ask: "127", state: "not started (127)", verdict: "its start failed", why: "/bin/nosuch does not exist"},
	"not in PATH":   {script: run + "tiny nosuch", state: "not started (127)", why: "no directory in the container's PATH"},
	"CRLF":          {script: "glassbox create --name $C tiny /run.sh; printf '#!/bin/sh\\r\\necho\\r\\n' >$DIR/run.sh; chmod +x $DIR/run.sh; glassbox cp $DIR/run.sh $C:/run.sh; glassbox start $C", state: "not started (127)", why: "CRLF", evidence: []string{"first bytes of /run.sh: 23 21 2f 62 69 6e 2f 73 68 0d 0a"}},
	"no shebang":    {script: "glassbox create --name $C tiny /plain; echo hello >$DIR/plain; chmod +x $DIR/plain; glassbox cp $DIR/plain $C:/plain; glassbox start $C", state: "not started (126)", why: "does not begin with #!", evidence: []string{"first bytes of /plain: 68 65 6c 6c 6f 0a"}},
	"no x":          {script: run + "tiny /etc/passwd", ask: "126", state: "not started (126)", why: "its mode has no x"},
	"foreign":       {script: "glassbox create --name $C tiny /alien; cp $(command -v glassrun) $DIR/alien; printf '\\363' | dd of=$DIR/alien bs=1 seek=18 conv=notrunc 2>/dev/null; glassbox cp $DIR/alien $C:/alien; glassbox start $C", state: "not started (126)", why: "is a program for riscv64", evidence: []string{"e_machine 243 (riscv64)", "uname -m: "}},
	"failing step":  {script: run + "-v /etc/passwd:/bin tiny true", state: "not started (127)", verdict: "asked for by mounts[", why: "a directory on a directory"},
	"restarts":      {script: run + "-d --restart on-failure:1 tiny sh -c 'exit 4'; until glassbox inspect -f '{{.RestartCount}} {{.State.Status}}' $C | grep -q '1 exited'; do :; done", state: "exited (4)", comes: "started again once, as often as on-failure:1 allows"},
	"stopped by us": {script: run + "-d --restart always --init tiny sleep 1000; until glassbox top $C | grep -q sleep; do :; done; glassbox stop $C", state: "exited (143)", comes: "a user has told it to end"},
	"restarting":    {script: run + "-d --restart always tiny sh -c 'exit 5'; until glassbox inspect -f '{{.RestartCount}} {{.State.Restarting}}' $C | grep -q '^[456].*true'; do :; done", state: "restarting (5)", comes: "starts it again"},
	"removed":       {script: run + "--rm tiny sh -c 'exit 6'", ask: "6", state: "removed", verdict: "it was removed, after it had ended with 6"},
	"parent":        {script: "glassbox run -d --name up --network none tiny sleep 1000; " + run + "-d --pid container:up tiny sleep 1000; glassbox kill up; glassbox wait $C", state: "exited (137)", verdict: "with the PID namespace of container up", sender: "the kernel"},
	"unhealthy":     {script: run + "-d --health-cmd 'echo sick; exit 1' --health-interval 100ms --health-retries 1 tiny sleep 1000; until glassbox inspect -f '{{.State.Health.Status}}' $C | grep -q unhealthy; do :; done", state: "running", note: "nobody restarts it for that", evidence: []string{"health.json", "sick"}},
}

func TestFates(t *testing.T) {
	m := newMachine(t)
	for name, f := range fates {
		t.Run(name, func(t *testing.T) {
			m := &machine{t}
			c := strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "---", "-")
			said := m.sh("C=" + c + "\n" + f.script)
			f.judge(t, m.report(f.ask+" "+c), said)
		})
	}
	_ = m
}

func (f fate) judge(t *testing.T, r *Report, said string) {
	t.Helper()
	for what, pair := range map[string][2]string{
		"verdict": {r.Verdict, f.verdict}, "sender": {r.Sender, f.sender}, "rule": {r.Why, f.why}, "return": {r.Return, f.comes}, "notes": {strings.Join(r.Notes, " "), f.note},
	} {
		if !strings.Contains(pair[0], pair[1]) {
			t.Errorf("%s: %q, not %q", what, pair[0], pair[1])
		}
	}
	if r.State != f.state {
		t.Errorf("state: %q, not %q", r.State, f.state)
	}
	for _, e := range f.evidence {
		if !r.has(e) {
			t.Errorf("no evidence %q in %q", e, r.Evidence)
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

// TestUnobserved: with its monitor killed first, nobody is told how a container ends. It is gone before anybody looks: who found it dying
// would adopt it, and be told (PIDFD_GET_INFO).
func TestUnobserved(t *testing.T) {
	m := newMachine(t)
	m.sh(`glassbox run -d --name one --network none tiny sleep 1000
pid=$(glassbox inspect -f '{{.State.Pid}}' one); kill -9 $(sed -n 's/^PPid:[^0-9]*//p' /proc/$pid/status); kill -9 $pid; while [ -e /proc/$pid ]; do sleep 0.01; done`)
	if r := m.report("255 one"); !strings.HasPrefix(r.Verdict, "nobody saw how it ended") || !r.has("not observed") {
		t.Errorf("%+v", r)
	}
}

// TestOutOfMemory tells the OOM killer's SIGKILL from others, and what it did to PID 1 from what it did to another process.
func TestOutOfMemory(t *testing.T) {
	need.CgroupV2(t, "memory")
	m := newMachine(t)
	const hungry = "x=0123456789abcdef; while :; do x=$x$x; done"
	for name, c := range map[string]struct{ flags, script, verdict, state string }{
		"itself":  {"", hungry, "the kernel's OOM killer ended it: its memory had reached its limit of 16MiB", "exited (137)"},
		"child":   {"", "sh -c 'echo 900 >/proc/self/oom_score_adj; " + hungry + "'; exit 3", "it ended with 3 after the kernel's OOM killer had ended a process in it", "exited (3)"},
		"wrapped": {"--init", hungry, "it ended with 137 after the kernel's OOM killer had ended a process in it", "exited (137)"},
	} {
		args := append([]string{"run", "--network", "none", "-m", "16m", "--memory-swap", "16m", "--name", name}, strings.Fields(c.flags)...)
		said, _ := exec.Command("glassbox", append(args, "tiny", "sh", "-c", c.script)...).CombinedOutput()
		r := m.report("137 " + name)
		if !strings.HasPrefix(r.Verdict, c.verdict) || r.State != c.state || !r.has("memory.events: oom_kill: ") || !r.has("memory.max: 16MiB") || !r.has("oom-kill: constraint=CONSTRAINT_MEMCG, task=") {
			t.Errorf("%s: %+v\n%s", name, r, said)
		}
		if !strings.HasPrefix(r.Fix, "glassbox update -m 33554432 ") {
			t.Errorf("%s: fix %q", name, r.Fix)
		}
	}
}

// TestContainersProcess asks for a process in a container.
func TestContainersProcess(t *testing.T) {
	m := newMachine(t)
	m.sh("glassbox run -d --name one --network none tiny sleep 1000")
	for question, want := range map[string]string{
		"EPERM mount":                    "no CAP_SYS_ADMIN",
		"EROFS write /proc/sys/kernel/x": "read-only mount",
	} {
		out := m.sh("glassbox why --format json --in one " + question)
		var a Answer
		if err := json.Unmarshal([]byte(out), &a); err != nil || a.Causes[0].Name != want || a.Causes[0].Holds != Yes {
			t.Errorf("%s: %s", question, out)
		}
	}
}
