// Package cgroups turns limits into requests to cgroup v2, and offers the group that holds a container: to be born in,
// to measure, freeze, kill and remove.
//
// Three things decide what a host can limit: where cgroup2 is mounted, which controllers cgroup v1 still holds (a controller
// serves one hierarchy at a time), and what the groups above ours hand down through cgroup.subtree_control. Observe
// reads them into Facts; Compile, which asks the kernel nothing, turns a spec's limits and those facts into
// program.Requests, or refuses with a *LimitError. Nothing runs unlimited in silence. See cgroups(7).
package cgroups

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Facts is what this host lets us do with cgroup v2, read from mountinfo, /proc/self/cgroup and
// cgroup.controllers.
type Facts struct {
	Mount       string            // where cgroup2 is mounted: /sys/fs/cgroup, or /sys/fs/cgroup/unified on a hybrid host; empty: nowhere
	Self        string            // our own group, relative to Mount
	Parent      string            // group below which glassbox makes its own, relative to Mount: /glassbox, or /system.slice under systemd
	Controllers []string          // what Parent can delegate to a child
	V1          map[string]string // controller -> the v1 hierarchy that holds it
	Systemd     bool              // systemd manages this hierarchy (sd_booted(3)): containers get a delegated scope each
	Disabled    []string          // controllers switched off at boot (cgroup_disable=)
	Files       map[string]bool   // interface files whose presence depends on the kernel's configuration, where it could be seen
	Delegated   []string          // files that go with a group which is given away, where one is; see Delegated
	Units       bool              // cgroupsPath must name a systemd unit (--systemd-cgroup)
	Sitting     []int             // processes in the root of a cgroup namespace: they forbid it to hand controllers down
	NSDelegate  bool              // cgroup2 is mounted with it: nobody in a cgroup namespace writes the limits of its root (cgroup-v2.rst)
}

// Observe reads the facts that matter for these limits; it changes nothing. Without limits it does not look for what only they need.
func Observe(r *specs.LinuxResources) (Facts, error) {
	f := Facts{V1: map[string]string{}, Files: map[string]bool{}}
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return f, fmt.Errorf("observing cgroups: %w", err)
	}
	f.readMounts(info)
	limited := asks(r)
	if limited {
		if table, err := os.ReadFile("/proc/cgroups"); err == nil {
			f.Disabled = disabled(table)
		}
	}
	if f.Mount == "" {
		return f, nil
	}
	f.Self = groupOf("self")
	names, err := os.ReadFile(filepath.Join(f.Mount, "cgroup.controllers"))
	if err != nil {
		return f, fmt.Errorf("observing cgroups: %w", err)
	}
	f.Controllers = strings.Fields(string(names))
	f.Parent = "/glassbox"
	if isDir("/run/systemd/system") && f.Mount == unified && !f.inNamespace() {
		f.Systemd, f.Parent = true, "/system.slice"
	}
	if f.inNamespace() {
		f.Sitting = pids(f.Mount)
	}
	if limited {
		f.seeFiles()
		for file := range r.Unified {
			f.seeFile(file)
		}
	}
	return f, nil
}

// asks reports whether any limit is asked for. Device rules need no controller.
func asks(r *specs.LinuxResources) bool {
	return r != nil && (r.Memory != nil || r.CPU != nil || r.Pids != nil || r.BlockIO != nil || r.Network != nil ||
		len(r.HugepageLimits)+len(r.Rdma)+len(r.Unified) > 0)
}

// unified is where a host without v1 mounts cgroup2.
const unified = "/sys/fs/cgroup"

// inNamespace: only the hierarchy's true root has no cgroup.type (cgroup-v2.rst), and only there may processes and
// enabled controllers live together.
func (f Facts) inNamespace() bool {
	_, err := os.Stat(filepath.Join(f.Mount, "cgroup.type"))
	return err == nil
}

// readMounts finds the cgroup mounts in proc_pid_mountinfo(5) lines.
func (f *Facts) readMounts(info []byte) {
	for line := range strings.Lines(string(info)) {
		left, right, ok := strings.Cut(line, " - ")
		at, fs := strings.Fields(left), strings.Fields(right)
		if !ok || len(at) < 5 || len(fs) < 3 {
			continue
		}
		switch fs[0] {
		case "cgroup2":
			if f.Mount == "" || at[4] == unified {
				f.Mount = at[4]
				f.NSDelegate = slices.Contains(strings.Split(fs[2], ","), "nsdelegate")
			}
		case "cgroup":
			for option := range strings.SplitSeq(fs[2], ",") {
				if c, ok := v1Controllers[option]; ok && f.V1[c] == "" {
					f.V1[c] = at[4]
				}
			}
		}
	}
}

// v1Controllers gives the v2 name of what a v1 mount option names.
var v1Controllers = map[string]string{
	"cpuset": "cpuset", "cpu": "cpu", "blkio": "io", "memory": "memory", "hugetlb": "hugetlb", "pids": "pids",
	"rdma": "rdma", "misc": "misc",
}

// disabled reads the controllers with enabled=0 from /proc/cgroups.
func disabled(table []byte) []string {
	var off []string
	for line := range bytes.Lines(table) {
		w := strings.Fields(string(line))
		if len(w) != 4 || w[3] != "0" {
			continue
		}
		if c, ok := v1Controllers[w[0]]; ok {
			off = append(off, c)
		}
	}
	return off
}

// seeFiles looks into groups that exist already: the root has none of these files, and a file that depends on
// the kernel's configuration is there in every group that has its controller or in none.
func (f *Facts) seeFiles() {
	for file, witness := range map[string]string{
		"memory.swap.max": "memory.max", "io.weight": "io.max", "io.bfq.weight": "io.max",
	} {
		for _, pattern := range []string{"*", "*/*"} {
			have, _ := filepath.Glob(filepath.Join(f.Mount, pattern, witness))
			if len(have) == 0 {
				continue
			}
			_, err := os.Stat(filepath.Join(filepath.Dir(have[0]), file))
			f.Files[file] = err == nil
			break
		}
	}
	if isDir("/sys/module/bfq") {
		f.Files["io.bfq.weight"] = true
	}
}

// seeFile looks for a file that config.json names in some group that has files of the same controller.
func (f *Facts) seeFile(file string) {
	controller, _, _ := strings.Cut(file, ".")
	for _, pattern := range []string{"*", "*/*"} {
		have, _ := filepath.Glob(filepath.Join(f.Mount, pattern, controller+".*"))
		if len(have) > 0 {
			st, err := os.Stat(filepath.Join(filepath.Dir(have[0]), file))
			f.Files[file] = err == nil && st.Mode().Perm()&0o222 != 0
			return
		}
	}
}

// Of is the group in which a process lives now. A process that made groups of its own moves between them, and a new
// process can be born only in a group that hands no controller down.
func (f Facts) Of(pid int) (Group, error) {
	if f.Mount == "" {
		return Group{}, nil
	}
	path := groupOf(strconv.Itoa(pid))
	if path == "" {
		return Group{}, fmt.Errorf("finding the group of process %d: it has none in cgroup v2, or has ended", pid)
	}
	return Group{Path: filepath.Join(f.Mount, path)}, nil
}

// groupOf reads the "0::" line of proc_pid_cgroup(5).
func groupOf(pid string) string {
	lines, _ := os.ReadFile("/proc/" + pid + "/cgroup")
	for line := range strings.Lines(string(lines)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(strings.TrimSuffix(path, "\n"), " (deleted)")
		}
	}
	return ""
}

// refuse says why this host cannot use a controller, or returns nil.
func (f Facts) refuse(controller, field string) error {
	e := &LimitError{Controller: controller, Field: field}
	switch {
	case f.Mount != "" && slices.Contains(f.Controllers, controller):
		return nil
	case slices.Contains(f.Disabled, controller):
		e.Cause = fmt.Sprintf("the kernel was booted with the controller %s switched off", controller)
		e.Fix = fmt.Sprintf("boot with cgroup_enable=%[1]s (and without cgroup_disable=%[1]s)", controller)
	case f.V1[controller] != "":
		e.Cause = fmt.Sprintf("the controller %s is held by cgroup v1 at %s, and a controller serves one hierarchy at a time", controller, f.V1[controller])
		e.Fix = "boot with " + BootParameter
	case f.Mount == "":
		e.Cause = "no cgroup2 file system is mounted"
		e.Fix = "boot with " + BootParameter
	default:
		e.Cause = fmt.Sprintf("the controller %s is not delegated to %s (have: %s)", controller, f.Mount, strings.Join(f.Controllers, " "))
		e.Fix = "systemd-run --scope -p Delegate=yes COMMAND, or Delegate=yes in the unit's file; in a container, each group above must hand it down (cgroup.subtree_control); or a kernel built with it"
	}
	return e
}

// LimitError is a limit that this host cannot set.
type LimitError struct {
	Controller string // memory
	Field      string // the config field: linux.resources.memory.limit
	Cause      string // the kernel's reason
	Fix        string // what cures it
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("cannot set %s: %s", e.Field, e.Cause)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
