package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is where an archive is unpacked: a directory of a file tree. Every name in it is looked up by openat2(2), so that `..`, absolute
// names and symbolic links lead to places inside, whatever the archive holds and whoever changes the tree meanwhile.
type tree struct {
	root    *os.File
	at      string // the directory below root; empty: root itself
	resolve uint64 // RESOLVE_IN_ROOT: links are read as inside root; RESOLVE_BENEATH: those that lead out are refused
	shown   string // what errors call that directory
	who     owner  // of directories that the archive has not mentioned
	dirs    map[string]int
}

// openDirs bounds the descriptors kept: archives come directory by directory, and several are unpacked at once. They are dropped
// when something is removed or replaced.
const openDirs = 32

func (t *tree) forget() {
	for _, fd := range t.dirs {
		unix.Close(fd)
	}
	clear(t.dirs)
}

// parent opens the directory of a clean name, making what is missing of it, and returns it with the last part.
// The descriptor belongs to the tree.
func (t *tree) parent(name string) (int, string, error) {
	dir, base := path.Split(name)
	fd, err := t.dir(strings.TrimSuffix(dir, "/"))
	return fd, base, err
}

// find is parent for what exists already.
func (t *tree) find(name string) (int, string, error) {
	dir, base := path.Split(name)
	fd, err := t.lookup(strings.TrimSuffix(dir, "/"))
	return fd, base, err
}

func (t *tree) dir(name string) (int, error) {
	fd, err := t.lookup(name)
	if err == unix.ENOENT {
		if err = t.make(name); err == unix.EEXIST {
			err = unix.ENOTDIR // a symbolic link to nowhere
		}
		if err == nil {
			fd, err = t.lookup(name)
		}
	}
	if err == unix.EXDEV {
		return -1, fmt.Errorf("a link in %q leads out of %q", name, t.shown)
	}
	return fd, named("open", path.Join(t.shown, name), err)
}

// lookup opens a directory, or finds it among the recent ones.
func (t *tree) lookup(name string) (int, error) {
	if fd, ok := t.dirs[name]; ok {
		return fd, nil
	}
	fd, err := t.open(name)
	if err != nil {
		return -1, err
	}
	if len(t.dirs) >= openDirs || t.dirs == nil {
		t.forget()
		t.dirs = map[string]int{}
	}
	t.dirs[name] = fd
	return fd, nil
}

func (t *tree) open(name string) (int, error) {
	if name = path.Join(t.at, name); name == "" {
		name = "."
	}
	return Resolve(int(t.root.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY, t.resolve)
}

// Resolve is openat2(2), again where it says so: EAGAIN when a rename or mount elsewhere made a ".." uncertain, EINTR by a signal.
func Resolve(dir int, name string, flags, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	for range 10000 {
		if fd, err := unix.Openat2(dir, name, &how); err != unix.EAGAIN && err != unix.EINTR {
			return fd, err
		}
	}
	return -1, unix.EAGAIN
}

// Read reads a regular file below a directory, as a process sees it that has its root there. Whose tree it is can have put anything in its
// place: neither a FIFO nor a device is waited for, and no more than so many bytes are read.
func Read(root *os.File, name string, most int64) ([]byte, error) {
	fd, err := Resolve(int(root.Fd()), name, unix.O_RDONLY|unix.O_NONBLOCK, unix.RESOLVE_IN_ROOT)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: name, Err: errors.Join(err, unix.EINVAL)}
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// make makes a directory that the archive has not mentioned, with the mode Docker gives it, whatever the umask is.
func (t *tree) make(name string) error {
	parent, base, err := t.parent(name)
	if err != nil {
		return err
	}
	if err := unix.Mkdirat(parent, base, 0o755); err != nil {
		return err
	}
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !t.who.keep {
		if err := unix.Fchown(fd, t.who.uid, t.who.gid); err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, 0o755)
}

// place is where an entry goes.
type place struct {
	parent   int // belongs to the tree
	base     string
	shown    string // what errors call it
	kind     uint32 // what stands there, S_IFMT of inode(7); 0: nothing
	whiteout bool   // the mark of a deletion stood there
}

// place looks what stands where an entry of that clean name goes.
func (t *tree) place(name string) (p place, err error) {
	p.shown = path.Join(t.shown, name)
	if p.parent, p.base, err = t.parent(name); err != nil {
		return p, err
	}
	var st unix.Stat_t
	err = unix.Fstatat(p.parent, p.base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return p, nil
	}
	if err != nil {
		return p, named("lstat", p.shown, err)
	}
	p.kind, p.whiteout = st.Mode&unix.S_IFMT, isWhiteout(&st)
	return p, nil
}

// clear makes room: whatever stands there goes, unless both that and the new entry are directories.
func (t *tree) clear(p place, name string, directory bool) (place, error) {
	if p.kind == 0 || p.kind == unix.S_IFDIR && directory {
		return p, nil
	}
	if err := p.remove(); err != nil {
		return p, err
	}
	if p.kind == unix.S_IFDIR || p.kind == unix.S_IFLNK {
		// Names that led through it lead elsewhere from now on.
		t.forget()
		var err error
		if p.parent, p.base, err = t.parent(name); err != nil {
			return p, err
		}
	}
	p.kind = 0
	return p, nil
}

// remove never follows a link: os.RemoveAll goes by descriptors. What others have mounted there stays, as it would if we were in
// their mount namespace: from another one the kernel would unmount it.
func (p place) remove() error {
	mounted, err := mountedAt(p.parent, p.base)
	if err == nil && mounted {
		err = unix.EBUSY
	}
	if err != nil {
		return named("unlinkat", p.shown, err)
	}
	at := descriptor(p.parent) + "/" + p.base
	err = os.RemoveAll(at)
	var failed *os.PathError
	if errors.As(err, &failed) {
		return named(failed.Op, p.shown+strings.TrimPrefix(failed.Path, at), failed.Err)
	}
	return err
}

// mountedAt reports whether something is mounted on what has that name.
func mountedAt(parent int, base string) (bool, error) {
	var dir, file unix.Statx_t
	if err := unix.Statx(parent, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &dir); err != nil {
		return false, err
	}
	err := unix.Statx(parent, base, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &file)
	if err == unix.ENOENT {
		return false, nil
	}
	return dir.Mnt_id != file.Mnt_id, err
}

// isWhiteout tells overlayfs's mark of a deletion: a character device 0:0.
func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }
