package load

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"glassbox/test/traces"
)

// A thousand stopped containers and two hundred running ones.
func TestManyContainers(t *testing.T) {
	settled := account(t)
	const stopped, running = 1000, 200
	fromShells(t, stopped+running, func(i int) error {
		args := []string{"create", "--name", fmt.Sprintf("many%04d", i), "--label", fmt.Sprint("tenth=", i%10), "tiny", "sleep", "1000"}
		switch {
		case i < running:
			args = append([]string{"run", "-d"}, args[1:]...)
		case i < running+20: // most have never run: that is quicker, and a listing reads as much of them
			args = append([]string{"run"}, append(args[1:len(args)-2:len(args)-2], "true")...)
		}
		return traces.Want(0, args...)
	})
	truthful(t)
	all := timed(t, "ps -aq", "ps", "-aq", "--no-trunc")
	unlike(t, "id", all, stopped+running)
	unlike(t, "name", timed(t, "inspect of all", append([]string{"inspect", "-f", "{{.Name}}"}, all...)...), stopped+running)
	for _, c := range []struct {
		n      int
		filter []string
	}{
		{running, []string{"ps", "-q"}},
		{running, []string{"ps", "-q", "-f", "status=running"}},
		{20, []string{"ps", "-q", "-f", "status=exited"}},
		{stopped - 20, []string{"ps", "-q", "-f", "status=created"}},
		{20, []string{"ps", "-aq", "-f", "exited=0", "-f", "status=exited"}},
		{(stopped + running) / 10, []string{"ps", "-aq", "-f", "label=tenth=3"}},
		{running / 10, []string{"ps", "-q", "-f", "label=tenth=3"}},
		{100, []string{"ps", "-aq", "-f", "name=many00"}},
		{running, []string{"ps", "-q", "-f", "network=bridge"}},
		{stopped + running, []string{"ps", "-aq", "-f", "ancestor=tiny"}},
		{7, []string{"ps", "-q", "-n", "7"}},
	} {
		if have := len(timed(t, strings.Join(c.filter, " "), c.filter...)); have != c.n {
			t.Errorf("%s: %d containers, not %d", strings.Join(c.filter, " "), have, c.n)
		}
	}
	if out := strings.Join(timed(t, "info", "info", "-f", "{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}}"), " "); out != "1200 200 1000" {
		t.Errorf("info: %s", out)
	}
	if err := timedWant(t, "system check", 0, "system", "check"); err != nil {
		t.Error(err)
	}
	alive := lines(t, "ps", "-q", "--no-trunc")
	pruned := timed(t, "container prune", "container", "prune", "-f")
	if n := len(slices.DeleteFunc(pruned, func(word string) bool { return len(word) != 64 })); n != stopped {
		t.Errorf("%d containers were pruned, not %d", n, stopped)
	}
	left := lines(t, "ps", "-aq", "--no-trunc")
	if slices.Sort(left); !slices.Equal(left, slices.Sorted(slices.Values(alive))) {
		t.Errorf("%d containers are left, %d were running", len(left), len(alive))
	}
	truthful(t)
	if err := timedWant(t, "rm -f of the running", 0, append([]string{"rm", "-f"}, left...)...); err != nil {
		t.Error(err)
	}
	settled()
	healthy(t)
}

// timed is lines, and says how long it took: with a thousand containers on a busy machine not longer than this.
const patience = 30 * time.Second

func timed(t *testing.T, what string, args ...string) []string {
	t.Helper()
	began := time.Now()
	out := lines(t, args...)
	took(t, what, began)
	return out
}

func timedWant(t *testing.T, what string, code int, args ...string) error {
	t.Helper()
	defer took(t, what, time.Now())
	return traces.Want(code, args...)
}

func took(t *testing.T, what string, began time.Time) {
	t.Helper()
	passed := time.Since(began).Round(time.Millisecond)
	t.Logf("%s: %v", what, passed)
	if passed > patience {
		t.Errorf("%s took %v", what, passed)
	}
}
