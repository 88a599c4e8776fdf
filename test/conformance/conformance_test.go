package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// limit is far beyond what any program takes: most wait for a second, some for ten, ns_path_type for its fourteen containers.
const limit = 3 * time.Minute

func TestPrograms(t *testing.T) {
	if _, err := os.Stat(programs + "/rootfs-" + runtime.GOARCH + ".tar.gz"); err != nil {
		t.Skipf("runtime-tools has no root file system for %s", runtime.GOARCH)
	}
	names, err := listed()
	if err != nil {
		t.Fatal(err)
	}
	path, ours := tested()
	var all tally
	t.Cleanup(func() { t.Logf("of %d programs\n%s", len(names), &all) })
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			want, known := table[name]
			if !known {
				t.Fatal("not in the table")
			}
			if !want.shared {
				t.Parallel()
			}
			if want.needs != nil {
				if missing := want.needs(); missing != "" {
					all.add(name, "skipped", "needs "+missing)
					t.Skip("needs ", missing)
				}
			}
			o := try(t, path, name)
			for again := 0; want.race && want.why == "" && again < 5 && o.verdict() != passes; again++ {
				o = try(t, path, name)
			}
			if !ours {
				all.add(name, o.verdict(), "")
				return
			}
			all.add(name, o.verdict(), want.why)
			want.judge(t, o)
		})
	}
	if extra := len(table) - len(names); ours && extra > 0 {
		t.Errorf("the table has %d programs that were not built", extra)
	}
}

// tally is what came of the programs, a line each.
type tally struct {
	sync.Mutex
	lines []string
}

func (a *tally) add(name, outcome, why string) {
	a.Lock()
	defer a.Unlock()
	if why != "" {
		outcome, _, _ = strings.Cut(outcome, ":")
		why = ": " + why
	}
	a.lines = append(a.lines, fmt.Sprintf("%-32s %s%s", name, outcome, why))
}

func (a *tally) String() string {
	slices.Sort(a.lines)
	return strings.Join(a.lines, "\n")
}

// outcome is what a program said.
type outcome struct {
	failed     bool // by its exit code
	objections []string
	output     string
	stderr     string
}

const passes = "passes"

func (o outcome) verdict() string {
	switch {
	case len(o.objections) > 0:
		return "fails: " + strings.Join(o.objections, "; ")
	case o.failed:
		return "fails: it ends with an error: " + strings.ReplaceAll(strings.TrimSpace(o.stderr), "\n", "; ")
	}
	return passes
}

// alone runs a program in mount and PID namespaces of its own: some leak mounts, some processes. It makes the containers that the program
// forgot go away, since their groups would stay.
const alone = `mount -t tmpfs none /run && mkdir /run/tmp && export TMPDIR=/run/tmp || exit 99
if [ -n "$PIDS" ]; then
	umount /sys/fs/cgroup && mount -t tmpfs none /sys/fs/cgroup && mkdir /sys/fs/cgroup/pids /sys/fs/cgroup/unified || exit 99
	mount -t cgroup -o pids pids /sys/fs/cgroup/pids && mount -t cgroup2 none /sys/fs/cgroup/unified || exit 99
fi
if [ -n "$LATER" ]; then
	printf '#!/bin/sh\n[ "$1" != %s ] || sleep 1\nexec %s "$@"\n' "$LATER" "$RUNTIME" >/run/later && chmod +x /run/later || exit 99
	RUNTIME=/run/later
fi
"./$1"
status=$?
for id in $("$RUNTIME" list -q); do "$RUNTIME" delete --force "$id"; done
[ -z "$PIDS" ] || rmdir /sys/fs/cgroup/pids/cgrouptest
exit $status`

func try(t *testing.T, path, name string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-c", alone, "sh", name)
	c.Dir = programs
	c.Env = append(os.Environ(), "RUNTIME="+path)
	c.Env = append(c.Env, "LATER="+table[name].later)
	if table[name].hybrid {
		c.Env = append(c.Env, "PIDS=1")
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if ctx.Err() != nil {
		t.Fatalf("not done after %v:\n%s%s", limit, &stdout, &stderr)
	}
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) || c.ProcessState.ExitCode() == 99 {
		t.Fatalf("running it: %v\n%s", err, &stderr)
	}
	return outcome{failed: err != nil, objections: objections(stdout.String()), output: stdout.String() + stderr.String(), stderr: stderr.String()}
}

// judge compares what a program said with the table.
func (p program) judge(t *testing.T, o outcome) {
	t.Helper()
	passed := o.verdict() == passes
	switch {
	case p.why == "" && !passed:
		t.Errorf("must pass: %s\n%s", o.verdict(), o.output)
	case p.why != "" && passed && p.race: // so it was lucky
	case p.why != "" && passed:
		t.Errorf("passes, so it is no longer true that %s", p.why)
	case p.objects != nil && !slices.Equal(o.objections, p.objects):
		t.Errorf("has other objections than the table:\n%q\nnot\n%q\n%s", o.objections, p.objects, o.output)
	case !strings.Contains(o.output, p.says):
		t.Errorf("says nothing of %q:\n%s", p.says, o.output)
	}
}
