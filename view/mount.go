package view

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is the file system that the first process has at /.
type Root struct {
	Same     bool   `json:"same"`      // as the host's, as long as the container's start has not come to pivot_root
	Host     string `json:"host_type"` // what the host has there
	Type     string `json:"type"`
	ReadOnly Value  `json:"read_only"` // true, false
}

// Mount is a line of the first process's mountinfo, proc_pid_mountinfo(5), places as it sees them.
type Mount struct {
	ID          int    `json:"id"`
	Place       string `json:"place"`
	Type        string `json:"type"`
	Source      string `json:"source"`
	Within      string `json:"root"`   // which directory of the source's file system is shown
	Device      string `json:"device"` // major:minor
	Options     string `json:"options"`
	Super       string `json:"super_options"` // those of the whole file system
	Propagation string `json:"propagation"`   // private; or shared:N master:N ..., mount_namespaces(7)
	Role        string `json:"role"`          // see the constants
	Covered     bool   `json:"covered"`       // another one was mounted on the same place
	Mark        string `json:"mark,omitempty"`
}

// What a mount is there for.
const (
	roleRoot     = "root"
	roleAsked    = "asked for" // by mounts[] of config.json
	roleBelow    = "below one" // of a source that was bound with all below it
	roleMask     = "masked"    // hides a file of the kernel's
	roleReadOnly = "read-only" // a part that is shown without the right to write
	roleDevice   = "device"    // made by the runtime in /dev
	roleHost     = "as on the host"
	roleOther    = "not asked for"
)

func (v *View) mounts() error {
	text, err := v.init.read("mountinfo")
	if err != nil {
		return err
	}
	mine, err := v.host.read("mountinfo")
	if err != nil {
		return err
	}
	v.Mounts = mountinfo(text)
	theirs := mountinfo(mine)
	for _, m := range theirs {
		if m.Place == "/" {
			v.Root.Host = m.Type
		}
	}
	if err := v.root(); err != nil {
		return err
	}
	for i := range v.Mounts {
		m := &v.Mounts[i]
		m.Role = v.role(m, theirs)
		if m.Role == roleOther && !m.Covered {
			m.Mark = v.differs("mounts", m.Place, m.Type, "asked nothing there")
		}
	}
	if v.Waits == nil { // until the pivot, places are those of the host
		v.missing()
	}
	return nil
}

// mountinfo reads its lines.
func mountinfo(text string) []Mount {
	var all []Mount
	top := map[string]int{}
	for line := range strings.Lines(text) {
		left, right, _ := strings.Cut(line, " - ")
		f, fs := strings.Fields(left), strings.SplitN(strings.TrimRight(right, "\n"), " ", 3)
		if len(f) < 6 || len(fs) < 3 {
			continue
		}
		m := Mount{ID: number(f[0]), Device: f[2], Within: plain(f[3]), Place: plain(f[4]), Options: f[5], Type: fs[0], Source: plain(fs[1]), Super: plain(fs[2]), Propagation: "private"}
		if len(f) > 6 {
			m.Propagation = strings.Join(f[6:], " ")
		}
		if below, ok := top[m.Place]; ok {
			all[below].Covered = true
		}
		top[m.Place] = len(all)
		all = append(all, m)
	}
	return all
}

// plain undoes the escapes of mountinfo: blanks and backslashes are octal there.
func plain(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`).Replace(text)
}

func (m *Mount) is(option string) bool {
	return slices.Contains(strings.Split(m.Options, ","), option)
}

// readOnly: by its own options or those of the whole file system.
func (m *Mount) readOnly() bool {
	return m.is("ro") || slices.Contains(strings.Split(m.Super, ","), "ro")
}

// at is the mount that is seen at a place; nil: none.
func (v *View) at(place string) *Mount {
	for i := range v.Mounts {
		if m := &v.Mounts[i]; m.Place == place && !m.Covered {
			return m
		}
	}
	return nil
}

// root compares what the first process has at / with what the host has there.
func (v *View) root() error {
	var here, there unix.Stat_t
	if err := unix.Stat(v.init.path("root"), &there); err != nil {
		return err
	}
	if err := unix.Stat(v.host.path("root"), &here); err != nil {
		return err
	}
	v.Root.Same = here.Dev == there.Dev && here.Ino == there.Ino
	r := &v.Root.ReadOnly
	r.Asked = truth(v.sight.Spec.Root.Readonly)
	if m := v.at("/"); m != nil {
		v.Root.Type, r.Container = m.Type, truth(m.readOnly())
	}
	var st unix.Statfs_t
	if err := unix.Statfs(v.host.path("root"), &st); err == nil {
		r.Host = truth(st.Flags&unix.ST_RDONLY != 0)
	}
	switch {
	case v.Root.Same:
		r.Mark = v.differs("mounts", "/", "the host's", "asked its own")
	case r.Container != r.Asked:
		v.compare("mounts", "/ read-only", r)
	}
	return nil
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// role finds out what a mount is there for.
func (v *View) role(m *Mount, host []Mount) string {
	spec := v.sight.Spec
	if v.Waits != nil && on(host, m) { // between pivot_root and umount2, the host's tree is there as well
		return roleHost
	}
	if v.Root.Same && m.Place == path.Clean(spec.Root.Path) {
		return roleRoot
	}
	if !v.Root.Same {
		for _, asked := range spec.Mounts {
			if at := path.Clean(asked.Destination); m.Place == at {
				return roleAsked
			} else if slices.Contains(asked.Options, "rbind") && strings.HasPrefix(m.Place, at+"/") && !strings.HasPrefix(at, "/dev/") {
				return roleBelow
			}
		}
		switch {
		case m.Place == "/":
			return roleRoot
		case slices.Contains(spec.Linux.MaskedPaths, m.Place):
			return roleMask
		case slices.Contains(spec.Linux.ReadonlyPaths, m.Place):
			return roleReadOnly
		case strings.HasPrefix(m.Place, "/dev/") && v.isDevice(m):
			return roleDevice
		}
	}
	if on(host, m) {
		return roleHost
	}
	for _, asked := range spec.Mounts { // its place may be written with links in it
		if v.Root.Same {
			break
		}
		if found := v.resolve(asked.Destination); found == m.ID {
			return roleAsked
		}
	}
	return roleOther
}

// on: the host has the same at the same place.
func on(host []Mount, m *Mount) bool {
	return slices.ContainsFunc(host, func(h Mount) bool {
		return h.Place == m.Place && h.Device == m.Device && h.Within == m.Within && h.Type == m.Type
	})
}

// isDevice: the runtime binds device nodes where it may make none, and the console always.
func (v *View) isDevice(m *Mount) bool {
	if m.Place == "/dev/console" {
		return v.sight.Spec.Process.Terminal
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if m.Place == "/dev/"+name {
			return true
		}
	}
	for _, d := range v.sight.Spec.Linux.Devices {
		if d.Path == m.Place {
			return true
		}
	}
	return false
}

// resolve is the number of the mount to which a path leads inside the container; 0: none. Links are followed within the container's root,
// and nothing is opened.
func (v *View) resolve(place string) int {
	root, err := unix.Open(v.init.path("root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, place, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st); err != nil {
		return 0
	}
	return int(st.Mnt_id)
}

// missing marks mounts that were asked for and are not there, or not as they were asked for.
func (v *View) missing() {
	for _, asked := range v.sight.Spec.Mounts {
		at := path.Clean(asked.Destination)
		m := v.at(at)
		if m == nil {
			i := slices.IndexFunc(v.Mounts, func(m Mount) bool { return m.ID == v.resolve(at) && m.Role == roleAsked })
			if i < 0 {
				v.differs("mounts", at, "nothing", "asked %s", asked.Type)
				continue
			}
			m = &v.Mounts[i]
		}
		if wrong := disagrees(m, asked.Type, asked.Options); wrong != "" {
			m.Mark = v.differs("mounts", at, m.Type+" "+m.Options, "asked %s", wrong)
		}
	}
	for _, at := range v.sight.Spec.Linux.MaskedPaths {
		if v.at(at) == nil && v.resolve(at) != 0 { // what this kernel does not have needs no mask
			v.differs("mounts", at, "open", "asked masked")
		}
	}
}

// disagrees is what a mount has otherwise than it was asked for.
func disagrees(m *Mount, kind string, options []string) string {
	if kind != "bind" && kind != "" && kind != m.Type && kind != "cgroup" && !slices.Contains(options, "bind") && !slices.Contains(options, "rbind") {
		return kind
	}
	for _, o := range options {
		switch {
		case (o == "ro" || o == "rro") && !m.readOnly():
			return "read-only"
		case (o == "nosuid" || o == "nodev" || o == "noexec") && !m.is(o):
			return o
		}
	}
	if m.is("ro") && !slices.ContainsFunc(options, func(o string) bool { return o == "ro" || o == "rro" || o == "readonly" }) {
		return "writable"
	}
	return ""
}
