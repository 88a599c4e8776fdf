package load

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/test/traces"
)

// verb is a command that is killed in the middle.
type verb struct {
	name    string
	before  [][]string // what makes the state in which it is typed
	command []string
	targets []string
}

// everything that a container can have on this host.
var full = []string{"--name", "victim", "--network", "side", "-p", "80", "-v", "data:/v", "-v", "/anonymous", "tiny", "sleep", "1000"}

var verbs = []verb{
	{"run", nil, append([]string{"run", "-d"}, full...), []string{"command", "monitor", "child"}},
	{"run --rm", nil, []string{"run", "--rm", "--name", "victim", "tiny", "true"}, []string{"command", "monitor", "child"}},
	{"start", [][]string{append([]string{"create"}, full...)}, []string{"start", "victim"}, []string{"command", "monitor", "child"}},
	{"stop", [][]string{append([]string{"run", "-d"}, full...)}, []string{"stop", "-t", "0", "victim"}, []string{"command", "monitor"}},
	{"restart", [][]string{append([]string{"run", "-d"}, full...)}, []string{"restart", "-t", "0", "victim"}, []string{"command", "monitor", "child"}},
	{"restart policy", [][]string{{"run", "-d", "--restart", "on-failure:2", "--name", "victim", "--network", "side", "tiny", "sh", "-c", "sleep 0.2; exit 3"}},
		[]string{"wait", "victim"}, []string{"monitor"}},
	{"rm", [][]string{append([]string{"run", "-d"}, full...)}, []string{"rm", "-f", "-v", "victim"}, []string{"command", "monitor"}},
	{"exec", [][]string{append([]string{"run", "-d"}, full...)}, []string{"exec", "victim", "true"}, []string{"command", "monitor", "child"}},
}

// run types the command, with a SIGKILL for the target at the given system call.
func (v verb) run(target string, at int) (outcome, error) {
	for _, args := range v.before {
		if err := traces.Want(0, args...); err != nil {
			return outcome{}, err
		}
	}
	s := stroke{Target: target, At: at, Command: append([]string{traces.Binary()}, v.command...)}
	if len(v.before) > 0 && v.before[0][0] == "run" {
		for _, one := range traces.Companions("monitor", "") {
			s.Monitor = one.PID()
		}
	}
	return strike(s)
}

// seed of what is chosen by chance: LOAD_SEED, or one of the day.
func seed(t *testing.T) uint64 {
	n := uint64(time.Now().Unix() / 86400)
	if text := os.Getenv("LOAD_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("LOAD_SEED=%d", n)
	return n
}

// sampling is how long the sample of the matrix may take.
const sampling = 75 * time.Second

// cell of the matrix.
type cell struct {
	verb   verb
	target string
	at     int
}

func (c cell) String() string { return fmt.Sprintf("%s/%s/%d", c.verb.name, c.target, c.at) }

// Each of command line, monitor and container child is killed at system call N of each verb: with SOAK at all of them, otherwise at as many
// as there is time for. LOAD_CELL=run/monitor/42 is one alone, to look closer.
func TestKilledAtEverySystemCall(t *testing.T) {
	settled := account(t)
	t.Cleanup(func() { tidyUp(t) })
	random := rand.New(rand.NewPCG(seed(t), 1))
	var cells []cell
	for _, v := range verbs {
		for _, target := range v.targets {
			o, err := v.run(target, 0)
			if err != nil || o.Code != 0 {
				t.Fatalf("%s, not killed: exit %d: %v", v.name, o.Code, err)
			}
			t.Logf("%s: the %s makes %d system calls", v.name, target, o.Calls)
			if o.Calls == 0 {
				t.Errorf("%s: no system call of the %s was seen", v.name, target)
			}
			for at := 1; at <= o.Calls; at++ {
				cells = append(cells, cell{v, target, at})
			}
			tidyUp(t)
		}
	}
	settled()
	if one := os.Getenv("LOAD_CELL"); one != "" {
		cells = slices.DeleteFunc(cells, func(c cell) bool { return c.String() != one })
	}
	random.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
	began, done := time.Now(), 0
	for _, c := range cells {
		if soak() == 0 && time.Since(began) > sampling || t.Failed() {
			break
		}
		o, err := c.verb.run(c.target, c.at)
		if err != nil {
			t.Fatal(err)
		}
		done++
		aftermath(t, c.String())
		settled()
		if t.Failed() {
			t.Logf("LOAD_CELL=%s: %+v", c, o)
		}
	}
	t.Logf("%d of %d kills in %v", done, len(cells), time.Since(began).Round(time.Second))
	report(t)
}

// Whoever is there is killed at a moment of chance.
func TestKilledAtRandom(t *testing.T) {
	settled := account(t)
	t.Cleanup(func() { tidyUp(t) })
	n := 30
	if soak() > 0 {
		n = 500
	}
	random := rand.New(rand.NewPCG(seed(t), 2))
	for i := range n {
		v := verbs[random.IntN(len(verbs))]
		for _, args := range v.before {
			if err := traces.Want(0, args...); err != nil {
				t.Fatal(err)
			}
		}
		c := exec.Command(traces.Binary(), v.command...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		wait := time.Duration(random.IntN(60)) * time.Millisecond
		time.Sleep(wait)
		var killed []string
		for _, p := range traces.Processes() {
			if p.PID() != os.Getpid() && p.PID() != 1 && len(p.Words) > 0 && random.IntN(2) == 0 && mayDie(p, c) {
				killed = append(killed, strings.Join(p.Words, " "))
				if q, err := os.FindProcess(p.PID()); err == nil {
					q.Kill() //nolint:errcheck // it may have ended
				}
			}
		}
		c.Wait() //nolint:errcheck // however it ended
		what := fmt.Sprintf("round %d: %s, after %v killed %q", i, v.name, wait, killed)
		aftermath(t, what)
		settled()
		if t.Failed() {
			t.Fatal(what)
		}
	}
	report(t)
}

// mayDie: it is glassbox's, or a container's.
func mayDie(p traces.Process, c *exec.Cmd) bool {
	return p.PID() == c.Process.Pid || p.Words[0] == "glassrun" || strings.HasSuffix(p.Words[0], "/glassbox") || p.Words[0] == "sleep"
}

// aftermath is what has to be so after any kill: the next commands work and say what is true; the check names what it finds and cleans it;
// then it finds nothing, and what is left is removed in the usual way.
func aftermath(t *testing.T, what string) {
	t.Helper()
	truthful(t)
	if out, code := traces.Glassbox("system", "check"); code != 0 {
		t.Errorf("%s: system check: exit %d: %s", what, code, out)
	} else if !fine(out) {
		findings[kind(out)]++
	}
	clean(t, what)
	truthful(t)
	tidyUp(t)
}

// clean waits until the check finds nothing: who was killed may have left others who still end their work.
func clean(t *testing.T, what string) {
	t.Helper()
	var said []string
	for range 10 {
		out, code := traces.Glassbox("system", "check")
		if code == 0 && fine(out) {
			return
		}
		said = append(said, out)
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s: system check finds something again and again: %q", what, said)
}

// fine: there is nothing left over but what belongs to the world's other data directory.
func fine(out string) bool {
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "nothing is left over") && !strings.Contains(line, "left alone, as a glassbox with another GLASSBOX_ROOT") {
			return false
		}
	}
	return true
}

// findings counts what the check had to clean.
var findings = map[string]int{}

func report(t *testing.T) {
	for _, what := range slices.Sorted(maps.Keys(findings)) {
		t.Logf("cleaned %d times: %s", findings[what], what)
	}
}

// particulars are ids, addresses and paths.
var particulars = regexp.MustCompile(`/\S+/|[0-9a-f]{12,}|[0-9]+(\.[0-9]+)+`)

func kind(out string) string {
	var kinds []string
	for line := range strings.Lines(out) {
		kinds = append(kinds, particulars.ReplaceAllString(strings.TrimSpace(line), "..."))
	}
	slices.Sort(kinds)
	return strings.Join(slices.Compact(kinds), " + ")
}

// tidyUp removes what there is, as a user does.
func tidyUp(t *testing.T) {
	t.Helper()
	if ids := lines(t, "ps", "-aq"); len(ids) > 0 {
		if err := traces.Want(0, append([]string{"rm", "-f", "-v"}, ids...)...); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(traces.Want(0, "volume", "prune", "-f")); err != nil {
		t.Error(err)
	}
}
