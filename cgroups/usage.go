package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Unlimited is what Max fields hold where the kernel says "max".
const Unlimited = ^uint64(0)

// Usage is what a group has used. A nil part was not measured, because the controller is not ours: that is not zero.
type Usage struct {
	Memory *MemoryUsage
	CPU    *CPUUsage
	Pids   *PidsUsage
	IO     []IOUsage // nil: not measured; empty: nothing read or written
}

// MemoryUsage is in bytes.
type MemoryUsage struct {
	Current      uint64
	Max          uint64
	InactiveFile uint64 // page cache not used lately; Docker's stats leave it out
	Swap         uint64
	SwapMax      uint64
	Stat         map[string]uint64 // memory.stat
}

// CPUUsage is in microseconds.
type CPUUsage struct {
	Usage, User, System uint64
	Periods, Throttled  uint64 // how many periods there were with a quota in force, and in how many it ran out
	ThrottledTime       uint64
}

// HugeUsage is what a group has of one size of huge pages, in bytes, and how often it got none.
type HugeUsage struct{ Current, Failed uint64 }

// PidsUsage counts processes and threads.
type PidsUsage struct{ Current, Max uint64 }

// IOUsage is one block device's traffic.
type IOUsage struct {
	Major, Minor          uint32
	ReadBytes, WriteBytes uint64
	Reads, Writes         uint64
}

// Stat reads what the group and the groups below it have used.
func (g Group) Stat() (Usage, error) {
	var u Usage
	if g.Path == "" {
		return u, nil
	}
	if !g.Exists() {
		return u, fmt.Errorf("measuring group %s: %w", g.Path, os.ErrNotExist)
	}
	if n, ok := g.number("memory.current"); ok {
		m := &MemoryUsage{Current: n, Stat: g.table("memory.stat")}
		m.InactiveFile = m.Stat["inactive_file"]
		m.Max, _ = g.number("memory.max")
		m.Swap, _ = g.number("memory.swap.current")
		m.SwapMax, _ = g.number("memory.swap.max")
		u.Memory = m
	}
	if t := g.table("cpu.stat"); t != nil {
		u.CPU = &CPUUsage{Usage: t["usage_usec"], User: t["user_usec"], System: t["system_usec"],
			Periods: t["nr_periods"], Throttled: t["nr_throttled"], ThrottledTime: t["throttled_usec"]}
	}
	if n, ok := g.number("pids.current"); ok {
		u.Pids = &PidsUsage{Current: n}
		u.Pids.Max, _ = g.number("pids.max")
	}
	if text, err := g.read("io.stat"); err == nil {
		u.IO = parseIO(text)
	}
	return u, nil
}

// HugePages is the group's use of huge pages by their size, such as 2MB; nil where the controller is not ours.
func (g Group) HugePages() map[string]HugeUsage {
	files, _ := filepath.Glob(filepath.Join(g.Path, "hugetlb.*.current"))
	var all map[string]HugeUsage
	for _, path := range files {
		size, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), "hugetlb."), ".")
		n, ok := g.number(filepath.Base(path))
		if !ok || strings.HasSuffix(filepath.Base(path), ".rsvd.current") {
			continue
		}
		if all == nil {
			all = map[string]HugeUsage{}
		}
		all[size] = HugeUsage{Current: n, Failed: g.table("hugetlb." + size + ".events")["max"]}
	}
	return all
}

// OOMKills is how many processes of the group and below were killed for want of memory; known is false where the
// memory controller is not ours. memory.events counts the groups below too, unless the file system is mounted with
// memory_localevents: hence the sum over memory.events.local.
func (g Group) OOMKills() (n int, known bool) {
	var sum uint64
	if t := g.table("memory.events"); t != nil {
		n, known = int(t["oom_kill"]), true
	}
	_ = g.walk(func(dir string) error {
		sum += Group{dir}.table("memory.events.local")["oom_kill"]
		return nil
	})
	return max(n, int(sum)), known
}

// Threads counts the threads of the group and the groups below it: what pids.current says where that controller is ours.
func (g Group) Threads() (n uint64, ok bool) {
	err := g.walk(func(dir string) error {
		text, err := Group{dir}.read("cgroup.threads")
		n += uint64(strings.Count(text, "\n"))
		return err
	})
	return n, err == nil && g.Path != ""
}

func (g Group) read(file string) (string, error) {
	if g.Path == "" {
		return "", os.ErrNotExist
	}
	text, err := os.ReadFile(filepath.Join(g.Path, file))
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = os.ErrNotExist // the controller is there and switched off for this group
	}
	return string(text), err
}

// number reads a file with one number, or "max".
func (g Group) number(file string) (uint64, bool) {
	text, err := g.read(file)
	if err != nil {
		return 0, false
	}
	text = strings.TrimSpace(text)
	if text == "max" {
		return Unlimited, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return n, err == nil
}

// table reads a file of "key number" lines; nil where there is none.
func (g Group) table(file string) map[string]uint64 {
	text, err := g.read(file)
	if err != nil {
		return nil
	}
	t := map[string]uint64{}
	for line := range strings.Lines(text) {
		key, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(v, 10, 64); err == nil {
			t[key] = n
		}
	}
	return t
}

// parseIO reads "MAJ:MIN rbytes=1 wbytes=2 rios=3 wios=4 ..." lines.
func parseIO(text string) []IOUsage {
	out := []IOUsage{}
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) < 2 {
			continue
		}
		var d IOUsage
		if _, err := fmt.Sscanf(w[0], "%d:%d", &d.Major, &d.Minor); err != nil {
			continue
		}
		into := map[string]*uint64{"rbytes": &d.ReadBytes, "wbytes": &d.WriteBytes, "rios": &d.Reads, "wios": &d.Writes}
		for _, pair := range w[1:] {
			key, v, _ := strings.Cut(pair, "=")
			if p := into[key]; p != nil {
				*p, _ = strconv.ParseUint(v, 10, 64)
			}
		}
		out = append(out, d)
	}
	return out
}
