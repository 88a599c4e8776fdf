package view

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/archive"
	"glassbox/screen"

	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// Resource is something of which programs ask how much there is. No namespace covers what they are told, and what they may use is bounded
// elsewhere, by the group.
type Resource struct {
	What      string `json:"what"`            // memory, swap: in bytes; processors, load, threads
	Asked     string `json:"asked"`           // the program that people type: free
	Source    string `json:"source"`          // where that reads it: MemTotal in /proc/meminfo
	Host      string `json:"host"`            // what it reads on the host; empty: it cannot be read
	Container string `json:"container"`       // what it reads in the container
	File      string `json:"file,omitempty"`  // the group's file that bounds its use; empty: none does
	Bound     string `json:"bound,omitempty"` // the lowest of the container's group and those above; max: there is none; empty: no such file
	Group     string `json:"group,omitempty"` // whose file has that
}

// counted are the resources, and how each is read below a root directory.
var counted = []struct {
	what, asked, source, file string
	read                      func(v *View, h *held, root *os.File) string
}{
	{"memory", "free", "MemTotal in /proc/meminfo", "memory.max", meminfo("MemTotal")},
	{"swap", "free", "SwapTotal in /proc/meminfo", "memory.swap.max", meminfo("SwapTotal")},
	{"processors", "nproc", "sched_getaffinity(2)", "cpu.max", affinity},
	{"processors listed", "cat /proc/cpuinfo", "/proc/cpuinfo", "cpu.max", cpuinfo},
	{"threads", "ulimit -u", "RLIMIT_NPROC", "pids.max", threads},
	{"load", "uptime", "/proc/loadavg", "", load},
}

// resources reads what programs are told on the host and in the container. It comes after what it compares: the mounts and the limits.
func (v *View) resources() error {
	mine, err := os.OpenFile("/", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer mine.Close()
	theirs, err := os.OpenFile(v.init.path("root"), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer theirs.Close()
	v.Resources = []Resource{}
	for _, c := range counted {
		r := Resource{What: c.what, Asked: c.asked, Source: c.source, File: c.file, Host: c.read(v, v.host, mine), Container: c.read(v, v.init, theirs)}
		if c.file != "" {
			r.Bound, r.Group = v.bound(c.file)
		}
		v.Resources = append(v.Resources, r)
	}
	return nil
}

// within reads a file of a tree as a process there would. A container can have put anything in its place: what could keep a reader waiting, a
// FIFO or a file system that a program of its own answers for (lxcfs is one), is not read.
func (v *View) within(h *held, root *os.File, name string) string {
	if h == v.init {
		for _, m := range v.Mounts {
			if strings.HasPrefix(m.Type, "fuse") && (m.Place == "/" || strings.HasPrefix(name+"/", m.Place+"/")) {
				return ""
			}
		}
	}
	data, err := archive.Read(root, name, most)
	if err != nil {
		return ""
	}
	return string(data)
}

// meminfo reads a line of proc_meminfo(5), in bytes.
func meminfo(field string) func(*View, *held, *os.File) string {
	return func(v *View, h *held, root *os.File) string {
		for line := range strings.Lines(v.within(h, root, "/proc/meminfo")) {
			name, rest, _ := strings.Cut(line, ":")
			if n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54); err == nil && name == field {
				return strconv.FormatUint(n<<10, 10)
			}
		}
		return ""
	}
}

// affinity is on how many processors a process may run.
func affinity(_ *View, h *held, _ *os.File) string {
	var set unix.CPUSet
	if unix.SchedGetaffinity(h.pid, &set) != nil {
		return ""
	}
	return strconv.Itoa(set.Count())
}

// cpuinfo counts entries, which begin with this word on each architecture that glassbox runs on.
func cpuinfo(v *View, h *held, root *os.File) string {
	if n := strings.Count("\n"+v.within(h, root, "/proc/cpuinfo"), "\nprocessor"); n > 0 {
		return strconv.Itoa(n)
	}
	return ""
}

func threads(v *View, h *held, _ *os.File) string {
	for _, l := range v.Rlimits {
		switch {
		case l.Name != rlimitNames["RLIMIT_NPROC"]:
		case h == v.host:
			return l.Soft.Host
		default:
			return l.Soft.Container
		}
	}
	return ""
}

// load is the average of one minute, proc_loadavg(5).
func load(v *View, h *held, root *os.File) string {
	first, _, _ := strings.Cut(v.within(h, root, "/proc/loadavg"), " ")
	return first
}

// bound is the lowest value that a file has in the container's group and in those above, and whose it is: each group is held to all of them.
func (v *View) bound(file string) (lowest, group string) {
	least := math.Inf(1)
	for at := v.sight.Group.Path; at != "" && at != "/"; at = filepath.Dir(at) {
		text, err := readFile(filepath.Join(at, file))
		if err != nil {
			break // the root of the hierarchy has no limits
		}
		if n, is := measure(file, text); is && (n < least || lowest == "") {
			lowest, group, least = text, at, n
		}
	}
	return lowest, group
}

// measure is a limit as a number: processors for cpu.max, whose two numbers are microseconds.
func measure(file, text string) (float64, bool) {
	if strings.HasPrefix(text, "max") {
		return math.Inf(1), true
	}
	if file == "cpu.max" {
		var quota, period float64
		n, _ := fmt.Sscan(text, &quota, &period)
		return quota / period, n == 2 && period > 0
	}
	n, known := amount(text)
	return float64(n), known
}

func (v *View) resourceTable(s *screen.Screen) {
	var rows [][]screen.Cell
	for _, r := range v.Resources {
		rows = append(rows, append(screen.Row(r.What, r.Asked, r.shown(r.Host), r.shown(r.Container)), v.counts(r)))
	}
	s.Table([]string{"WHAT", "PEOPLE TYPE", "HOST", "CONTAINER", "WHAT COUNTS"}, rows)
	s.Blank()
	s.Say("No namespace covers /proc/meminfo, /proc/cpuinfo and sched_getaffinity(2): free, top and nproc show the host's in a container, " +
		"and the kernel holds its processes to the group's limits all the same. Programs that want to know read /sys/fs/cgroup/memory.max and cpu.max.")
}

// shown is a value for people.
func (r Resource) shown(value string) string {
	n, known := amount(value)
	switch {
	case value == "":
		return "-"
	case known && (r.What == "memory" || r.What == "swap"):
		return units.BytesSize(float64(n))
	}
	return screen.Shown(value)
}

// counts says what bounds the container, and whether its programs see that.
func (v *View) counts(r Resource) screen.Cell {
	switch {
	case r.File == "":
		return screen.Cell{Text: "nothing bounds it: it is the host's"}
	case r.Bound == "":
		return screen.Cell{Text: "no " + r.File + " here"}
	}
	least, _ := measure(r.File, r.Bound)
	if math.IsInf(least, 1) {
		return screen.Cell{Text: r.File + ": no limit"}
	}
	text := r.File + ": " + human(r.File, r.Bound)
	if r.Group != v.Cgroup.Path {
		text += " (of the group " + screen.Shown(r.Group) + ")"
	}
	if told, err := strconv.ParseFloat(r.Container, 64); err == nil && told <= least {
		return screen.Cell{Text: text}
	}
	return screen.Cell{Text: text + ", not seen inside", Tone: screen.Notice}
}
