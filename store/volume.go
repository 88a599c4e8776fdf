package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Projects are the claimed project ids of quotas.
func (r Root) Projects() Claims { return Claims{filepath.Join(r.Data, "projects"), "../containers"} }

// Mounting is the account of the volumes that were mounted for the container's last start.
func (p Place) Mounting() string { return p.Run + "/volumes-account.json" }

// Volume is where one volume's files are:
//
//	DATA/volumes/<name>/volume.json  what it was asked to be
//	DATA/volumes/<name>/_data        what containers see
//	DATA/volumes/<name>/_fill        the same while it is copied from an image: renamed to _data when it is complete
//	DATA/volumes/<name>/users/<id>   -> ../../../containers/<id>, a container that has it among its mounts
//	RUN/volumes/<name>/<id>          a container for which it is mounted, where it is something mounted
//
// A volume appears and vanishes by one rename(2), so that there is no half a volume: names with a dot in front are those that
// are being made or removed, and remains of them when nobody holds their lock.
type Volume struct{ Name, Dir, Run string }

const filling = "_fill"

func (r Root) volumes() string { return filepath.Join(r.Data, "volumes") }

// Volume names the places of one volume. The name must be a valid one.
func (r Root) Volume(name string) Volume {
	return Volume{Name: name, Dir: filepath.Join(r.volumes(), name), Run: filepath.Join(r.Run, "volumes", name)}
}

func (v Volume) Document() string { return v.Dir + "/volume.json" }
func (v Volume) Data() string     { return v.Dir + "/_data" }
func (v Volume) Filling() string  { return v.Dir + "/" + filling }
func (v Volume) users() string    { return v.Dir + "/users" }

// VolumeNames returns the names of all volumes, sorted, and deletes what killed commands left.
func (r Root) VolumeNames() ([]string, error) {
	found, remains, err := r.Volumes()
	for _, path := range remains {
		_, swept := r.SweepVolume(path)
		err = errors.Join(err, swept)
	}
	return found, err
}

// Volumes returns the names of all volumes, sorted, and the directories that killed commands left of volumes which they were making,
// filling or removing.
func (r Root) Volumes() (found, remains []string, err error) {
	all, err := names(r.volumes())
	for _, name := range all {
		lock := filepath.Join(r.volumes(), name)
		left := lock
		if !strings.HasPrefix(name, ".") {
			if st, err := os.Lstat(lock); err == nil && st.IsDir() {
				found = append(found, name)
			}
			if left = r.Volume(name).Filling(); !exists(left) {
				continue
			}
		}
		if held, err := Held(lock); err == nil && !held {
			remains = append(remains, left)
		}
	}
	slices.Sort(found)
	return found, remains, err
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// SweepVolume deletes one of these directories, unless somebody works on it, and tells whether it did.
func (r Root) SweepVolume(path string) (bool, error) {
	if filepath.Base(path) != filling {
		return sweepRemains(path)
	}
	lock, err := attempt(filepath.Dir(path))
	if lock == nil {
		return false, err
	}
	defer lock.Release()
	return true, removeTree(path)
}

func sweepRemains(dir string) (bool, error) {
	lock, err := attempt(dir)
	if lock == nil {
		return false, err
	}
	defer lock.Release()
	return true, removeTree(dir)
}

// attempt takes a lock if nobody holds it; nil without error: somebody does, or there is nothing.
func attempt(dir string) (*Lock, error) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	lock, err := Exclusive(now, dir)
	if errors.Is(err, context.Canceled) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return lock, err
}

// Lock keeps everybody else from changing the volume. The error is fs.ErrNotExist when there is none.
func (v Volume) Lock(ctx context.Context) (*Lock, error) {
	for {
		lock, err := Exclusive(ctx, v.Dir)
		if err != nil {
			return nil, err
		}
		held, err := lock.f.Stat()
		if err != nil {
			return nil, errors.Join(err, lock.Release())
		}
		// While we waited it may have been removed, and made again.
		if there, err := os.Lstat(v.Dir); err == nil && os.SameFile(held, there) {
			return lock, nil
		}
		if err := lock.Release(); err != nil {
			return nil, err
		}
	}
}

// Make makes a volume, complete with its document, and returns it locked. prepare is given its empty directory. The error is
// fs.ErrExist when somebody was quicker.
func (v Volume) Make(document any, prepare func(data string) error) (lock *Lock, err error) {
	parent := filepath.Dir(v.Dir)
	made := Volume{Name: v.Name, Dir: filepath.Join(parent, ".new-"+NewID()[:12])}
	if err := os.MkdirAll(parent, 0o701); err != nil {
		return nil, err
	}
	if err := os.Mkdir(made.Dir, 0o701); err != nil {
		return nil, err
	}
	if lock, err = Exclusive(context.Background(), made.Dir); err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return os.Mkdir(made.Data(), 0o755) },
		func() error { return os.Chmod(made.Data(), 0o755) }, // whatever the umask took
		func() error { return prepare(made.Data()) },
		func() error { return Put(made.Document(), document) },
		func() error { return renameNew(made.Dir, v.Dir) },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, removeTree(made.Dir), lock.Release())
		}
	}
	return lock, nil
}

// renameNew never replaces, not even an empty directory.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// Remove deletes the volume and all that is in it. The caller holds its lock.
func (v Volume) Remove() error {
	gone := filepath.Join(filepath.Dir(v.Dir), ".gone-"+NewID()[:12])
	if err := os.Rename(v.Dir, gone); err != nil {
		return err
	}
	return errors.Join(erase(v.Run), removeTree(gone))
}

// Use notes that a container has the volume among its mounts. The caller holds the volume's lock.
func (v Volume) Use(id string) error { return note(v.users(), "../../../containers/"+id, id) }

func note(dir, target, name string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(target, filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Leave takes back what Use noted. No lock is needed: only the container's own commands do it.
func (v Volume) Leave(id string) error { return discard(filepath.Join(v.users(), id)) }

// Users are the containers noted, in no order, be they still there or not.
func (v Volume) Users() ([]string, error) { return names(v.users()) }

// Mount notes that the volume is mounted for a container. The caller holds the volume's lock, as for the next two.
func (v Volume) Mount(id string) error { return note(v.Run, "../../containers/"+id, id) }

// Unmount takes back what Mount noted.
func (v Volume) Unmount(id string) error { return discard(filepath.Join(v.Run, id)) }

// MountedFor are the containers noted, in no order. After a reboot there are none.
func (v Volume) MountedFor() ([]string, error) { return names(v.Run) }

// Ready makes the directory for a copy from an image.
func (v Volume) Ready() (string, error) {
	if err := removeTree(v.Filling()); err != nil {
		return "", err
	}
	return v.Filling(), os.Mkdir(v.Filling(), 0o700)
}

// Filled puts the copy in the place of the empty directory, at once.
func (v Volume) Filled() error {
	// os.Rename would refuse to replace a directory, be it empty.
	if err := unix.Rename(v.Filling(), v.Data()); err != nil {
		return &os.LinkError{Op: "rename", Old: v.Filling(), New: v.Data(), Err: err}
	}
	return nil
}

// Unfilled deletes the copy.
func (v Volume) Unfilled() error { return removeTree(v.Filling()) }

// removeTree deletes a directory with all that is in it. An immutable or append-only file (chattr(1)) must lose that flag first.
func removeTree(dir string) error {
	err := erase(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	unlockTree(dir)
	return erase(dir)
}

// MountedNames are the volumes of which something was mounted since the machine was started, be they still there or not.
func (r Root) MountedNames() ([]string, error) { return names(filepath.Join(r.Run, "volumes")) }

// Unmounted deletes what there is of the volume in the run directory. The caller has seen that it is gone.
func (v Volume) Unmounted() error { return erase(v.Run) }
