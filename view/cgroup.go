package view

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/cgroups"
)

// Cgroup is the container's group in the cgroup v2 hierarchy, cgroups(7).
type Cgroup struct {
	Path   string  `json:"path"` // where the first process is; empty: no cgroup2 is mounted
	Mark   string  `json:"mark,omitempty"`
	Limits []Limit `json:"limits"`
	OOMs   *int    `json:"oom_kills"` // processes killed for want of memory; null: not counted here
	Frozen bool    `json:"frozen"`
}

// Limit is a file of the group that bounds it.
type Limit struct {
	File    string   `json:"file"` // memory.max
	Asked   []string `json:"asked"`
	Set     string   `json:"set"`               // what the file has; lines are separated by newlines
	Used    string   `json:"used"`              // at this moment, as the kernel counts: bytes, microseconds of processor time, processes and threads
	Missing string   `json:"missing,omitempty"` // why there is no such file
	Mark    string   `json:"mark,omitempty"`
}

// bounding are the files that are shown also if nobody asked for them, with what they have then, and where it stands how much is used.
var bounding = []struct{ file, unbound, used string }{
	{"memory.max", "max", "memory.current"},
	{"memory.high", "max", ""},
	{"memory.swap.max", "max", "memory.swap.current"},
	{"cpu.max", "max 100000", "cpu.stat"},
	{"cpu.weight", "100", ""},
	{"cpuset.cpus", "", ""},
	{"pids.max", "max", "pids.current"},
	{"io.max", "", "io.stat"},
}

func (v *View) group() error {
	c := &v.Cgroup
	c.Limits = []Limit{}
	own := v.sight.Group
	if own.Path == "" {
		return nil
	}
	path, in := v.inGroup(v.init)
	c.Path = path
	if !in {
		c.Mark = v.differs("cgroup", "path", path, "asked %s", own.Path)
	}
	if !own.Exists() {
		return nil
	}
	frozen, err := own.Frozen()
	if err != nil {
		return err
	}
	c.Frozen = frozen
	if n, known := own.OOMKills(); known {
		c.OOMs = &n
	}
	for _, b := range bounding {
		c.Limits = append(c.Limits, v.limit(b.file, b.unbound, b.used))
	}
	for _, s := range v.sight.Settings {
		if !slices.ContainsFunc(c.Limits, func(l Limit) bool { return l.File == s.File }) {
			c.Limits = append(c.Limits, v.limit(s.File, "", ""))
		}
	}
	return nil
}

// limit reads one file.
func (v *View) limit(file, unbound, used string) Limit {
	l := Limit{File: file, Asked: []string{}}
	for _, s := range v.sight.Settings {
		if s.File == file {
			l.Asked = append(l.Asked, s.Value)
		}
	}
	own := v.sight.Group.Path
	text, err := readFile(filepath.Join(own, file))
	l.Used = v.used(used)
	if err != nil {
		controller, _, _ := strings.Cut(file, ".")
		if l.Missing = v.sight.Facts.Lacks(controller); l.Missing == "" {
			l.Missing = "the group above hands down no " + controller + ": nobody asked"
		}
		if len(l.Asked) > 0 {
			l.Mark = v.differs("cgroup", file, "no such file", "asked %s", human(file, strings.Join(l.Asked, ", ")))
		}
		return l
	}
	l.Set = text
	for _, asked := range l.Asked {
		if !agrees(file, asked, text) {
			l.Mark = v.differs("cgroup", file, human(file, text), "asked %s", human(file, asked))
		}
	}
	if len(l.Asked) == 0 && text != unbound && slices.ContainsFunc(bounding, func(b struct{ file, unbound, used string }) bool { return b.file == file }) {
		l.Mark = v.differs("cgroup", file, human(file, text), "asked nothing (%s)", quoted(human(file, unbound)))
	}
	return l
}

// used reads how much is used. Processor time and threads are counted in every group, the rest where its controller is.
func (v *View) used(file string) string {
	own := v.sight.Group
	text, err := readFile(filepath.Join(own.Path, file))
	switch {
	case file == "":
		return ""
	case file == "pids.current" && err != nil:
		if n, ok := own.Threads(); ok {
			return strconv.FormatUint(n, 10)
		}
		return ""
	case err != nil:
		return ""
	case file == "cpu.stat":
		_, usage, _ := strings.Cut(text, "usage_usec ")
		usage, _, _ = strings.Cut(usage, "\n")
		return usage
	case file == "io.stat":
		u, err := own.Stat()
		if err != nil {
			return ""
		}
		var sum uint64
		for _, d := range u.IO {
			sum += d.ReadBytes + d.WriteBytes
		}
		return strconv.FormatUint(sum, 10)
	}
	return text
}

func readFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	return strings.TrimRight(string(data), "\n"), err
}

// agrees says whether a file has what was written there: the kernel shows numbers without suffixes and rounded down to pages, sets of processors
// as ranges, and devices with all their keys.
func agrees(file, asked, set string) bool {
	switch {
	case strings.HasPrefix(file, "cpuset."):
		return slices.Equal(members(asked), members(set))
	case strings.HasPrefix(file, "io."):
		return slices.ContainsFunc(strings.Split(set, "\n"), func(line string) bool { return contains(line, asked) })
	}
	a, is := amount(asked)
	s, too := amount(set)
	if is && too {
		return a == s || a/pageSize == s/pageSize && strings.HasPrefix(file, "memory.")
	}
	return strings.Join(strings.Fields(asked), " ") == set || slices.Contains(strings.Split(set, "\n"), asked)
}

const pageSize = 4096

// contains: the line is for the device, or for all others ("default"), and has each key.
func contains(line, asked string) bool {
	have, want := strings.Fields(line), strings.Fields(asked)
	if len(want) == 1 {
		want = []string{"default", want[0]}
	}
	for _, w := range want {
		if !slices.Contains(have, w) {
			return len(have) == 1 && have[0] == asked
		}
	}
	return true
}

// amount reads a number as the kernel does (memparse): 64M.
func amount(text string) (uint64, bool) {
	shift := map[string]uint{"K": 10, "M": 20, "G": 30, "T": 40}
	if n := len(text); n > 1 {
		if s := shift[strings.ToUpper(text[n-1:])]; s > 0 {
			v, err := strconv.ParseUint(text[:n-1], 10, 64)
			return v << s, err == nil
		}
	}
	if text == "max" {
		return cgroups.Unlimited, true
	}
	v, err := strconv.ParseUint(text, 10, 64)
	return v, err == nil
}

// members are the numbers in a list such as 0-2,7.
func members(list string) []int {
	var all []int
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.Atoi(first)
		if err != nil {
			continue
		}
		to := from
		if isRange {
			to = number(last)
		}
		for n := from; n <= min(to, 1<<16); n++ {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}
