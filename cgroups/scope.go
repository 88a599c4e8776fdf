package cgroups

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"glassbox/program"
)

// enterScope asks systemd for a transient scope around ourselves, and leaves its upper level free of processes so that
// it can hand controllers down.
func enterScope(f Facts, p place) []program.Request {
	scope := filepath.Join(f.Mount, filepath.Dir(p.group))
	leaf := filepath.Join(scope, leafMonitor)
	procs := filepath.Join(leaf, "cgroup.procs")
	return []program.Request{
		{
			Call: fmt.Sprintf("busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager StartTransientUnit ssa(sv)a(sa(sv)) %s fail 7 Description s %q Slice s %s Delegate b true DefaultDependencies b false TasksMax t %d CollectMode s inactive-or-failed PIDs au 1 SELF 0",
				p.unit, scopeDescription(p.unit), p.slice, Unlimited),
			From: "linux.cgroupsPath",
			Why:  "systemd is the only writer of this tree: a unit with Delegate=yes is where others may make groups, and neither logout nor daemon-reload touches them",
			Do:   func() error { return startScope(p, scope) },
		},
		{
			Call: mkdirCall(leaf),
			From: "linux.cgroupsPath",
			Why:  "a leaf for ourselves: a group with processes of its own cannot hand controllers down",
			Do:   func() error { return makeParent(leaf).Do() },
		},
		{
			Call: writeCall(procs, "0"),
			From: "linux.cgroupsPath",
			Why:  "0 is whoever writes: we move into the leaf",
			Do:   func() error { return writeFile(procs, "0") },
		},
	}
}

func scopeDescription(unit string) string { return "glassbox container " + unit }

// startScope returns when we are inside: systemd answers before the job is done.
func startScope(p place, scope string) error {
	if err := startTransientUnit(p.unit, p.slice, os.Getpid()); err != nil {
		return fmt.Errorf("asking systemd for the scope %s: %w", p.unit, err)
	}
	want := filepath.Dir(p.group)
	for end := time.Now().Add(patience); groupOf("self") != want; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("asking systemd for the scope %s: after %v we are in %s, not in %s", p.unit, patience, groupOf("self"), scope)
		}
	}
	return nil
}
