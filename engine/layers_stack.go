package engine

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"

	"glassbox/archive"

	"golang.org/x/sys/unix"
)

// stack is what several layers hold, laid one over the other as overlayfs does it, with everything that is hidden by that.
type stack struct {
	layers []*Layer // lowest first
	wanted int      // whose changes are listed; -1: nobody's
	owners archive.Owners
	root   *inode
	links  []map[uint64]*hardLink // of each layer
	out    *Layers
}

// hardLink is a file with several names in a layer: its bytes are hidden when all of them are.
type hardLink struct{ names int }

// inode is one name in one layer. What was there before stands in under. The names in a directory are those of all layers that are
// merged in it; one that is hidden is an inode with kind whiteout.
type inode struct {
	layer    int
	mode     uint32 // 0: a whiteout
	uid, gid uint32
	size     int64
	copied   bool // overlayfs has copied it up, to change it
	opaque   bool // a directory that hides what is in those below it
	alone    bool // a directory with nothing of the one that is under it, since it is opaque or in such a one
	merged   bool // a directory that shares its names with under
	implied  bool // a whiteout that stands for an opaque directory
	link     *hardLink
	names    map[string]*inode
	under    *inode
}

func (n *inode) kind() uint32     { return n.mode & unix.S_IFMT }
func (n *inode) isDir() bool      { return n.kind() == unix.S_IFDIR }
func (n *inode) isWhiteout() bool { return n.mode == 0 }

// seen is n unless it is nothing or hides what was there.
func (n *inode) seen() *inode {
	if n == nil || n.isWhiteout() {
		return nil
	}
	return n
}

// lay lays the layers one over the other.
func (s *stack) lay() error {
	for i, l := range s.layers {
		s.links = append(s.links, map[uint64]*hardLink{})
		dir, err := os.OpenFile(l.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			return err
		}
		n, err := s.describe(i, int(dir.Fd()), ".")
		if err == nil {
			if s.root != nil {
				n.names, n.merged, n.under = s.root.names, true, s.root
			}
			s.root = n
			err = s.directory(dir, "/", n)
		}
		if err := errors.Join(err, dir.Close()); err != nil {
			return err
		}
	}
	return nil
}

// directory lays what a layer has in a directory over what is in n. A container may change it meanwhile, and put links in the place of
// directories: it is read by descriptors.
func (s *stack) directory(dir *os.File, at string, n *inode) error {
	for {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			if err := s.entry(dir, path.Join(at, e.Name()), n); err != nil && !vanished(err) {
				return err
			}
		}
		if err != nil { // the end, or the directory was removed
			return nil
		}
	}
}

// vanished: a running container has removed it, or put something else in its place.
func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

func (s *stack) entry(dir *os.File, at string, into *inode) error {
	n, err := s.describe(into.layer, int(dir.Fd()), path.Base(at))
	if err != nil {
		return err
	}
	old := into.names[path.Base(at)]
	into.names[path.Base(at)] = n
	n.under = old
	anew := old != nil && old.implied && old.layer == n.layer
	if anew {
		n.under = old.under
	}
	below := n.under.seen()
	if !n.isDir() {
		s.tell(at, n, below)
		return nil
	}
	switch {
	case below == nil || !below.isDir():
	case n.opaque || anew:
		n.alone = true
		for name, c := range below.names {
			n.names[name] = &inode{layer: n.layer, implied: true, under: c}
		}
	default:
		n.names, n.merged = below.names, true
	}
	s.tell(at, n, below)
	fd, err := unix.Openat(int(dir.Fd()), path.Base(at), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: at, Err: err}
	}
	sub := os.NewFile(uintptr(fd), at)
	defer sub.Close()
	if err := s.directory(sub, at, n); err != nil {
		return err
	}
	for name, c := range n.names { // what an opaque directory does not have anew is hidden by it
		if c.implied && c.layer == n.layer {
			s.tell(path.Join(at, name), c, c.under.seen())
		}
	}
	return nil
}

// describe reads what a name is in a layer, and adds its bytes.
func (s *stack) describe(layer, dir int, name string) (*inode, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		return &inode{layer: layer}, nil
	}
	l := s.layers[layer]
	n := &inode{layer: layer, mode: st.Mode, uid: st.Uid, gid: st.Gid}
	if l.Writable {
		n.uid, n.gid = s.owners.Inside(st.Uid), s.owners.Inside(st.Gid)
	}
	file := "/proc/self/fd/" + strconv.Itoa(dir) + "/" + name
	switch n.kind() {
	case unix.S_IFDIR:
		n.names, n.opaque = map[string]*inode{}, isOpaque(file)
	case unix.S_IFREG:
		n.size = st.Size
		if st.Nlink > 1 {
			n.link = s.links[layer][st.Ino]
		}
		switch {
		case n.link == nil && st.Nlink > 1:
			n.link = &hardLink{}
			s.links[layer][st.Ino] = n.link
			l.Size += n.size
		case n.link == nil:
			l.Size += n.size
		}
		if n.link != nil {
			n.link.names++
		}
	}
	n.copied = l.Writable && copiedUp(file)
	return n, nil
}

// copiedUp: overlayfs notes on what it copies up where that came from.
func copiedUp(file string) bool {
	for _, name := range []string{"trusted.overlay.origin", "user.overlay.origin"} {
		if _, err := unix.Lgetxattr(file, name, nil); err == nil {
			return true
		}
	}
	return false
}

// tell counts what n, which a layer has, does to what was seen under its name before.
func (s *stack) tell(at string, n, below *inode) {
	l := s.layers[n.layer]
	c := LayerChange{Path: at, Size: n.size, Directory: n.isDir(), Opaque: n.opaque}
	switch {
	case n.isWhiteout():
		c.Kind = Hidden
		if !n.implied {
			l.Whiteouts++
		}
	case below == nil:
		c.Kind = Added
		l.Added++
	case n.merged && n.mode == below.mode && n.uid == below.uid && n.gid == below.gid:
		return // it only stands there for what is in it
	default:
		c.Kind = Changed
		l.Changed++
	}
	if n.opaque {
		l.Opaque++
	}
	if below != nil && !n.merged && !n.alone { // of a directory that stands alone, what it hides is told name by name
		s.hide(&c, n, below)
	}
	if n.copied && below != nil && n.kind() == unix.S_IFREG {
		c.Copied = below.size
		l.Copied, l.CopiedUp = l.Copied+below.size, l.CopiedUp+1
	}
	if c.Bytes > 0 || c.Copied > 0 {
		s.out.Wasted = append(s.out.Wasted, c)
	}
	if s.wanted == n.layer {
		s.out.Changes = append(s.out.Changes, c)
	}
}

// hide counts what n hides: below, and all that is seen in it.
func (s *stack) hide(c *LayerChange, n, below *inode) {
	c.By = n.layer
	below.each(func(gone *inode) {
		c.Names++
		if !slices.Contains(c.Of, gone.layer) {
			c.Of = append(c.Of, gone.layer)
		}
		if gone.link != nil {
			if gone.link.names--; gone.link.names > 0 {
				return
			}
		}
		c.Bytes += gone.size
		s.layers[gone.layer].Wasted += gone.size
	})
	if n.isWhiteout() {
		s.layers[n.layer].Hides += c.Names
	} else {
		s.layers[n.layer].Hides += c.Names - 1
	}
}

// each calls f for n and what is seen in it.
func (n *inode) each(f func(*inode)) {
	if n.seen() == nil {
		return
	}
	f(n)
	for _, c := range n.names {
		c.each(f)
	}
}
