package doctor

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/namespaces"
	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// overlayTrial is what came of a container's tree on the data directory's file system.
type overlayTrial struct {
	mount  error // of the overlay
	reason string
	writes error // whiteouts and copying up
	exec   error
	user   error // the same for a user namespace
	memory bool  // on a tmpfs, which a first start would mount on the data directory
}

const (
	marker    = "from the image\n"
	onAnother = "put the data on another file system: GLASSBOX_ROOT=/a/dir/on/ext4; inside a container: -v NAME:/var/lib/glassbox there"
)

// tryOverlay makes the tree of a container by the steps of a start, and does in it what containers do. Where the data directory would
// lie on an overlay, a start keeps its data in memory (engine/ground.go): there it is tried on a tmpfs too.
func (m *machine) tryOverlay() (t overlayTrial) {
	dir, err := m.beside(m.root.Data)
	if err != nil {
		return overlayTrial{mount: err, user: err}
	}
	if kindOf(existing(m.root.Data)) != "overlay" || !empty(m.root.Data) {
		return tryOverlayAt(dir)
	}
	tried := make(chan overlayTrial)
	program.Apart(func() {
		err := os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_NEWNS|unix.CLONE_FS))
		if err == nil {
			err = os.NewSyscallError("mount", unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		}
		if err == nil {
			err = os.NewSyscallError("mounting a tmpfs", unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=711"))
		}
		if err != nil {
			tried <- overlayTrial{mount: err, user: err}
			return
		}
		t := tryOverlayAt(dir)
		t.memory = true
		tried <- t
	})
	return <-tried
}

// empty: nobody has anything in it.
func empty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0
}

func tryOverlayAt(dir string) (t overlayTrial) {
	v, l, err := lay(filepath.Join(dir, "plain"), nil)
	if err != nil {
		t.mount, t.reason = err, reason(l)
	} else {
		t.writes, t.exec = writes(v, l), executes(v)
		v.Close()
	}
	if v, _, t.user = lay(filepath.Join(dir, "user"), []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1 << 20, Size: 1 << 16}}); t.user == nil {
		v.Close()
	}
	return t
}

// lay lays a writable directory over one layer, as a start does.
func lay(dir string, ids []specs.LinuxIDMapping) (*runtime.View, *rootfs.Layers, error) {
	at, err := folders(dir, "lower", "upper", "work", "mount")
	if err != nil {
		return nil, nil, err
	}
	for name, mode := range map[string]os.FileMode{"deleted": 0o644, "changed": 0o644, "program": 0o755} {
		if err := os.WriteFile(filepath.Join(at[0], name), []byte(marker), mode); err != nil {
			return nil, nil, err
		}
	}
	l := &rootfs.Layers{Lower: at[:1], Upper: at[1], Work: at[2], Mount: at[3], UserXattr: namespaces.Nested()}
	spec := &specs.Spec{
		Process: &specs.Process{}, Root: &specs.Root{Path: l.Mount},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}}, UIDMappings: ids, GIDMappings: ids},
	}
	if ids != nil {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	}
	births.Lock()
	defer births.Unlock()
	v, err := runtime.Look(spec, l)
	return v, l, err
}

// writes deletes and changes files of the layer, and looks for what that leaves in the upper directory.
func writes(v *runtime.View, l *rootfs.Layers) error {
	root := int(v.Root.Fd())
	if err := unix.Unlinkat(root, "deleted", 0); err != nil {
		return &os.PathError{Op: "deleting a file of the layer", Path: "deleted", Err: err}
	}
	fd, err := unix.Openat(root, "changed", unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "copying up", Path: "changed", Err: err}
	}
	_, err = unix.Write(fd, []byte("from the container\n"))
	unix.Close(fd)
	if err != nil {
		return &os.PathError{Op: "writing", Path: "changed", Err: err}
	}
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(l.Upper, "deleted"), &st); err != nil {
		return &os.PathError{Op: "looking for the whiteout", Path: "deleted", Err: err}
	}
	if st.Size > 0 {
		return errors.New("a deleted file left something in the upper directory that is no whiteout")
	}
	if upper, lower := text(filepath.Join(l.Upper, "changed")), text(filepath.Join(l.Lower[0], "changed")); lower+"\n" != marker || !strings.HasPrefix(upper+"\n", marker) {
		return errors.New("a changed file was not copied up whole, or the layer's own changed")
	}
	return unix.Mkdirat(root, "directory", 0o755)
}

// executes tries a file that is no program: where programs may be executed the kernel looks into it (ENOEXEC), elsewhere not (EACCES).
func executes(v *runtime.View) error {
	path := "/proc/" + self() + "/fd/" + strconv.Itoa(int(v.Root.Fd())) + "/program"
	c := exec.Command(path)
	err := c.Run()
	if errors.Is(err, unix.ENOEXEC) {
		return nil
	}
	return err
}

// reason has overlayfs say in the log of its file system context why it refuses: the kernel's own words, without dmesg.
func reason(l *rootfs.Layers) string {
	if l == nil {
		return ""
	}
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	for _, o := range [][2]string{{"lowerdir", l.Lower[0]}, {"upperdir", l.Upper}, {"workdir", l.Work}} {
		if unix.FsconfigSetString(fd, o[0], o[1]) != nil {
			break
		}
	}
	if unix.FsconfigCreate(fd) == nil {
		return ""
	}
	var lines []string
	b := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, b)
		if err != nil || n == 0 {
			return strings.Join(lines, "; ")
		}
		lines = append(lines, strings.TrimSpace(string(b[:n])))
	}
}

func tryOverlayMount(m *machine) finding { return m.laid(m.overlay(), "works") }

// laid says why there was no overlay, or what was found in it.
func (m *machine) laid(t overlayTrial, works string) finding {
	data := existing(m.root.Data)
	on := kindOf(data)
	switch {
	case t.mount == nil && t.memory:
		return warn(works+" in memory: "+data+" lies on an overlay", onAnother).
			because("overlayfs takes no overlay for the writable half of another: the first start mounts a tmpfs on " + m.root.Data + ", which goes with the container around us")
	case t.mount == nil:
		return pass(works + " on " + on + " at " + data)
	}
	found := said(t.mount)
	if t.reason != "" {
		found += "; the kernel says: " + t.reason
	}
	fix := cure(t.mount, onAnother)
	switch {
	case fix != onAnother:
		return fail(found, fix)
	case errors.Is(t.mount, unix.ENODEV):
		fix = "modprobe overlay, or a kernel with CONFIG_OVERLAY_FS"
	case on == "overlay":
		return fail(found, fix).because(data + " lies on an overlay, and overlayfs takes no overlay for the writable half of another")
	}
	return fail(found, fix).because("overlayfs wants RENAME_WHITEOUT and extended attributes of the file system below the writable half; " + data + " is on " + on)
}

func tryOverlayWrites(m *machine) finding {
	t := m.overlay()
	if t.mount == nil && t.writes != nil {
		return fail(said(t.writes), onAnother)
	}
	return m.laid(t, "deleted, changed and made files; the layer stayed as it was,")
}

func tryOverlayExec(m *machine) finding {
	t := m.overlay()
	switch {
	case t.mount != nil || t.exec == nil:
		return m.laid(t, "the kernel looks into executable files")
	case errors.Is(t.exec, unix.EACCES):
		return fail("execve: "+named(t.exec), "mount -o remount,exec "+mountOf(existing(m.root.Data)).at)
	}
	return fail("execve: "+named(t.exec), onAnother)
}

func tryOverlayUser(m *machine) finding {
	const works = "id-mapped layers below an overlay, in a user namespace"
	err := m.overlay().user
	var looking *os.PathError
	switch {
	case err == nil:
		return pass(works)
	case errors.As(err, &looking) && strings.HasSuffix(looking.Path, "/ns/mnt"): // it was made: only we may not look into it
		return pass(works + "; not looked into: " + named(err))
	case namespaces.Nested():
		return warn(said(err), "leave --userns out: containers are in the user namespace around us anyway")
	case errors.Is(err, unix.EINVAL) && kindOf(existing(m.root.Data)) == "overlay":
		return fail(said(err), onAnother)
	case errors.Is(err, unix.EINVAL):
		return fail(said(err), "use Linux 5.19 or newer, and a file system that can be id-mapped (ext4, xfs, btrfs; tmpfs from 6.3)")
	}
	return fail(said(err), denied(err))
}
