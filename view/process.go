package view

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is one process of the container.
type Process struct {
	Pid       int      `json:"pid"`        // on the host
	Inside    int      `json:"pid_inside"` // in the PID namespace of the container's first process; 0: it is not in it
	Parent    int      `json:"ppid"`       // on the host
	User      int      `json:"uid"`        // on the host: the effective one
	UserIn    int      `json:"uid_inside"` // -1: that user has no number inside
	State     string   `json:"state"`      // proc_pid_stat(5): R S D Z T t I
	Zombie    bool     `json:"zombie"`     // it has ended, and its parent has not called wait(2)
	Role      string   `json:"role"`       // "first"; "entered": its parent is outside, as an exec's; else empty
	Name      string   `json:"name"`
	Command   string   `json:"command"`
	Elsewhere []string `json:"other_namespaces,omitempty"` // namespaces that are not those of the first process
	Group     string   `json:"cgroup,omitempty"`           // where that is not the container's
	Mark      string   `json:"mark,omitempty"`
}

// processes lists those in the container's group, or in a PID namespace of its own. Each is read through its directory, so that whoever is listed
// was in it: cgroup.procs gives numbers only, and leaves out zombies.
func (v *View) processes() error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	own, level, err := v.pidNamespace()
	if err != nil {
		return err
	}
	v.Processes = []Process{}
	for _, e := range entries {
		if n := e.Name(); n[0] >= '0' && n[0] <= '9' {
			if p, ok := v.member(n, own, level); ok {
				v.Processes = append(v.Processes, p)
			}
		}
	}
	v.family()
	return nil
}

// pidNamespace is that of the first process: by its link, empty unless it was made for the container; and how deep it lies below ours.
func (v *View) pidNamespace() (own string, level int, err error) {
	status, err := v.init.status()
	if err != nil {
		return "", 0, err
	}
	link, err := v.init.link("ns/pid")
	if err != nil {
		return "", 0, err
	}
	numbers := strings.Fields(status["NSpid"])
	if v.asks("pid") != ownNamespace || len(numbers) < 2 || numbers[len(numbers)-1] != "1" {
		link = ""
	}
	return link, len(numbers), nil
}

// member describes a process if it is one of the container's.
func (v *View) member(number, own string, level int) (p Process, ok bool) {
	h, err := hold(number)
	if err != nil {
		return p, false
	}
	defer h.close()
	group, grouped := v.inGroup(h)
	link, _ := h.link("ns/pid")
	if !grouped && (own == "" || link != own) && h.pid != v.Pid {
		return p, false
	}
	status, err := h.status()
	if err != nil {
		return p, false
	}
	p = Process{Pid: h.pid, Parent: h.parent(), State: h.state(), Zombie: h.state() == "Z", Name: status["Name"], UserIn: -1}
	p.Command = h.command(p.Name)
	if numbers := strings.Fields(status["NSpid"]); len(numbers) >= level {
		p.Inside, _ = strconv.Atoi(numbers[level-1])
	}
	if ids := strings.Fields(status["Uid"]); len(ids) > 1 {
		p.User, _ = strconv.Atoi(ids[1])
	}
	if maps, err := h.read("uid_map"); err == nil {
		p.UserIn = inside(ranges(maps), p.User)
	}
	if v.sight.Group.Exists() && !grouped {
		p.Group = group
		p.Mark = v.differs("processes", "process "+number, group, "asked to be in its group %s", v.sight.Group.Path)
	}
	p.Elsewhere = v.elsewhere(h)
	return p, true
}

// inGroup says in which group a process is, and whether that is the container's or one below it.
func (v *View) inGroup(h *held) (path string, is bool) {
	text, err := h.read("cgroup")
	own := v.sight.Group
	if err != nil || own.Path == "" {
		return "", false
	}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			path = filepath.Join(v.sight.Facts.Mount, strings.TrimSuffix(strings.TrimSpace(rest), " (deleted)"))
		}
	}
	return path, path == own.Path || strings.HasPrefix(path, own.Path+"/")
}

// elsewhere are the namespaces in which a process is not together with the first one.
func (v *View) elsewhere(h *held) []string {
	var all []string
	for _, kind := range kinds {
		mine, err := h.link("ns/" + kind)
		if err != nil {
			continue // a zombie has let go of them
		}
		if first, err := v.init.link("ns/" + kind); err == nil && first != mine {
			all = append(all, kind)
		}
	}
	return all
}

// family orders the processes, the first one first, and tells those that came from outside.
func (v *View) family() {
	members := map[int]bool{}
	for _, p := range v.Processes {
		members[p.Pid] = true
	}
	for i := range v.Processes {
		switch p := &v.Processes[i]; {
		case p.Pid == v.Pid:
			p.Role = "first"
		case !members[p.Parent]:
			p.Role = "entered"
		}
	}
	slices.SortFunc(v.Processes, func(a, b Process) int {
		if first := (b.Pid == v.Pid); first != (a.Pid == v.Pid) {
			return map[bool]int{true: 1, false: -1}[first]
		}
		return cmp.Compare(a.Pid, b.Pid)
	})
}
