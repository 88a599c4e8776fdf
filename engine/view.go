package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"glassbox/archive"
	"glassbox/namespaces"
	"glassbox/program"
	"glassbox/rootfs"
	"glassbox/runtime"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// view is a container's file tree, held by a descriptor: nothing that is opened from there leads out of it. Whoever is in the
// container may change it at any moment.
type view struct {
	*record
	root  *os.File // O_PATH
	live  bool     // the container runs, and this is what its processes see
	close func() error
}

// view opens all that a container's processes see, or would see. Until it is closed, a container that does not run is not started.
func (c *Containers) view(ctx context.Context, ref string) (*view, error) {
	return c.look(ctx, ref, liveView, c.stillView)
}

// bareView opens a container's root without what is mounted in it: what an export or another image is made of.
func (c *Containers) bareView(ctx context.Context, ref string) (*view, error) {
	return c.look(ctx, ref, liveRoot, c.stillRoot)
}

// look opens the tree of a container that runs, or else of one that cannot be started meanwhile.
func (c *Containers) look(ctx context.Context, ref string, live func(*record, int) (*view, error), still func(*record) (*view, error)) (*view, error) {
	r, err := c.load(ref)
	if err != nil {
		return nil, err
	}
	if v, err := c.lookAlive(ctx, r, live); v != nil || err != nil {
		return v, err
	}
	r, lock, err := c.locked(ctx, ref)
	if err != nil {
		return nil, err
	}
	v, err := c.lookAlive(ctx, r, live) // while we waited somebody may have started it
	if v != nil || err != nil {
		return v, errors.Join(err, lock.Release())
	}
	if v, err = still(r); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	done := v.close
	v.close = func() error { return errors.Join(done(), lock.Release()) }
	return v, nil
}

// lookAlive opens the tree that a running container's first process sees; nil when it does not run.
func (c *Containers) lookAlive(ctx context.Context, r *record, live func(*record, int) (*view, error)) (*view, error) {
	for {
		s, err := c.state(r)
		switch {
		case err != nil || !s.Running:
			return nil, err
		case s.Pid == 0: // between two starts by its restart policy
			return nil, restarting(r.ID)
		}
		v, err := live(r, s.Pid)
		if err == nil && !s.Alive() { // the number may be another process's
			err = errors.Join(unix.ESRCH, v.close())
		}
		if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) {
			select { // it ends just now: its monitor is about to say so
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(2 * time.Millisecond):
				continue
			}
		}
		return v, err
	}
}

// liveView opens the root of a process, with everything that is mounted in it. Its mount namespace is held, so that what is mounted stays
// should the process end: what is copied to a volume never goes into the directory under it instead.
func liveView(r *record, pid int) (*view, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	mounts, err := os.Open(proc + "/ns/mnt")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenFile(proc+"/root", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, errors.Join(err, mounts.Close())
	}
	return &view{record: r, root: root, live: true, close: func() error { return errors.Join(root.Close(), mounts.Close()) }}, nil
}

// liveRoot takes the root's mount alone out of a process's mount namespace. It is the same overlay, not a second one on its directories.
func liveRoot(r *record, pid int) (*view, error) {
	mounts, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/mnt")
	if err != nil {
		return nil, err
	}
	defer mounts.Close()
	type answer struct {
		fd  int
		err error
	}
	taken := make(chan answer)
	program.Apart(func() {
		// Changing the mount namespace of one thread is allowed once it no longer shares root and working directory, setns(2).
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Setns(int(mounts.Fd()), unix.CLONE_NEWNS)
		}
		fd := -1
		if err == nil {
			fd, err = unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		}
		taken <- answer{fd, err}
	})
	a := <-taken
	if a.err != nil {
		return nil, &os.PathError{Op: "taking the root of", Path: r.short(), Err: a.err}
	}
	root := os.NewFile(uintptr(a.fd), "/")
	return &view{record: r, root: root, live: true, close: root.Close}, nil
}

// stillView makes the tree of a container that does not run as a start would make it, but for what only the kernel fills: /proc, /sys,
// /dev, tmpfs. As in Docker.
func (c *Containers) stillView(r *record) (*view, error) {
	if err := r.makeSources(); err != nil {
		return nil, err
	}
	if err := c.present(r); err != nil {
		return nil, err
	}
	mounts, err := c.stillMounts(r)
	if err == nil {
		err = c.mountVolumes(r)
	}
	if err != nil {
		return nil, errors.Join(err, c.unmountVolumes(r))
	}
	v, err := r.still(mounts)
	if err != nil {
		return nil, errors.Join(err, c.unmountVolumes(r))
	}
	done := v.close
	v.close = func() error { return errors.Join(done(), c.unmountVolumes(r)) }
	return v, nil
}

func (c *Containers) stillRoot(r *record) (*view, error) { return r.still(nil) }

// still makes a tree that shows these mounts in the container's root.
func (r *record) still(mounts []specs.Mount) (*view, error) {
	if err := os.MkdirAll(r.place.Mount(), 0o711); err != nil {
		return nil, err
	}
	spec := &specs.Spec{
		Process: &specs.Process{}, Root: &specs.Root{Path: r.place.Mount()}, Mounts: mounts,
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}}},
	}
	layers := &rootfs.Layers{Lower: r.Lower, Upper: r.place.Upper(), Work: r.place.Work(), Mount: r.place.Mount(), UserXattr: namespaces.Nested()}
	if r.Rootfs != "" {
		spec.Root.Path, layers = r.Rootfs, nil
	}
	if len(r.IDMap) > 0 {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		spec.Linux.UIDMappings, spec.Linux.GIDMappings = r.IDMap, r.IDMap
	}
	tree, err := runtime.Look(spec, layers)
	if err != nil {
		return nil, err
	}
	return &view{record: r, root: tree.Root, close: func() error { tree.Close(); return nil }}, nil
}

// stillMounts are binds, volumes, images and the files that a start last wrote, parents first.
func (c *Containers) stillMounts(r *record) ([]specs.Mount, error) {
	d := &drawing{record: r, network: r.place, spec: &specs.Spec{Linux: &specs.Linux{}}}
	var mounts []specs.Mount
	taken := map[string]bool{}
	for at := range r.HostConfig.Tmpfs {
		taken[path.Clean(at)] = true
	}
	for _, m := range r.Mounts {
		if m.Type == mount.TypeTmpfs || taken[m.Destination] {
			continue
		}
		taken[m.Destination] = true
		m.Propagation = mount.PropagationRPrivate
		converted, err := d.userMount(m)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, converted)
	}
	for _, m := range d.networkFiles() {
		if _, err := os.Stat(m.Source); err == nil && !taken[m.Destination] {
			mounts = append(mounts, m)
		}
	}
	slices.SortStableFunc(mounts, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	return mounts, nil
}

// open opens a regular file for reading.
func (v *view) open(name string) (*os.File, error) { return openIn(int(v.root.Fd()), name) }

// find opens what a name means in the container, the last part itself with O_NOFOLLOW.
func (v *view) find(name string, flags uint64) (int, error) {
	return archive.Resolve(int(v.root.Fd()), name, flags, unix.RESOLVE_IN_ROOT)
}

// stat describes a file as the API does: a link itself, and where it leads.
func (v *view) stat(name string) (*os.File, container.PathStat, error) {
	var s container.PathStat
	fd, err := v.find(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, s, &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	file := os.NewFile(uintptr(fd), name)
	info, err := file.Stat()
	if err != nil {
		return nil, s, errors.Join(err, file.Close())
	}
	s = container.PathStat{Name: path.Base(name), Size: info.Size(), Mode: info.Mode(), Mtime: info.ModTime()}
	if info.Mode()&fs.ModeSymlink != 0 {
		if s.LinkTarget, err = v.follow(name, false); err != nil {
			return nil, s, errors.Join(err, file.Close())
		}
	}
	return file, s, nil
}

// follow names what a name leads to without any link. It is for deciding and for telling; what is done goes through find again.
func (v *view) follow(name string, whole bool) (string, error) {
	at, rest := "/", strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		next := path.Join(at, part)
		target, err := v.link(next)
		switch {
		case err != nil && (whole || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR)):
			return "", err
		case target == "":
			at = next
			continue
		}
		if links++; links > 255 {
			return "", errors.New("EvalSymlinks: too many links") // Go's, hence Docker's
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// link is what a symbolic link says; empty for other files.
func (v *view) link(name string) (string, error) {
	fd, err := v.find(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", &os.PathError{Op: "lstat", Path: name, Err: err}
	}
	defer unix.Close(fd)
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", b)
	if err != nil { // ENOENT: not a symbolic link, readlinkat(2)
		return "", nil
	}
	return string(b[:n]), nil
}
