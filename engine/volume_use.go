package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"glassbox/archive"
	"glassbox/namespaces"
	"glassbox/rootfs"
	"glassbox/store"
	vol "glassbox/volume"

	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/volume"
	"golang.org/x/sys/unix"
)

// uses reports whether the volume is among the container's mounts.
func (r *record) uses(name string) bool {
	for _, m := range r.Mounts {
		if m.Type == mount.TypeVolume && m.Name == name {
			return true
		}
	}
	return false
}

// furnish makes the volumes that the container's mounts name, unless they are there, notes that it uses them, and fills the empty
// ones with what the image has at their place. The caller holds the container's lock: without its document those who look
// for users would take it for the remains of a killed command otherwise.
func (c *Containers) furnish(r *record) error {
	for i := range r.Mounts {
		if m := &r.Mounts[i]; m.Type == mount.TypeVolume {
			if err := c.volumes.use(r, m); err != nil {
				return err
			}
		}
	}
	f := filler{containers: c, record: r}
	defer f.close()
	for i := range r.Mounts {
		if m := &r.Mounts[i]; m.Type == mount.TypeVolume && !m.NoCopy {
			if err := f.fill(m); err != nil {
				return err
			}
		}
	}
	return nil
}

// use notes the container at the volume of one of its mounts. Volumes of another container are not made anew.
func (v *Volumes) use(r *record, m *mountPoint) error {
	var known *volumeRecord
	var lock *store.Lock
	var err error
	if m.Inherited {
		known, lock, err = v.locked(m.Name)
	} else {
		known, lock, err = v.acquire(m.volume())
	}
	if err != nil {
		return err
	}
	m.Mounted = known.options().Mounts()
	return errors.Join(known.place.Use(r.ID), lock.Release())
}

// volume is what is made where there is none of that name yet.
func (m *mountPoint) volume() volume.CreateOptions {
	o := volume.CreateOptions{Name: m.Name, Driver: m.Driver, Labels: map[string]string{}, DriverOpts: m.Options}
	for k, v := range m.Labels {
		o.Labels[k] = v
	}
	if m.Anonymous {
		o.Labels[vol.Anonymous] = ""
	}
	return o
}

// leave takes back that the container uses its volumes, and a quota; with anonymous those that nobody named go, unless others have them.
func (c *Containers) leave(r *record, anonymous bool) error {
	errs := []error{c.unproject(r.Project)}
	for _, m := range r.Mounts {
		if m.Type != mount.TypeVolume || m.Name == "" {
			continue
		}
		errs = append(errs, c.root.Volume(m.Name).Leave(r.ID))
		if anonymous && m.Anonymous {
			if err := c.volumes.Remove(m.Name, true); err != nil && !Is(err, Conflict) {
				errs = append(errs, fmt.Errorf("Error removing volumes:\n%w", err)) //nolint:staticcheck // Docker's words
			}
		}
	}
	return errors.Join(errs...)
}

// volumeOptions are a volume's own words in config.json: with a user namespace it is shown with the owners that the container
// counts, so that its files belong to the same users in every container; glassbox.subpath is rootfs's.
func (d *drawing) volumeOptions(m mountPoint) (words []string, err error) {
	if len(d.IDMap) > 0 {
		words = append(words, "idmap")
	}
	if m.Subpath == "" {
		return words, nil
	}
	part, err := m.part()
	return append(words, rootfs.Subpath+part), err
}

// imageTree is what the container had before it wrote anything.
func (r *record) imageTree() tree {
	if r.Rootfs != "" {
		return tree{r.Rootfs}
	}
	return tree(r.Lower)
}

// open is the tree of a container that does not run, mounted nowhere.
func (r *record) open() (*os.File, error) {
	if r.Rootfs != "" {
		return os.Open(r.Rootfs)
	}
	l := rootfs.Layers{Lower: r.Lower, Upper: r.place.Upper(), UserXattr: namespaces.Nested()}
	return l.Open(r.place.Work())
}

// present: the volumes were made with the container, and nothing of ours removes one that a container uses.
func (c *Containers) present(r *record) error {
	for _, m := range r.Mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		if _, err := os.Stat(m.Source); err != nil {
			return &Error{
				Class: NotFound, Text: "get " + m.Name + ": no such volume", Cause: err,
				Hint: &Hint{Why: err.Error(), Check: "ls -l " + c.root.Volume(m.Name).Dir, Fix: "glassbox volume create " + m.Name},
			}
		}
	}
	return nil
}

// part finds what is shown of a volume, in Docker's words, and names it without any link. The start looks again and takes what it
// finds there.
func (m *mountPoint) part() (string, error) {
	fd, err := below(m.Source, m.Subpath, unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	found, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", err
	}
	base, err := filepath.EvalSymlinks(m.Source)
	if err != nil {
		return "", err
	}
	return filepath.Rel(base, found)
}

// filler copies from the image what lies where volumes are mounted.
type filler struct {
	containers *Containers
	record     *record
	tree       *os.File // the image's, opened when it is needed
}

func (f *filler) close() {
	if f.tree != nil {
		f.tree.Close()
	}
}

// fill copies into one volume, if that is empty and the image has a directory there.
func (f *filler) fill(m *mountPoint) error {
	if !m.Mounted && m.Subpath == "" {
		if empty, err := emptyAt(m.Source); err != nil || !empty {
			return err // told before an overlay is mounted for nothing
		}
	}
	from, err := f.source(m)
	if from == nil || err != nil {
		return err
	}
	defer from.Close()
	v := f.containers.volumes
	known, lock, err := v.locked(m.Name)
	if err != nil {
		return err
	}
	err = v.fill(known, m, from, f.record.ID)
	return errors.Join(err, lock.Release())
}

// source is the image's directory at the mount's place; nil when there is none.
func (f *filler) source(m *mountPoint) (*os.File, error) {
	there, err := f.record.imageTree().find(m.Destination)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !there.info.IsDir() {
		return nil, fmt.Errorf("source %s is not directory", there.path)
	}
	if f.tree == nil {
		if f.tree, err = f.record.open(); err != nil {
			return nil, err
		}
	}
	fd, err := archive.Resolve(int(f.tree.Fd()), m.Destination, unix.O_RDONLY|unix.O_DIRECTORY, unix.RESOLVE_IN_ROOT)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: m.Destination, Err: err}
	}
	return os.NewFile(uintptr(fd), m.Destination), nil
}

// fill copies the directory from. Nobody sees a copy before it is complete, unless others have the volume already: they may
// write to it just now. The caller holds the volume's lock.
func (v *Volumes) fill(r *volumeRecord, m *mountPoint, from *os.File, id string) (err error) {
	if m.Mounted {
		if _, err := v.mountFor(r, id); err != nil {
			return prefixed("failed to populate volume", err)
		}
		defer func() { err = errors.Join(err, v.unmountFor(r, id)) }()
	}
	to, err := v.opened(r, m.Subpath)
	if Is(err, NotFound) {
		return nil // Docker, too, tells that only when the container is started
	}
	if err != nil {
		return err
	}
	defer to.Close()
	if empty, err := isEmpty(to); err != nil || !empty {
		return err
	}
	users, err := v.users(r)
	if err != nil {
		return err
	}
	mounted, err := vol.Mounted(r.place.Data())
	if err != nil {
		return err
	}
	if m.Subpath != "" || mounted || len(users) > 1 {
		err = fillThere(to, from)
	} else {
		err = v.fillAside(r, from)
	}
	if err != nil {
		return fmt.Errorf("filling volume %s with the image's %s: %w", r.Name, m.Destination, err)
	}
	return nil
}

// fillAside makes the copy beside the empty directory and puts it in its place.
func (v *Volumes) fillAside(r *volumeRecord, from *os.File) error {
	dir, err := r.place.Ready()
	if err == nil {
		err = v.assign(r, dir)
	}
	if err == nil {
		err = copyTo(dir, from)
	}
	if err == nil {
		err = r.place.Filled()
	}
	if err != nil {
		return errors.Join(err, r.place.Unfilled())
	}
	return nil
}

func copyTo(dir string, from *os.File) error {
	to, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	_, err = archive.Copy(to, from)
	return err
}

// fillThere copies straight into the volume; after an error it is as empty as before.
func fillThere(to, from *os.File) error {
	made, err := archive.Copy(to, from)
	if err == nil {
		return nil
	}
	for _, name := range made {
		err = errors.Join(err, os.RemoveAll(fmt.Sprintf("/proc/self/fd/%d/%s", to.Fd(), name)))
	}
	return err
}

func isEmpty(dir *os.File) (bool, error) { return emptyAt(fmt.Sprintf("/proc/self/fd/%d", dir.Fd())) }

func emptyAt(path string) (bool, error) {
	dir, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	_, err = dir.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

// opened is the volume's directory, or what lies below it.
func (v *Volumes) opened(r *volumeRecord, subpath string) (*os.File, error) {
	if subpath == "" {
		return os.Open(r.place.Data())
	}
	fd, err := below(r.place.Data(), subpath, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), subpath), nil
}

// below opens what lies below a directory, and nothing that a link leads out to.
func below(dir, subpath string, flags uint64) (int, error) {
	base, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(base)
	fd, err := archive.Resolve(base, subpath, flags, unix.RESOLVE_BENEATH)
	switch err {
	case nil:
		return fd, nil
	case unix.EXDEV:
		return -1, invalid("path concatenation escapes the base directory, base: %s, subpath: %s", dir, subpath)
	case unix.ENOENT, unix.ELOOP, unix.ENOTDIR:
		at := dir + "/" + subpath
		return -1, &Error{Class: NotFound, Text: fmt.Sprintf("cannot access path %s: lstat %s: %v", at, at, err), Cause: err, Exit: exitFor(unix.ENOENT)}
	}
	return -1, &os.PathError{Op: "open", Path: dir + "/" + subpath, Err: err}
}
