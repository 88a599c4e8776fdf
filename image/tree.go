package image

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// tree is the directory of a layer being unpacked. Every name in it is looked up by openat2(2) with RESOLVE_IN_ROOT: `..`,
// absolute names and symbolic links inside a layer lead to places inside the layer, whatever it holds.
type tree struct {
	root *os.File
	dirs map[string]int // recently used directories; dropped when something is removed or replaced
}

// openDirs bounds the descriptors kept: layers come directory by directory, and several are unpacked at once.
const openDirs = 32

func newTree(root *os.File) *tree { return &tree{root: root, dirs: map[string]int{}} }

func (t *tree) forget() {
	for _, fd := range t.dirs {
		unix.Close(fd)
	}
	clear(t.dirs)
}

// inside cleans a name as it stands in a tar header. A name that climbs out of the layer is refused, as Docker does;
// a leading slash means the layer's root.
func inside(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("the name %q leads out of the layer", name)
	}
	if strings.IndexByte(clean, 0) >= 0 {
		return "", fmt.Errorf("the name %q holds a NUL byte", name)
	}
	return clean, nil
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
	return fd, named("opening the directory", name, err)
}

// lookup opens a directory, or finds it among the recent ones.
func (t *tree) lookup(name string) (int, error) {
	if name == "" || name == "." {
		return int(t.root.Fd()), nil
	}
	if fd, ok := t.dirs[name]; ok {
		return fd, nil
	}
	fd, err := t.open(name)
	if err != nil {
		return -1, err
	}
	if len(t.dirs) >= openDirs {
		t.forget()
	}
	t.dirs[name] = fd
	return fd, nil
}

func (t *tree) open(name string) (int, error) {
	for {
		fd, err := unix.Openat2(int(t.root.Fd()), name, &unix.OpenHow{
			Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
		// openat2(2): EAGAIN when a rename elsewhere made a ".." uncertain; EINTR by a signal.
		if err != unix.EAGAIN && err != unix.EINTR {
			return fd, err
		}
	}
}

// make makes a directory that the archive has not mentioned, with the mode Docker gives it.
func (t *tree) make(name string) error {
	parent, base, err := t.parent(name)
	if err != nil {
		return err
	}
	return unix.Mkdirat(parent, base, 0o755)
}

// place is where an entry goes.
type place struct {
	parent   int // belongs to the tree
	base     string
	exists   bool // a directory stands there and may stay
	whiteout bool // the mark of a deletion stood there
}

// place makes room for an entry of that clean name: whatever stands there goes, unless both are directories.
func (t *tree) place(name string, directory bool) (p place, err error) {
	if p.parent, p.base, err = t.parent(name); err != nil {
		return p, err
	}
	var st unix.Stat_t
	err = unix.Fstatat(p.parent, p.base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return p, nil
	}
	if err != nil {
		return p, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFDIR && directory {
		p.exists = true
		return p, nil
	}
	p.whiteout = isWhiteout(&st)
	// os.RemoveAll goes by descriptors and follows no symbolic link.
	if err := os.RemoveAll(fmt.Sprintf("/proc/self/fd/%d/%s", p.parent, p.base)); err != nil {
		return p, err
	}
	if kind == unix.S_IFDIR || kind == unix.S_IFLNK {
		// Names that led through it lead elsewhere from now on.
		t.forget()
		p.parent, p.base, err = t.parent(name)
	}
	return p, err
}

// isWhiteout tells overlayfs's mark of a deletion: a character device 0:0.
func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }
