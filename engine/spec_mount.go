package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"glassbox/archive"
	"glassbox/namespaces"

	"github.com/docker/docker/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mounts are Docker's default ones, less those that the user mounts over, then the user's and the network's
// files, parents first.
func (d *drawing) mounts() error {
	extra := d.tmpfsMounts()
	for _, m := range d.Mounts {
		converted, err := d.userMount(m)
		if err != nil {
			return err
		}
		extra = append(extra, converted)
	}
	if d.step != nil {
		extra = append(extra, d.step.shown...)
	}
	taken := map[string]bool{}
	for _, m := range extra {
		taken[m.Destination] = true
	}
	for _, m := range d.networkFiles() {
		if !taken[m.Destination] {
			extra = append(extra, m)
		}
	}
	slices.SortStableFunc(extra, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	s := d.spec
	for _, m := range d.defaultMounts() {
		if !taken[m.Destination] && !(taken["/dev"] && strings.HasPrefix(m.Destination, "/dev/")) {
			s.Mounts = append(s.Mounts, m)
		}
	}
	if d.withInit() {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: initPath, Type: "bind", Source: d.Init, Options: []string{"bind", "ro"}})
	}
	for _, m := range extra {
		if m.Type == "tmpfs" {
			merged, err := mergeTmpfs(m.Options)
			if err != nil {
				return err
			}
			m.Options = merged
		}
		s.Mounts = append(s.Mounts, m)
	}
	d.readOnly(taken)
	return nil
}

// defaultMounts are moby's oci.DefaultLinuxSpec, in its order.
func (d *drawing) defaultMounts() []specs.Mount {
	h := d.HostConfig
	sys := []string{"nosuid", "noexec", "nodev"}
	if !h.Privileged {
		sys = append(sys, "ro")
	}
	group := []string{"nosuid", "noexec", "nodev"}
	if !d.writesGroups(d.security) {
		group = append([]string{"ro"}, group...)
	}
	terminals := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if d.hasGroup(groupTTY) {
		terminals = append(terminals, "gid="+strconv.Itoa(groupTTY))
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: terminals},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: sys},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: group},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
	return append(mounts, d.sharedMemory()...)
}

// groupTTY owns terminals, so that write(1) and wall(1), which are set-group-ID to it, may write to them.
const groupTTY = 5

// hasGroup says whether a group has a number in the container's user namespace: devpts refuses one that has not (EINVAL).
func (d *drawing) hasGroup(gid uint64) bool {
	if len(d.IDMap) > 0 {
		_, mapped := archive.Owners(d.IDMap).Outside(uint32(gid))
		return mapped
	}
	if !namespaces.Nested() {
		return true
	}
	ranges, err := idRanges("/proc/self/gid_map", "", 0)
	return err != nil || slices.ContainsFunc(ranges, func(r idRange) bool { return r.first <= gid && gid < r.first+r.size })
}

// writesGroups says whether /sys/fs/cgroup is writable. In a user namespace the mount's flags could not be changed later, so Docker leaves it
// so there.
func (r *record) writesGroups(s security) bool {
	if s.writableCgroups != nil {
		return *s.writableCgroups
	}
	return r.HostConfig.Privileged || len(r.IDMap) > 0
}

// sharedMemory is /dev/shm: it goes with the IPC namespace, whoever's that is. A tmpfs that is mounted in one container's
// mount namespace cannot be shown in another's, so that a shareable one is a directory in /run, itself a tmpfs, without a
// size of its own.
func (d *drawing) sharedMemory() []specs.Mount {
	const at = "/dev/shm"
	switch ipc := d.HostConfig.IpcMode; {
	case ipc.IsNone():
		return nil
	case ipc.IsHost():
		return []specs.Mount{{Destination: at, Type: "bind", Source: at, Options: []string{"rbind", "rprivate"}}}
	case ipc.IsContainer(), ipc.IsShareable():
		return []specs.Mount{{Destination: at, Type: "bind", Source: d.memory.Shm(), Options: []string{"bind", "nosuid", "noexec", "nodev", "rprivate"}}}
	}
	return []specs.Mount{{
		Destination: at, Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(d.HostConfig.ShmSize, 10)},
	}}
}

func (d *drawing) tmpfsMounts() []specs.Mount {
	var mounts []specs.Mount
	for at, data := range d.HostConfig.Tmpfs {
		mounts = append(mounts, tmpfsMount(at, data))
	}
	slices.SortFunc(mounts, func(a, b specs.Mount) int { return strings.Compare(a.Destination, b.Destination) })
	return mounts
}

func tmpfsMount(at, data string) specs.Mount {
	options := []string{"noexec", "nosuid", "nodev", "rprivate"}
	if data != "" {
		options = append(options, strings.Split(data, ",")...)
	}
	return specs.Mount{Destination: filepath.Clean(at), Type: "tmpfs", Source: "tmpfs", Options: options}
}

// userMount is one of -v or --mount.
func (d *drawing) userMount(m mountPoint) (specs.Mount, error) {
	if m.Type == mount.TypeTmpfs {
		return tmpfsMount(m.Destination, m.Data), nil
	}
	if m.Type == mount.TypeImage {
		return m.imageMount()
	}
	if err := d.propagate(m); err != nil {
		return specs.Mount{}, err
	}
	options := []string{"rbind"}
	if m.NonRecursive {
		options[0] = "bind"
	}
	switch {
	case m.RW:
	case m.ReadOnlyNonRecursive:
		options = append(options, "ro")
	default:
		options = append(options, "rro")
	}
	if m.Propagation != "" {
		options = append(options, string(m.Propagation))
	}
	if m.Type == mount.TypeVolume {
		words, err := d.volumeOptions(m)
		if err != nil {
			return specs.Mount{}, err
		}
		options = append(options, words...)
	}
	return specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Source, Options: options}, nil
}

// propagate lets mounts travel through the root mount where a volume wants that, after checking that the source
// takes part: mount_namespaces(7), shared subtrees.
func (d *drawing) propagate(m mountPoint) error {
	root := &d.spec.Linux.RootfsPropagation
	switch m.Propagation {
	case mount.PropagationShared, mount.PropagationRShared:
		at, tags, err := mountOf(m.Source)
		if err != nil {
			return err
		}
		if !strings.Contains(tags, "shared:") {
			return invalid("path %s is mounted on %s but it is not a shared mount", m.Source, at)
		}
		*root = "shared"
	case mount.PropagationSlave, mount.PropagationRSlave:
		at, tags, err := mountOf(m.Source)
		if err != nil {
			return err
		}
		if !strings.Contains(tags, "shared:") && !strings.Contains(tags, "master:") {
			return invalid("path %s is mounted on %s but it is not a shared or slave mount", m.Source, at)
		}
		if *root != "shared" {
			*root = "rslave"
		}
	}
	return nil
}

// mountOf finds the mount that holds path, and the optional fields that proc_pid_mountinfo(5) shows for it.
func mountOf(path string) (at, tags string, err error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", "", err
	}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 7 {
			continue
		}
		point := unescape(fields[4])
		below := point == "/" || resolved == point || strings.HasPrefix(resolved, point+"/")
		// Of several mounts on one place the last one is seen.
		if below && len(point) >= len(at) {
			optional, _, _ := strings.Cut(strings.Join(fields[6:], " "), " -")
			at, tags = point, optional
		}
	}
	if at == "" {
		return "", "", fmt.Errorf("finding the mount of %s: none in /proc/self/mountinfo", path)
	}
	return at, tags, nil
}

func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// readOnly: --read-only makes every default mount read-only but those that a program cannot do without.
func (d *drawing) readOnly(taken map[string]bool) {
	if !d.spec.Root.Readonly {
		return
	}
	for i := range d.spec.Mounts {
		m := &d.spec.Mounts[i]
		switch m.Destination {
		case "/proc", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev":
			continue
		}
		if !taken[m.Destination] && !slices.Contains(m.Options, "ro") {
			m.Options = append(m.Options, "ro")
		}
	}
}

var tmpfsOpposites = map[string]string{
	"noexec": "exec", "nosuid": "suid", "nodev": "dev", "ro": "rw", "async": "sync", "noatime": "atime", "nodiratime": "diratime",
	"norelatime": "relatime", "nostrictatime": "strictatime", "noiversion": "iversion", "nomand": "mand",
}

var tmpfsFlags = []string{
	"defaults", "exec", "suid", "dev", "rw", "sync", "atime", "diratime", "relatime", "strictatime", "iversion", "mand", "dirsync", "remount", "bind", "rbind",
	"private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable",
}

var tmpfsValues = []string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"}

// mergeTmpfs lets later options win over earlier ones, such as exec over the default noexec.
func mergeTmpfs(options []string) ([]string, error) {
	seen := map[string]bool{}
	var kept []string
	for _, o := range slices.Backward(options) {
		key, _, valued := strings.Cut(o, "=")
		if positive, ok := tmpfsOpposites[key]; ok {
			key = positive
		}
		if valued && !slices.Contains(tmpfsValues, key) || !valued && !slices.Contains(tmpfsFlags, key) {
			return nil, invalid("invalid tmpfs option %q", strings.SplitN(o, "=", 2))
		}
		if slices.Contains(propagations, mount.Propagation(key)) {
			key = "propagation"
		}
		if !seen[key] {
			kept = append(kept, o)
		}
		seen[key] = true
	}
	slices.Reverse(kept)
	return kept, nil
}

// makeSources makes the directories that -v names and nobody has made, for the container's root to own.
func (r *record) makeSources() error {
	for _, m := range r.Mounts {
		if m.Type != mount.TypeBind {
			continue
		}
		_, err := os.Stat(m.Source)
		switch {
		case err == nil:
		case !os.IsNotExist(err):
			return err
		case !m.Make:
			return invalid("invalid mount config for type \"bind\": bind source path does not exist: %s", m.Source)
		default:
			if err := os.MkdirAll(m.Source, 0o755); err != nil {
				return fmt.Errorf("error while creating mount source path '%s': %w", m.Source, err)
			}
			if err := r.give(m.Source); err != nil {
				return err
			}
		}
	}
	return nil
}

// give makes the container's root the owner of a file, where that is not the host's.
func (r *record) give(path string) error {
	if root, ok := r.hostRoot(); ok {
		return unix.Lchown(path, root, root)
	}
	return nil
}

// hostRoot is the host id of the container's uid 0.
func (r *record) hostRoot() (int, bool) {
	for _, m := range r.IDMap {
		if m.ContainerID == 0 {
			return int(m.HostID), true
		}
	}
	return 0, false
}
