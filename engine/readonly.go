package engine

import (
	"path"
	"slices"
	"strings"
)

// Fixed is a file that the container's process wanted to change, on something that containers are shown read-only: by policy, whatever the
// process's rights are.
type Fixed struct {
	File  string // as the process calls it
	Place string // what is read-only: /sys/fs/cgroup
	Why   string // whose policy, and why it is one
	Check string // a command for the inside
	Fix   string
	Learn string // a lesson
}

// ReadOnly finds such files, if text, what the process said, tells of them by their whole paths. An empty text means the container's log. It
// must be asked before the container is removed.
func (c *Containers) ReadOnly(id, text string) ([]Fixed, error) {
	r, err := c.load(id)
	if err != nil {
		return nil, err
	}
	if text == "" {
		if text, err = r.lastWords(); err != nil {
			return nil, err
		}
	}
	sec, err := parseSecurity(r.HostConfig.SecurityOpt)
	if err != nil {
		return nil, err
	}
	var found []Fixed
	for _, s := range complaints(text) {
		if !s.readOnly || !s.named {
			continue
		}
		for _, name := range s.paths("/") {
			f := r.fixed(sec, name)
			if f.Place != "" && !slices.ContainsFunc(found, func(o Fixed) bool { return o.Place == f.Place }) {
				found = append(found, f)
			}
		}
	}
	return found, nil
}

// fixed says what of the container's own mounts a file is on; what the user has mounted is another matter.
func (r *record) fixed(sec security, name string) Fixed {
	var place string
	var mine bool
	consider := func(dir string, fixed bool) {
		if (name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")) && len(dir) >= len(place) {
			place, mine = dir, fixed
		}
	}
	_, readOnly := hiddenPaths(r.HostConfig)
	for _, dir := range readOnly {
		consider(dir, true)
	}
	consider("/", r.HostConfig.ReadonlyRootfs)
	consider("/proc", false)
	consider("/dev", false)
	consider("/sys", !r.HostConfig.Privileged)
	consider("/sys/fs/cgroup", !r.writesGroups(sec))
	for _, m := range r.Mounts {
		consider(m.Destination, false)
	}
	if !mine {
		return Fixed{}
	}
	return policy(place, name)
}

// policy is what there is to say of a place.
func policy(place, name string) Fixed {
	f := Fixed{File: name, Place: place, Check: "grep ' " + place + " ' /proc/mounts # inside", Learn: "escape"}
	switch place {
	case "/sys/fs/cgroup":
		f.Learn = "cgroup-namespace"
		f.Why = "on cgroup v1 root in a container could lift its limits through a writable tree, or have the host run a program (release_agent); the default has stayed, although the groups in there belong to the container's root"
		f.Fix = "--cgroup-rw gives it the groups below its own; limits of the container itself: glassbox update, from the host"
	case "/proc/sys":
		f.Why = "most of these settings are the whole machine's, so none is left for root in a container to write"
		setting := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, place), "/"), "/", ".")
		f.Fix = "--sysctl " + either(setting, "NAME") + "=VALUE, for what belongs to a namespace (net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*)"
	case "/sys":
		f.Why = "devices, drivers and modules are the whole machine's"
		f.Fix = "-v " + path.Dir(name) + ":" + path.Dir(name) + " for this directory alone; --privileged makes all of /sys writable, and takes every other wall away"
	case "/":
		f.Why, f.Learn = "the container was made with --read-only", "layers"
		f.Fix = "--tmpfs " + path.Dir(name) + ", or a volume: -v NAME:" + path.Dir(name)
	default:
		f.Why = "what is written there acts on the whole machine"
		f.Fix = "do it on the host; --security-opt systempaths=unconfined lets the container's root do it"
	}
	return f
}
