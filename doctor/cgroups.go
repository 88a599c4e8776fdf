package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"glassbox/cgroups"
	"glassbox/program"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func cgroupProbes() []probe {
	return []probe{
		{"cgroups", "layout", "limits need the controllers of cgroup v2; a controller serves v1 or v2, never both", "memory-limit", tryLayout},
		{"cgroups", "group", "each container has a group of its own, in which its first process is born", "cgroup-namespace", tryGroup},
		{"cgroups", "freeze", "pause, and a still picture for commit", "freeze", func(m *machine) finding {
			return m.groups().does(m.groups().freeze, "froze a process and let it go on")
		}},
		{"cgroups", "kill", "stop and rm -f end all processes at once, forks in flight included", "lifecycle", func(m *machine) finding { return m.groups().does(m.groups().kill, "cgroup.kill ended the process") }},
		{"cgroups", "devices", "a program in the kernel is asked at every open of a device (run without --privileged)", "capabilities-seccomp", func(m *machine) finding {
			return m.groups().does(m.groups().devices, "attached a program that decides on devices")
		}},
		limit("memory", "-m", "memory-limit"),
		limit("swap", "--memory-swap", "memory-limit"),
		limit("cpu", "--cpus", "cpu-limit"),
		limit("pids", "--pids-limit", "pids-limit"),
		limit("cpuset", "--cpuset-cpus", "cpu-limit"),
		limit("io", "--device-read-bps", ""),
		{"cgroups", "delegation", "who is not root gets only the controllers that systemd hands down", "cgroup-namespace", tryDelegation},
	}
}

func limit(name, flag, lab string) probe {
	return probe{"cgroups", name, "run " + flag + ": a limit that cannot be set is refused, rather than running without it", lab, func(m *machine) finding { return m.groups().limit(name) }}
}

// limits are the smallest requests that need a controller.
func limits(name string) *specs.LinuxResources {
	some, more, quota, period := int64(64<<20), int64(128<<20), int64(50000), uint64(100000)
	switch name {
	case "memory":
		return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &some}}
	case "swap":
		return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &some, Swap: &more}}
	case "cpu":
		return &specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: &quota, Period: &period}}
	case "pids":
		few := int64(64)
		return &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &few}}
	case "cpuset":
		return &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0"}}
	}
	disk := specs.LinuxThrottleDevice{Rate: 1 << 30}
	return &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{ThrottleReadBpsDevice: []specs.LinuxThrottleDevice{disk}}}
}

// kinds are the limits that are tried.
var kinds = []string{"memory", "swap", "cpu", "pids", "cpuset", "io"}

// groupTrial is what came of a group of doctor's own: made as a container's is, a process born in it, every limit set.
type groupTrial struct {
	facts                             cgroups.Facts
	path                              string
	made, born, freeze, kill, devices error
	limits                            map[string]error
}

// doctors is the parent of the groups that doctors make, where systemd does not manage the hierarchy.
const doctors = "/glassbox-doctor"

func tryGroups() *groupTrial {
	t := &groupTrial{limits: map[string]error{}}
	if t.facts, t.made = cgroups.Observe(limits("memory")); t.made == nil && t.facts.Mount == "" {
		t.made = errors.New("no cgroup2 file system is mounted")
	}
	if t.made != nil {
		t.born, t.freeze, t.kill, t.devices = t.made, t.made, t.made, t.made
		for _, k := range kinds {
			t.limits[k] = t.made
		}
		return t
	}
	t.sweep()
	defer t.sweep()
	can := t.compile()
	for n := 0; ; n++ {
		failed := t.carry(n, can)
		if failed == "" {
			return t
		}
		delete(can, failed)
	}
}

// compile asks for each limit alone what a start would request; what the host cannot set is refused here, as there.
func (t *groupTrial) compile() map[string]*specs.LinuxResources {
	can := map[string]*specs.LinuxResources{}
	for _, k := range kinds {
		r := limits(k)
		if _, _, t.limits[k] = cgroups.Compile("/x", r, t.facts); t.limits[k] == nil && k != "io" { // io.max wants a disk, which may not be there
			can[k] = r
		}
	}
	return can
}

// carry makes a group with these limits, and uses it. It returns the limit that failed, to be tried without.
func (t *groupTrial) carry(n int, can map[string]*specs.LinuxResources) (failed string) {
	path, err := filepath.Join(doctors, fmt.Sprintf("%s-%d", self(), n)), error(nil)
	if t.facts.Systemd {
		path, err = t.facts.Path("", fmt.Sprintf("doctor-%s-%d", self(), n))
	}
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}}
	merge(r, can)
	var group cgroups.Group
	var requests []program.Request
	if err == nil {
		group, requests, err = cgroups.Compile(path, r, t.facts)
	}
	if err != nil {
		t.broke(err)
		return ""
	}
	t.path = group.Path
	var ledger program.Ledger
	defer ledger.Back() //nolint:errcheck // what stays is swept
	if err := ledger.Carry(requests...); err != nil {
		if k := kindOfRequest(err); k != "" && can[k] != nil {
			t.limits[k] = err
			return k
		}
		if strings.HasSuffix(from(err), ".devices") {
			t.devices = err
			return ""
		}
		t.broke(err)
		for _, k := range kinds {
			t.limits[k] = errors.Join(t.limits[k], err)
		}
		return ""
	}
	t.use(group)
	return ""
}

func (t *groupTrial) broke(err error) {
	t.made, t.born, t.freeze, t.kill, t.devices = err, err, err, err, err
}

// merge puts the limits together into one request.
func merge(r *specs.LinuxResources, can map[string]*specs.LinuxResources) {
	for k, l := range can {
		switch k {
		case "memory":
			r.Memory.Limit = l.Memory.Limit
		case "swap":
			r.Memory = l.Memory
		case "cpu":
			r.CPU.Quota, r.CPU.Period = l.CPU.Quota, l.CPU.Period
		case "cpuset":
			r.CPU.Cpus = l.CPU.Cpus
		case "pids":
			r.Pids = l.Pids
		}
	}
}

// from is the field of config.json of the request that failed.
func from(err error) string {
	var f *program.HostFailure
	if errors.As(err, &f) {
		return f.Request.From
	}
	return ""
}

func kindOfRequest(err error) string {
	switch strings.TrimPrefix(from(err), "linux.resources.") {
	case "memory.limit":
		return "memory"
	case "memory.swap":
		return "swap"
	case "cpu.quota", "cpu.period":
		return "cpu"
	case "cpu.cpus":
		return "cpuset"
	case "pids.limit":
		return "pids"
	}
	return ""
}

// use has a process born in the group, frozen, thawed and killed.
func (t *groupTrial) use(g cgroups.Group) {
	dir, err := g.Open()
	if err != nil {
		t.born, t.freeze, t.kill = err, err, err
		return
	}
	defer dir.Close()
	var b program.Builder
	b.Begin()
	b.Gate("tried", "wait to be frozen, and killed")
	p, err := bear(&b, program.Clone{Cgroup: dir})
	if err != nil {
		t.born, t.freeze, t.kill = err, err, err
		return
	}
	defer p.Kill()
	if t.born = p.Reach("tried"); t.born == nil {
		if t.freeze = g.Freeze(true); t.freeze == nil {
			t.freeze = g.Freeze(false)
		}
		t.kill = g.Kill()
		if _, err := os.Stat(filepath.Join(g.Path, "cgroup.kill")); t.kill == nil && err != nil {
			t.kill = err
		}
	}
}

// sweep removes the groups of doctors that have ended, and their parent when it is empty.
func (t *groupTrial) sweep() {
	dir := filepath.Join(t.facts.Mount, doctors)
	entries, _ := os.ReadDir(dir) // not there: nothing to sweep
	for _, e := range entries {
		if e.IsDir() && (strings.HasPrefix(e.Name(), self()+"-") || ended(e.Name())) {
			g := cgroups.Group{Path: filepath.Join(dir, e.Name())}
			_ = errors.Join(g.Kill(), g.Remove()) // the next doctor tries again
		}
	}
	unix.Rmdir(dir) //nolint:errcheck // another doctor may be in it
}

func (t *groupTrial) does(err error, found string) finding {
	if err == nil {
		return pass(found)
	}
	return t.refused(err)
}

// refused is a failure with the cure that the cgroups' errors know.
func (t *groupTrial) refused(err error) finding {
	var limit *cgroups.LimitError
	var busy *cgroups.BusyError
	switch {
	case errors.As(err, &limit):
		return fail(limit.Cause, limit.Fix)
	case errors.As(err, &busy):
		return fail(said(err)+"\n"+busy.Tree(), "systemd-run --scope -p Delegate=yes glassbox ...; or move them to a leaf: mkdir "+busy.Group+"/leaf, and echo each PID >"+busy.Group+"/leaf/cgroup.procs").
			because("a group with processes of its own cannot hand controllers down (cgroups(7), no internal processes)")
	case errors.Is(err, unix.EROFS):
		return fail(said(err), "mount -o remount,rw "+t.facts.Mount+"; inside a container: one with --cgroup-rw (docker: --security-opt writable-cgroups=true; podman: --security-opt unmask=/sys/fs/cgroup)").
			because("the mount is read-only by policy, not by rights: being root does not help")
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fail(said(err), asRoot)
	case t.facts.Mount == "":
		return fail(said(err), "mount -t cgroup2 none /sys/fs/cgroup; or boot with "+cgroups.BootParameter)
	}
	return fail(said(err), cure(err, "see cgroups(7)"))
}

func (t *groupTrial) limit(name string) finding {
	if err := t.limits[name]; err != nil {
		return t.refused(err)
	}
	if name == "io" {
		return pass("the controller is there; which disks it can limit, cat /sys/block/*/dev tells")
	}
	return pass("set on a group of doctor's own")
}

func tryLayout(m *machine) finding {
	f := m.groups().facts
	line := f.Layout()
	var held []string
	for _, c := range []string{"memory", "cpu", "pids"} {
		if !slices.Contains(f.Controllers, c) {
			held = append(held, c)
		}
	}
	switch {
	case f.Mount == "":
		return fail(line, "boot with "+cgroups.BootParameter)
	case len(held) > 0 && len(f.V1) > 0:
		return fail(line, "boot with "+cgroups.BootParameter)
	case len(held) > 0:
		return fail(line, "give the enclosing unit Delegate=yes, or use a kernel built with this controller")
	}
	return pass(line)
}

func tryGroup(m *machine) finding {
	t := m.groups()
	if t.made != nil {
		return t.refused(t.made)
	}
	if t.born != nil {
		return t.refused(t.born)
	}
	how := "a plain directory"
	if t.facts.Systemd {
		how = "in a scope that systemd made, with Delegate=yes"
	}
	return pass("a process was born in " + t.path + ", " + how)
}

// tryDelegation looks at what systemd hands down to a user that is not root.
func tryDelegation(*machine) finding {
	f, err := cgroups.Observe(nil)
	switch {
	case err != nil:
		return fail(named(err), asRoot)
	case os.Geteuid() == 0:
		return pass("we are root: nothing has to be delegated")
	case f.Mount == "":
		return warn("no cgroup2 is mounted", "boot with "+cgroups.BootParameter)
	}
	have := strings.Fields(text(filepath.Join(f.Mount, f.Self, "cgroup.controllers")))
	var lacking []string
	for _, c := range []string{"cpu", "memory", "pids"} {
		if !slices.Contains(have, c) {
			lacking = append(lacking, c)
		}
	}
	if len(lacking) == 0 {
		return pass("delegated to us: " + strings.Join(have, " "))
	}
	return warn(fmt.Sprintf("%s not delegated to us (have: %s)", strings.Join(lacking, ", "), strings.Join(have, " ")),
		`sudo mkdir -p /etc/systemd/system/user@.service.d; printf '[Service]\nDelegate=cpu cpuset io memory pids\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf; then log in again; or once: systemd-run --user --scope -p Delegate=yes`)
}
