package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Zombies are processes of a container that have ended, and for which their common parent has not called wait(2).
type Zombies struct {
	Count      int
	Parent     int // as the container's PID namespace numbers it
	HostParent int // as the host does
	ParentName string
}

// String says whose fault they are: "3 zombies (Z, <defunct>): PID 1 (sleep) has not called wait(2)".
func (z Zombies) String() string {
	what := "1 zombie"
	if z.Count > 1 {
		what = fmt.Sprintf("%d zombies", z.Count)
	}
	return fmt.Sprintf("%s (Z, <defunct>): PID %d (%s) has not called wait(2)", what, z.Parent, z.ParentName)
}

// Fix is what has them reaped.
func (z Zombies) Fix() string {
	if z.Parent == 1 {
		return "run it with --init: that reaps"
	}
	return fmt.Sprintf("let PID %d wait for its children", z.Parent)
}

// Zombies lists them by parent. A process that is reaped while we look is none.
func (c *Containers) Zombies(id string) ([]Zombies, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	s, err := c.state(r)
	if err != nil || !s.Running || s.Restarting {
		return nil, err
	}
	pids, err := c.pids(r, s)
	if err != nil {
		return nil, err
	}
	counts, err := countZombies(pids)
	if err != nil {
		return nil, err
	}
	var all []Zombies
	for parent, n := range counts {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(parent) + "/status")
		if err != nil {
			continue // it has ended
		}
		inside := strings.Fields(statusField(status, "NSpid"))
		if len(inside) == 0 {
			continue
		}
		number, _ := strconv.Atoi(inside[len(inside)-1])
		all = append(all, Zombies{Count: n, Parent: number, HostParent: parent, ParentName: statusField(status, "Name")})
	}
	slices.SortFunc(all, func(a, b Zombies) int { return cmp.Compare(a.Parent, b.Parent) })
	return all, nil
}

// countZombies counts those of each parent. They are looked for among all processes: a group does not list its dead (cgroup.procs), which is
// why Docker's top never shows one.
func countZombies(parents []int) (map[int]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	counts := map[int]int{}
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		data, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])) // from the third on, proc_pid_stat(5)
		if len(fields) < 2 || fields[0] != "Z" {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil && slices.Contains(parents, parent) {
			counts[parent]++
		}
	}
	return counts, nil
}
