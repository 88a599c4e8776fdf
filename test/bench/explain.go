package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// interleaved is how often a start is measured with and without its account, one after the other.
const interleaved = 200

// explained: what it costs to tell of a start, and to follow what runs then.
func explained(r *rig, t *table) error {
	if err := run(glassbox("run", "--rm", "--network", "none", "tiny", "true")); err != nil {
		return err
	}
	begun := func(name string, flags ...string) *runner {
		return &runner{name: name, lap: func(int) (time.Duration, error) { return untilItRuns(quietly(flags, "date", "+%s.%N")) }}
	}
	whole := func(name string, flags ...string) *runner {
		return &runner{name: name, argv: always(quietly(flags, "true")...)}
	}
	silent, told := begun("without"), begun("--explain", "--explain")
	all, allTold, allTraced := whole("without"), whole("--explain", "--explain"), whole("--trace", "--trace")
	if err := race([]*runner{silent, told, all, allTold, allTraced}, max(*rounds, interleaved)); err != nil {
		return err
	}
	t.compare("start with `--explain`, until the program runs", told, silent, 1.1, "< 1.1")
	t.compare("the whole `glassbox run --rm --explain`", allTold, all, 0, "")
	t.compare("the whole `glassbox run --rm --trace`", allTraced, all, 0, "")
	return nil
}

func quietly(flags []string, command ...string) []string {
	return glassbox(append(append(append([]string{"run", "--rm", "--network", "none"}, flags...), "tiny"), command...)...)
}

// untilItRuns is from before a command to the moment that its container's program, which prints it, has begun.
func untilItRuns(argv []string) (time.Duration, error) {
	began := time.Now()
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return 0, err
	}
	seconds, fraction, _ := strings.Cut(strings.TrimSpace(string(out)), ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("date says %q: %w", out, err)
	}
	ns, err := strconv.ParseInt(fraction, 10, 64)
	return time.Unix(s, ns).Sub(began), err
}
