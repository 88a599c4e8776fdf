package why

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mounted is one line of proc_pid_mountinfo(5).
type mounted struct {
	id, parent int
	root       string // which directory of the file system is shown
	point      string
	options    []string // of the mount
	optional   []string // shared:1, master:2, unbindable
	kind       string   // the file system's type
	source     string
	super      []string // options of the file system
}

func (m mounted) shared() bool {
	return slices.ContainsFunc(m.optional, func(o string) bool { return strings.HasPrefix(o, "shared:") })
}
func (m mounted) readOnly() bool { return slices.Contains(m.options, "ro") }

func (m mounted) String() string {
	return fmt.Sprintf("%s (%s, %s)", m.point, m.kind, strings.Join(m.options, ","))
}

// mounts reads the process's table.
func (p *probe) mounts() []mounted {
	text, err := read(p.proc("mountinfo"))
	if err != nil {
		return nil
	}
	var all []mounted
	for line := range strings.Lines(text) {
		left, right, found := strings.Cut(line, " - ")
		w, r := strings.Fields(left), strings.Fields(right)
		if !found || len(w) < 6 || len(r) < 3 {
			continue
		}
		m := mounted{root: unescaped(w[3]), point: unescaped(w[4]), options: strings.Split(w[5], ","), optional: w[6:], kind: r[0], source: unescaped(r[1]), super: strings.Split(r[2], ",")}
		m.id, _ = strconv.Atoi(w[0])
		m.parent, _ = strconv.Atoi(w[1])
		all = append(all, m)
	}
	return all
}

// unescaped undoes \040 and its like.
func unescaped(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// look asks the kernel which mount a path is on, and whether it is that mount's root: statx(2), exact also where the table shows several.
func look(path string) (id int, isRoot bool, err error) {
	var s unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &s); err != nil {
		return 0, false, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return int(s.Mnt_id), s.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// on is the mount that a path of this process lies on.
func (p *probe) on(path string) (m mounted, isRoot bool, err error) {
	id, isRoot, err := look(path)
	if err != nil {
		return m, false, err
	}
	m, found := byID(p.mounts(), id)
	if !found {
		return m, isRoot, fmt.Errorf("mount %d of %s is not in %s", id, path, p.proc("mountinfo"))
	}
	return m, isRoot, nil
}

func byID(all []mounted, id int) (mounted, bool) {
	i := slices.IndexFunc(all, func(m mounted) bool { return m.id == id })
	if i < 0 {
		return mounted{}, false
	}
	return all[i], true
}

// below are the mounts on a mount.
func (p *probe) below(id int) (points []string) {
	for _, m := range p.mounts() {
		if m.parent == id && m.id != id {
			points = append(points, m.point)
		}
	}
	return points
}

// fileSystem is the name that statfs(2)'s magic number has.
func fileSystem(path string) (string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return "", &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	for _, m := range magics {
		if m.number == uint32(s.Type) {
			return m.name, nil
		}
	}
	return fmt.Sprintf("%#x", uint32(s.Type)), nil
}

var magics = [...]struct {
	number uint32
	name   string
}{
	{unix.OVERLAYFS_SUPER_MAGIC, "overlay"}, {unix.EXT4_SUPER_MAGIC, "ext4"}, {unix.TMPFS_MAGIC, "tmpfs"}, {unix.XFS_SUPER_MAGIC, "xfs"},
	{unix.BTRFS_SUPER_MAGIC, "btrfs"}, {unix.NFS_SUPER_MAGIC, "nfs"}, {unix.V9FS_MAGIC, "9p"}, {unix.FUSE_SUPER_MAGIC, "fuse"},
	{unix.RAMFS_MAGIC, "ramfs"}, {unix.CGROUP2_SUPER_MAGIC, "cgroup2"}, {unix.CGROUP_SUPER_MAGIC, "cgroup"}, {unix.PROC_SUPER_MAGIC, "proc"},
	{unix.SYSFS_MAGIC, "sysfs"}, {unix.MSDOS_SUPER_MAGIC, "vfat"}, {unix.ECRYPTFS_SUPER_MAGIC, "ecryptfs"}, {unix.SMB2_SUPER_MAGIC, "cifs"},
}

// users are the processes that keep a mount busy: by an open file, the working directory, the root, or the program that runs.
func users(id int) (all []string) {
	for _, pid := range pids() {
		if what := uses(pid, id); what != "" {
			all = append(all, named(pid)+" "+what)
		}
	}
	return all
}

func uses(pid, id int) string {
	dir := "/proc/" + strconv.Itoa(pid)
	for name, what := range map[string]string{"cwd": "stands in it", "root": "has its root there", "exe": "runs a program from it"} {
		if at, _, err := look(dir + "/" + name); err == nil && at == id {
			return what
		}
	}
	for _, f := range opened(dir) {
		if at, known := f.mount(); known && at == id {
			return "has a file of it open"
		}
	}
	return ""
}

// descriptor is one of a process's open files: its line in fdinfo.
type descriptor struct{ path string }

func opened(dir string) (all []descriptor) {
	names, _ := filepath.Glob(dir + "/fdinfo/*")
	for _, n := range names {
		all = append(all, descriptor{n})
	}
	return all
}

func (d descriptor) field(name string) string {
	text, err := read(d.path)
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut("\n"+text, "\n"+name+":")
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

func (d descriptor) mount() (int, bool) {
	n, err := strconv.Atoi(d.field("mnt_id"))
	return n, err == nil
}

// writes: opened for writing.
func (d descriptor) writes() bool {
	flags, err := strconv.ParseUint(d.field("flags"), 8, 64)
	return err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
}
