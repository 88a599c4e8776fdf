package load

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"glassbox/test/traces"
)

// shells is how many type at once.
const shells = 16

// fromShells does n things from many shells at once, and fails the test for each that fails.
func fromShells(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	began := time.Now()
	work := make(chan int)
	var all sync.WaitGroup
	for range shells {
		all.Go(func() {
			for i := range work {
				if err := do(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
	t.Logf("%d in %v", n, time.Since(began).Round(time.Millisecond))
}

// A hundred each of run -d, exec, stop and rm, all at once.
func TestHundredAtOnce(t *testing.T) {
	settled := account(t)
	const n = 100
	ids := make([]string, n)
	fromShells(t, n, func(i int) error {
		args := []string{"run", "-d", "--label", "load=1", "-p", "80", "-v", "/anonymous"}
		switch i % 4 {
		case 0:
			args = append(args, "--network", "side", "-v", "data:/v")
		case 1:
			args = append(args, "--name", fmt.Sprint("load", i))
		}
		out, code := traces.Glassbox(append(args, "tiny", "sleep", "1000")...)
		if code != 0 {
			return fmt.Errorf("run: exit %d: %s", code, out)
		}
		ids[i] = strings.TrimSpace(out)
		return nil
	})
	if t.Failed() {
		t.Fatal(lines(t, "ps", "-a"))
	}
	slices.Sort(ids)
	listed := lines(t, "ps", "-q", "--no-trunc")
	if slices.Sort(listed); !slices.Equal(ids, listed) {
		t.Errorf("%d were started, %d are listed", len(ids), len(listed))
	}
	unlike(t, "name", lines(t, append([]string{"inspect", "-f", "{{.Name}}"}, ids...)...), n)
	unlike(t, "address", lines(t, append([]string{"inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"}, ids...)...), n)
	unlike(t, "port", lines(t, append([]string{"inspect", "-f", `{{(index .NetworkSettings.Ports "80/tcp" 0).HostPort}}`}, ids...)...), n)
	if have := len(traces.Companions("monitor", "")); have != n {
		t.Errorf("%d monitors for %d containers", have, n)
	}
	truthful(t)

	fromShells(t, n, func(i int) error { return traces.Want(3, "exec", ids[i], "sh", "-c", "exit 3") })
	fromShells(t, n, func(i int) error { return traces.Want(0, "stop", "-t", "0", ids[i]) })
	truthful(t)
	if running := lines(t, "ps", "-q"); len(running) > 0 {
		t.Errorf("still running: %v", running)
	}
	fromShells(t, n, func(i int) error { return traces.Want(0, "rm", "-v", ids[i]) })
	settled()
	healthy(t)
}

// Shells that do everything at once, to containers of one another, too.
func TestAllAtOnce(t *testing.T) {
	settled := account(t)
	const n = 100
	winners := make([]int, n/10)
	var mu sync.Mutex
	fromShells(t, n, func(i int) error {
		name := fmt.Sprint("shared", i%len(winners)) // ten want each name
		out, code := traces.Glassbox("run", "-d", "--name", name, "tiny", "sleep", "1000")
		switch {
		case code == 0:
			mu.Lock()
			winners[i%len(winners)]++
			mu.Unlock()
		case code != 125 || !strings.Contains(out, "is already in use by container"):
			return fmt.Errorf("run: exit %d: %s", code, out)
		}
		return nil
	})
	for i, n := range winners {
		if n != 1 {
			t.Errorf("%d containers got the name shared%d", n, i)
		}
	}
	// Now ten shells do to each container what they please. None may hang, crash or complain of anything but its state.
	fromShells(t, n, func(i int) error {
		name := fmt.Sprint("shared", i%len(winners))
		args := [][]string{{"stop", "-t", "0", name}, {"start", name}, {"exec", name, "true"}, {"restart", "-t", "0", name}, {"ps", "-a"},
			{"kill", name}, {"inspect", name}, {"rename", name, name}, {"start", name}, {"exec", name, "true"}}[i/len(winners)]
		out, code := traces.Glassbox(args...)
		if code != 0 && !slices.ContainsFunc(excuses, func(e string) bool { return strings.Contains(out, e) }) {
			return fmt.Errorf("%v: exit %d: %s", args, code, out)
		}
		return nil
	})
	truthful(t)
	fromShells(t, n, func(i int) error {
		name := fmt.Sprint("shared", i%len(winners))
		if out, code := traces.Glassbox("rm", "-f", name); code != 0 || strings.Contains(out, "panic") {
			return fmt.Errorf("rm -f: exit %d: %s", code, out)
		}
		return nil
	})
	settled()
	healthy(t)
}

// excuses are what commands may say of a container to which others do something else.
var excuses = []string{"is not running", "is restarting", "Renaming a container with the same name", "No such container", "No such exec",
	"container has stopped", "procReady not received", "process ended"}

func unlike(t *testing.T, what string, all []string, n int) {
	t.Helper()
	slices.Sort(all)
	if distinct := slices.Compact(slices.Clone(all)); len(distinct) != n || len(all) != n {
		t.Errorf("%d containers have %d different %ss: %v", n, len(distinct), what, all)
	}
}

// truthful holds what is said of every container against the kernel: one that runs has its process, in its group; others have none. What
// still ends in the background gets time.
func truthful(t *testing.T) {
	t.Helper()
	var wrong []string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if wrong = lies(t); len(wrong) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	t.Errorf("not true:\n  %s", strings.Join(wrong, "\n  "))
}

func lies(t *testing.T) (wrong []string) {
	t.Helper()
	ids := lines(t, "ps", "-aq", "--no-trunc")
	if len(ids) == 0 {
		return nil
	}
	out, code := traces.Glassbox(append([]string{"inspect", "-f", "{{.Id}} {{.State.Status}} {{.State.Pid}}"}, ids...)...)
	if code != 0 {
		return []string{out}
	}
	for line := range strings.Lines(out) {
		var id, status string
		var pid int
		if _, err := fmt.Sscan(line, &id, &status, &pid); err != nil {
			return []string{line}
		}
		procs, _ := os.ReadFile("/sys/fs/cgroup/glassbox/" + id + "/cgroup.procs")
		inside := slices.Contains(strings.Fields(string(procs)), fmt.Sprint(pid))
		switch {
		case status == "running" && !inside:
			wrong = append(wrong, fmt.Sprintf("%s is said to run as process %d; in its group are %q", id[:12], pid, procs))
		case status != "running" && len(procs) > 0:
			wrong = append(wrong, fmt.Sprintf("%s is said to be %s; in its group are %q", id[:12], status, procs))
		}
	}
	return wrong
}

// healthy: the check finds nothing.
func healthy(t *testing.T) {
	t.Helper()
	if out, code := traces.Glassbox("system", "check"); code != 0 || !strings.HasPrefix(out, "nothing is left over") {
		t.Errorf("system check: exit %d: %s", code, out)
	}
}
