package why

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupErrors follow kernel/cgroup/cgroup.c and cgroups(7).
var cgroupErrors = []Known{
	{
		Errno: unix.EBUSY, Calls: []string{"cgroup.subtree_control"}, Objects: "[DIR]", Manual: "cgroups(7)",
		Causes: []Cause{
			{
				Name: "no internal processes", Why: "a group that holds processes cannot hand domain controllers (memory, io ...) to its children: what the two would share, nobody could divide. Only the root is exempt", Check: "cat DIR/cgroup.procs",
				Fix: "mkdir DIR/leaf; move them there: for p in $(cat DIR/cgroup.procs); do echo $p > DIR/leaf/cgroup.procs; done", Learn: "memory-limit", test: internalProcesses,
			},
			{
				Name: "a child still hands it on", Why: "a controller is taken back (-NAME) from the leaves upwards: not while a child has it in its own cgroup.subtree_control", Check: "grep . DIR/*/cgroup.subtree_control",
				Fix: "take it back there first", Learn: "cgroup-namespace", test: childHandsOn,
			},
		},
	},
	{
		Errno: unix.ENOENT, Calls: []string{"cgroup.subtree_control"}, Objects: "[DIR [CONTROLLER]]", Manual: "cgroups(7)",
		Causes: []Cause{heldBefore, {
			Name: "controller that the group has not", Why: "a group hands on only what it has been given: what stands in its cgroup.controllers", Check: "cat DIR/cgroup.controllers DIR/../cgroup.subtree_control",
			Fix: "enable it in the group above first, from the root down; systemd: Delegate=yes", Learn: "cgroup-namespace", test: notGiven,
		}},
	},
	{
		Errno: unix.EINVAL, Calls: []string{"cgroup.subtree_control"}, Objects: "[DIR [CONTROLLER]]", Manual: "cgroups(7)",
		Causes: []Cause{
			{
				Name: "unknown controller", Why: "cgroup v2 has no controller of that name: it is v1's alone (net_cls, devices, freezer), not built in, or misspelled", Check: "cat /proc/cgroups /sys/fs/cgroup/cgroup.controllers",
				Fix: "memory cpu io pids cpuset are the usual ones; the freezer is a file of each group, cgroup.freeze", Learn: "cgroup-namespace", test: unknownController,
			},
		},
	},
	{
		Errno: unix.EOPNOTSUPP, Calls: []string{"cgroup.subtree_control", "cgroup.procs", "cgroup.type"}, Objects: "[DIR]", Manual: "cgroups(7)",
		Causes: []Cause{{
			Name: "threaded group", Why: "a threaded group, or one that is domain invalid because its parent is threaded, takes threads (cgroup.threads) and threaded controllers only", Check: "cat DIR/cgroup.type DIR/../cgroup.type",
			Fix: "a group elsewhere; threaded is not taken back", Learn: "cgroup-namespace", test: threaded,
		}},
	},
	{
		Errno: unix.EBUSY, Calls: []string{"cgroup.procs", "CLONE_INTO_CGROUP"}, Objects: "[DIR]", Manual: "cgroups(7)",
		Causes: []Cause{{
			Name: "no internal processes", Why: "a group that hands domain controllers to its children takes no processes itself", Check: "cat DIR/cgroup.subtree_control", Fix: "put the process into a child of it", Learn: "memory-limit", test: handsOn,
		}},
	},
	{
		Errno: unix.EBUSY, Calls: []string{"cgroup", "rmdir"}, Objects: "DIR", Manual: "cgroups(7), rmdir(2)",
		Causes: []Cause{
			{
				Name: "processes in the group", Why: "a group is removed when nobody is in it; zombies do not count", Check: "cat DIR/cgroup.procs", Fix: "end them (echo 1 > DIR/cgroup.kill), or move them out", Learn: "cgroup-namespace", test: groupPopulated,
			},
			{
				Name: "groups below", Why: "a group is removed after its children, each by rmdir; rm -r fails on its files", Check: "ls -d DIR/*/", Fix: "find DIR -depth -type d -exec rmdir {} +", Learn: "cgroup-namespace", test: groupHasChildren,
			},
			{
				Name: "mount point", Why: "a directory on which something is mounted in this mount namespace is not removed", Check: "findmnt DIR", Fix: "umount DIR", Learn: "mount-namespace",
				test: func(p *probe) verdict {
					v := notMountPoint(p)
					if v.holds == Yes {
						v.holds = No
					} else if v.holds == No {
						v.holds = Yes
					}
					return v
				},
			},
		},
	},
	{
		Errno: unix.ENOENT, Calls: []string{"cgroup"}, Objects: "[FILE]", Manual: "cgroups(7)",
		Causes: []Cause{
			{
				Name: "no cgroup v2 mounted", Why: "without a mount of type cgroup2 there is nothing to write to", Check: "findmnt -t cgroup2", Fix: "mount -t cgroup2 none /sys/fs/cgroup", Learn: "cgroup-namespace", test: noCgroup2,
			},
			{
				Name: "controller not handed down", Why: "a group has a controller's files (memory.max) only when the group above hands it on in cgroup.subtree_control; the root has no limits at all", Check: "cat DIR/cgroup.controllers",
				Fix: "echo +memory > DIR/../cgroup.subtree_control, from the root down", Learn: "memory-limit", test: filesMissing,
			},
			heldBefore,
			{
				Name: "group that is gone", Why: "a container's group goes with it; systemd removes scopes that are empty", Check: "ls DIR", Fix: "look while it runs", Learn: "cgroup-namespace", test: groupGone,
			},
		},
	},
	{
		Errno: unix.EROFS, Calls: []string{"cgroup"}, Objects: "[DIR]", Manual: "cgroups(7)",
		Causes: []Cause{{
			Name: "mounted read-only", Why: "containers get /sys/fs/cgroup mounted ro by policy, not by rights: their root owns the groups in it, and could write if the mount let it", Check: "grep cgroup /proc/self/mounts",
			Fix: "glassbox run --cgroup-rw (docker: --security-opt writable-cgroups=true); or change limits from the host: glassbox update", Learn: "cgroup-namespace", test: cgroupReadOnly,
		}},
	},
	{
		Errno: unix.EACCES, Calls: []string{"cgroup", "cgroup.procs", "cgroup.subtree_control"}, Objects: "[DIR]", Manual: "cgroups(7)",
		Causes: []Cause{{
			Name: "not delegated", Why: "a user writes to groups that were given to him: systemd gives users cgroup.procs of their own subtree, and the controllers that Delegate= names; a process is moved only by who may write cgroup.procs of the nearest group above both places", Check: "ls -l DIR/cgroup.procs",
			Fix: "systemd-run --user --scope -p Delegate=yes COMMAND; for all: a drop-in for user@.service with Delegate=cpu cpuset io memory pids", Learn: "cgroup-namespace", test: notDelegated,
		}},
	},
	{
		Errno: unix.ENODEV, Calls: []string{"cgroup"}, Objects: "[DIR]", Manual: "cgroups(7)",
		Causes: []Cause{{Name: "group that is gone", Why: "a file of a group that was removed in the meantime answers ENODEV", Check: "ls DIR", Fix: "open it anew", Learn: "cgroup-namespace", test: groupGone}},
	},
}

var heldBefore = Cause{
	Name: "held by cgroup v1", Why: "a controller belongs to v1 or to v2, never to both; a v1 hierarchy that is mounted holds it, so v2 has no file of it", Check: "stat -f -c %T /sys/fs/cgroup; cat /proc/cgroups",
	Fix: "boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all", Learn: "cgroup-namespace", test: heldByV1,
}

// cgroup2 is where cgroup v2 is mounted.
func (p *probe) cgroup2() (mounted, bool) {
	for _, m := range p.mounts() {
		if m.kind == "cgroup2" {
			return m, true
		}
	}
	return mounted{}, false
}

// group is the one that an object names: a directory, or a file in one; else the process's own.
func (p *probe) group() (dir string, v verdict) {
	if o := p.object(0); strings.HasPrefix(o, "/") || strings.HasPrefix(o, ".") {
		if info, err := os.Stat(o); err == nil && !info.IsDir() {
			return filepath.Dir(o), v
		}
		if !there(o) && strings.Contains(filepath.Base(o), ".") {
			return filepath.Dir(o), v
		}
		return o, v
	}
	m, found := p.cgroup2()
	if !found {
		return "", yes("%s has no cgroup2", p.proc("mountinfo"))
	}
	text, err := read(p.proc("cgroup"))
	if err != nil {
		return "", unknown("%v", err)
	}
	_, after, _ := strings.Cut("\n"+text, "\n0::")
	path, _, _ := strings.Cut(after, "\n")
	return filepath.Join(m.point, strings.TrimPrefix(path, strings.TrimSuffix(m.root, "/"))), v
}

// isTop says whether a directory is the root of the whole tree: only there cgroup.type is missing.
func isTop(dir string) bool { return there(dir+"/cgroup.procs") && !there(dir+"/cgroup.type") }

// members are the processes of a group.
func members(dir string) (all []string, err error) {
	text, err := read(dir + "/cgroup.procs")
	for _, w := range strings.Fields(text) {
		if n, err := strconv.Atoi(w); err == nil {
			all = append(all, named(n))
		}
	}
	return all, err
}

func internalProcesses(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	if isTop(dir) {
		return no("%s is the root, which is exempt", dir)
	}
	all, err := members(dir)
	if err != nil {
		return unknown("%v", err)
	}
	return when(len(all) > 0, "%s/cgroup.procs: %s", dir, orNone(all))
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "empty"
	}
	return list(all)
}

// children are the groups below a group.
func children(dir string) (dirs []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	return dirs
}

func childHandsOn(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	for _, child := range children(dir) {
		if text, err := read(child + "/cgroup.subtree_control"); err == nil && text != "" {
			return yes("%s/cgroup.subtree_control: %s", child, text)
		}
	}
	return no("no group below %s hands a controller on", dir)
}

func notGiven(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	has, err := read(dir + "/cgroup.controllers")
	if err != nil {
		return unknown("%v", err)
	}
	line := fmt.Sprintf("%s/cgroup.controllers: %s", dir, orElse(has, "(empty)"))
	want := strings.TrimLeft(p.object(1), "+-")
	if want == "" {
		return unknown("%s; name the controller: why ENOENT cgroup.subtree_control %s memory", line, dir)
	}
	return when(!contains(strings.Fields(has), want), "%s", line)
}

// controllersOfV1 are those that a v1 hierarchy holds: /proc/cgroups has their hierarchy's number, which is 0 for v2.
func controllersOfV1() (all []string) {
	text, _ := read("/proc/cgroups")
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 4 && f[0] != "#subsys_name" && f[1] != "0" {
			all = append(all, f[0])
		}
	}
	return all
}

func unknownController(p *probe) verdict {
	want := strings.TrimLeft(p.object(1), "+-")
	if want == "" {
		return unknown("name the controller: why EINVAL cgroup.subtree_control DIR memory")
	}
	m, found := p.cgroup2()
	if !found {
		return unknown("no cgroup2 is mounted")
	}
	has, err := read(m.point + "/cgroup.controllers")
	if err != nil {
		return unknown("%v", err)
	}
	return when(!contains(strings.Fields(has), want) && !contains(controllersOfV1(), want), "%s/cgroup.controllers: %s; /proc/cgroups: held by v1: %s", m.point, orElse(has, "(empty)"), orNone(controllersOfV1()))
}

func heldByV1(p *probe) verdict {
	if dir, _ := p.group(); p.object(0) != "" && !there(dir) {
		return no("%s: not there", dir)
	}
	held := controllersOfV1()
	want := strings.TrimLeft(p.object(1), "+-")
	if want == "" {
		want, _, _ = strings.Cut(filepath.Base(p.object(0)), ".")
	}
	if want == "" || want == "." || !contains(append([]string{"memory", "cpu", "pids", "io", "cpuset", "hugetlb"}, held...), want) {
		return when(len(held) > 0, "/proc/cgroups: held by v1: %s", orNone(held))
	}
	return when(contains(held, want), "/proc/cgroups: held by v1: %s", orNone(held))
}

func threaded(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	kind, err := read(dir + "/cgroup.type")
	if err != nil {
		return unknown("%v", err)
	}
	return when(kind != "domain", "%s/cgroup.type: %s", dir, kind)
}

func handsOn(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	if isTop(dir) {
		return no("%s is the root, which is exempt", dir)
	}
	text, err := read(dir + "/cgroup.subtree_control")
	if err != nil {
		return unknown("%v", err)
	}
	return when(text != "", "%s/cgroup.subtree_control: %s", dir, orElse(text, "(empty)"))
}

func groupPopulated(p *probe) verdict {
	dir := p.object(0)
	if dir == "" {
		return unknown("name the directory: why EBUSY rmdir DIR")
	}
	if !there(dir + "/cgroup.procs") {
		return no("%s is no cgroup: it has no cgroup.procs", dir)
	}
	all, err := members(dir)
	if err != nil {
		return unknown("%v", err)
	}
	return when(len(all) > 0, "%s/cgroup.procs: %s", dir, orNone(all))
}

func groupHasChildren(p *probe) verdict {
	dir := p.object(0)
	if dir == "" {
		return unknown("name the directory: why EBUSY rmdir DIR")
	}
	if !there(dir + "/cgroup.procs") {
		return no("%s is no cgroup: it has no cgroup.procs", dir)
	}
	below := children(dir)
	return when(len(below) > 0, "groups below: %s", orNone(below))
}

func filesMissing(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	if !there(dir) {
		return no("%s does not exist", dir)
	}
	has, err := read(dir + "/cgroup.controllers")
	if err != nil {
		return no("%s is no group of cgroup v2: %v", dir, err)
	}
	line := fmt.Sprintf("%s/cgroup.controllers: %s", dir, orElse(has, "(empty)"))
	want, _, dotted := strings.Cut(filepath.Base(p.object(0)), ".")
	if !dotted || want == "cgroup" || want == "" {
		return unknown("%s; name the file: why ENOENT cgroup %s/memory.max", line, dir)
	}
	if isTop(dir) {
		return yes("%s is the root of the tree, which has no such file", dir)
	}
	return when(!contains(strings.Fields(has), want), "%s", line)
}

func groupGone(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	return when(!there(dir), "%s: %s", dir, map[bool]string{true: "there", false: "not there"}[there(dir)])
}

func noCgroup2(p *probe) verdict {
	m, found := p.cgroup2()
	if !found {
		return yes("%s has no cgroup2", p.proc("mountinfo"))
	}
	return no("%s: %s", p.proc("mountinfo"), m)
}

func cgroupReadOnly(p *probe) verdict {
	if strings.HasPrefix(p.object(0), "/") {
		return readOnlyMount(p)
	}
	for _, m := range p.mounts() {
		if (m.kind == "cgroup2" || m.kind == "cgroup") && m.readOnly() {
			return yes("%s: %s", p.proc("mountinfo"), m)
		}
	}
	return no("no cgroup of %s is read-only", p.proc("mountinfo"))
}

func notDelegated(p *probe) verdict {
	dir, v := p.group()
	if dir == "" {
		return v
	}
	info, err := os.Stat(dir + "/cgroup.procs")
	if err != nil {
		return unknown("%v", err)
	}
	if !p.self() {
		return p.elsewhere()
	}
	err = unix.Access(dir+"/cgroup.procs", unix.W_OK)
	return when(err != nil, "mode of %s/cgroup.procs: %s, may it be written: %s", dir, info.Mode(), map[bool]string{true: "yes", false: "no"}[err == nil])
}
