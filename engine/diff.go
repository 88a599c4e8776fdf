package engine

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"syscall"
	"time"

	"glassbox/archive"

	"github.com/docker/docker/api/types/container"
	"golang.org/x/sys/unix"
)

// Diff tells what a container's files differ in from its image's. The upper directory of its overlay says that by itself: nothing is
// mounted and no process disturbed for it.
func (c *Containers) Diff(ref string) ([]container.FilesystemChange, error) {
	r, err := c.load(ref)
	if err != nil {
		return nil, err
	}
	if r.Rootfs != "" {
		return nil, conflict("container %s writes into %s itself: there is no image to compare it with", r.short(), r.Rootfs)
	}
	root, err := tree(r.Lower).find("/")
	if err != nil {
		return nil, err
	}
	d := &comparison{owners: archive.Owners(r.IDMap), upper: r.place.Upper()}
	return d.changes, d.directory("", &root)
}

// comparison holds an overlay's upper directory against the tree below, as moby's archive.ChangesDirs compares two mounted trees.
type comparison struct {
	owners  archive.Owners
	upper   string
	changes []container.FilesystemChange
}

func (d *comparison) add(kind container.ChangeType, name string) {
	d.changes = append(d.changes, container.FilesystemChange{Kind: kind, Path: "/" + name})
}

// directory compares what is in a directory; below is the same name's in the layers, nil for none.
func (d *comparison) directory(name string, below *lookup) error {
	entries, err := os.ReadDir(path.Join(d.upper, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a running container removed it
	}
	if err != nil {
		return err
	}
	var here []string
	for _, e := range entries {
		here = append(here, e.Name())
		if err := d.entry(path.Join(name, e.Name()), below); err != nil {
			return err
		}
	}
	if below == nil || !isOpaque(path.Join(d.upper, name)) {
		return nil
	}
	hidden, err := below.names()
	for _, n := range hidden {
		if !slices.Contains(here, n) {
			d.add(container.ChangeDelete, path.Join(name, n))
		}
	}
	return err
}

// entry compares one name with what lies under it in the directory below.
func (d *comparison) entry(name string, parent *lookup) error {
	info, err := os.Lstat(path.Join(d.upper, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	old, err := parent.old(path.Base(name))
	if err != nil {
		return err
	}
	switch {
	case isWhiteout(info):
		if old != nil {
			d.add(container.ChangeDelete, name)
		}
		return nil
	case old == nil:
		d.add(container.ChangeAdd, name)
	case d.differs(info, path.Join(d.upper, name), old):
		d.add(container.ChangeModify, name)
	default:
		return d.unchanged(name, info, old)
	}
	if !info.IsDir() {
		return nil
	}
	return d.directory(name, old)
}

// unchanged goes into a directory that is itself as it was. It counts as changed if something in it is, and stands before that.
func (d *comparison) unchanged(name string, info fs.FileInfo, old *lookup) error {
	if !info.IsDir() {
		return nil
	}
	at := len(d.changes)
	d.add(container.ChangeModify, name)
	err := d.directory(name, old)
	if len(d.changes) == at+1 {
		d.changes = d.changes[:at]
	}
	return err
}

// old is what lies under a name in a directory of the layers, nil for nothing. A file where a directory was has none below it.
func (l *lookup) old(name string) (*lookup, error) {
	if l == nil || l.dirs == nil {
		return nil, nil
	}
	found, err := l.child(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &found, err
}

// names lists a directory as the layers together show it.
func (l *lookup) names() ([]string, error) {
	shown, hidden := map[string]bool{}, map[string]bool{}
	for _, dir := range l.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if shown[e.Name()] || hidden[e.Name()] {
				continue
			}
			info, err := e.Info()
			if err != nil {
				return nil, err
			}
			if isWhiteout(info) {
				hidden[e.Name()] = true
			} else {
				shown[e.Name()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(shown)), nil
}

// differs tells a changed file as moby does: contents are not read, and of directories neither time nor size count.
func (d *comparison) differs(info fs.FileInfo, file string, old *lookup) bool {
	is, was := info.Sys().(*syscall.Stat_t), old.info.Sys().(*syscall.Stat_t)
	if is.Mode != was.Mode || is.Rdev != was.Rdev || d.owners.Inside(is.Uid) != was.Uid || d.owners.Inside(is.Gid) != was.Gid {
		return true
	}
	if !info.IsDir() && (is.Size != was.Size || !sameTime(info.ModTime(), old.info.ModTime())) {
		return true
	}
	return !bytes.Equal(capabilityOf(file), capabilityOf(old.path))
}

// sameTime forgives that an archive without fractions of seconds was in between.
func sameTime(a, b time.Time) bool {
	return a.Equal(b) || a.Unix() == b.Unix() && (a.Nanosecond() == 0 || b.Nanosecond() == 0)
}

// capabilityOf is what a file may do, without the user namespace in which it may: capabilities(7), VFS_CAP_REVISION_3 adds that to
// the twenty bytes of revision 2.
func capabilityOf(file string) []byte {
	var b [24]byte
	n, err := unix.Lgetxattr(file, "security.capability", b[:])
	if err != nil {
		return nil
	}
	b[3] = 2
	return b[:min(n, 20)]
}
