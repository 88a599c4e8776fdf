// Package traces takes account of all that containers can leave on a machine, so that a test can compare before and after. It is
// for a world of the test's own (package world): what is there must be the test's.
package traces

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/test/world"
)

// Take lists processes, mounts, cgroups, interfaces, the firewall's rules and elements, and the files of the store below the directories
// of GLASSBOX_ROOT and GLASSBOX_RUN, in order.
func Take() ([]string, error) {
	var found []string
	for _, look := range []func() ([]string, error){processes, mounts, links, rules, groups, files} {
		more, err := look()
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	slices.Sort(found)
	return found, nil
}

// Left returns what was not there before, and missing what was. Both get until patience is over to become empty: monitors and kernel
// end their work after the command that a user waits for.
func Left(before []string, patience time.Duration) (left, missing []string, err error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		now, err := Take()
		if err != nil {
			return nil, nil, err
		}
		left, missing = without(now, before), without(before, now)
		if len(left)+len(missing) == 0 || time.Now().After(deadline) {
			return left, missing, nil
		}
	}
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		_, there := slices.BinarySearch(some, s)
		return there
	})
}

// processes are all but those that look.
func processes() ([]string, error) {
	var all []string
	for _, p := range Processes() {
		if p.pid != os.Getpid() && p.parent != os.Getpid() {
			all = append(all, fmt.Sprintf("process %d: %s", p.pid, strings.Join(p.Words, " ")))
		}
	}
	return all, nil
}

// Process is one of the world's.
type Process struct {
	pid, parent int
	Words       []string // its command line
}

// PID is the process's number.
func (p Process) PID() int { return p.pid }

// Processes are those of the world that have a command line: neither the kernel's nor zombies.
func Processes() []Process {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var all []Process
	for _, dir := range dirs {
		line, _ := os.ReadFile(dir + "/cmdline")
		stat, _ := os.ReadFile(dir + "/stat")
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(line) == 0 || len(fields) < 2 {
			continue
		}
		p := Process{Words: strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")}
		fmt.Sscan(filepath.Base(dir), &p.pid)   //nolint:errcheck // the pattern says that it is a number
		fmt.Sscan(string(fields[1]), &p.parent) //nolint:errcheck // proc_pid_stat(5)
		all = append(all, p)
	}
	return all
}

// Companions are the monitors or attendants (kind monitor or attend) of a container, or of all with an empty id.
func Companions(kind, id string) []Process {
	return slices.DeleteFunc(Processes(), func(p Process) bool {
		return len(p.Words) < 2 || p.Words[1] != kind || !p.holds(id)
	})
}

// holds: the process has a file of the container open. Its words name the container only when it has executed itself again.
func (p Process) holds(id string) bool {
	descriptors, _ := filepath.Glob("/proc/" + strconv.Itoa(p.PID()) + "/fd/*")
	return id == "" || slices.ContainsFunc(descriptors, func(d string) bool {
		target, _ := os.Readlink(d)
		return strings.Contains(target, id)
	})
}

// mounts are the places of the mount namespace.
func mounts() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	var all []string
	for line := range strings.Lines(string(data)) {
		_, mount, _ := strings.Cut(strings.TrimSpace(line), " / ")
		all = append(all, "mount "+mount)
	}
	return all, err
}

func links() ([]string, error) {
	dirs, err := filepath.Glob("/sys/class/net/*")
	for i, dir := range dirs {
		dirs[i] = "interface " + filepath.Base(dir)
	}
	return dirs, err
}

func rules() ([]string, error) {
	out, err := world.Output("nft", "list", "ruleset")
	return strings.Split(out, "\n"), err
}

func groups() (all []string, err error) {
	return walk("/sys/fs/cgroup", func(path string, d fs.DirEntry) bool { return d.IsDir() })
}

func files() (all []string, err error) {
	root, run := os.Getenv("GLASSBOX_ROOT"), os.Getenv("GLASSBOX_RUN")
	for _, top := range []string{run, root + "/containers", root + "/names", root + "/idranges", root + "/projects", root + "/networks",
		root + "/networknames", root + "/volumes", root + "/images/temp", root + "/images/leases", root + "/layers/temp"} {
		more, err := walk(top, func(path string, d fs.DirEntry) bool { return !strings.HasPrefix(path, run+"/events") })
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// walk lists what is below top. What vanishes meanwhile is not there.
func walk(top string, wanted func(string, fs.DirEntry) bool) (all []string, err error) {
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && wanted(path, d) {
			all = append(all, path)
		}
		return nil
	})
	return all, err
}
