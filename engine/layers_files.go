package engine

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// LayerFile is what one layer has under a name.
type LayerFile struct {
	Path     string
	Layer    int    // its index
	Kind     string // "file", "directory", "link", "whiteout", "opaque directory" ...
	Mode     fs.FileMode
	UID, GID uint32
	Size     int64
	Target   string `json:",omitempty"` // of a link
	Host     string // where it lies
	Shown    bool   // it is what one sees, or of a directory a part of that
	Others   []int  `json:",omitempty"` // in a list of a directory: the indexes of the other layers that have the name
}

// files are what the layers have at a path, topmost first, and then what is in it, if that is a directory.
func (s *stack) files(name string, recursive bool) ([]LayerFile, error) {
	name, err := s.follow(path.Clean("/" + name))
	if err != nil {
		return nil, err
	}
	versions, shown := s.versions(s.root, strings.FieldsFunc(name, func(r rune) bool { return r == '/' }), "/")
	if len(versions) == 0 {
		return nil, &Error{Class: NotFound, Text: "no layer has " + name, Cause: fs.ErrNotExist}
	}
	if shown != nil && shown.isDir() {
		versions = append(versions, s.list(shown, name, recursive)...)
	}
	return versions, nil
}

// versions are what the layers have at a path below n: at the name itself, or what stands in its way. shown is what one sees.
func (s *stack) versions(n *inode, rest []string, at string) (all []LayerFile, shown *inode) {
	open := true // nothing above hides it
	for ; n != nil; n = n.under {
		if len(rest) == 0 || !n.isDir() {
			f := s.file(n, at)
			f.Shown = open && !n.isWhiteout() && len(rest) == 0
			if f.Shown && shown == nil {
				shown = n
			}
			all = append(all, f)
			open = open && n.isDir() && n.merged
			continue
		}
		more, seen := s.versions(n.names[rest[0]], rest[1:], path.Join(at, rest[0]))
		for i := range more {
			more[i].Shown = more[i].Shown && open
		}
		if all = append(all, more...); open && seen != nil {
			shown = seen
		}
		if n.alone { // what is hidden by it stands under what it has
			break
		}
		for n.merged { // they share their names
			n = n.under
		}
		open = false
	}
	return all, shown
}

// list is what one sees in a directory, and what is hidden there.
func (s *stack) list(dir *inode, at string, recursive bool) (all []LayerFile) {
	for _, name := range slices.Sorted(maps.Keys(dir.names)) {
		n := dir.names[name]
		f := s.file(n, path.Join(at, name))
		f.Shown = !n.isWhiteout()
		for o := n.under; o != nil; o = o.under {
			f.Others = append(f.Others, o.layer)
		}
		all = append(all, f)
		if recursive && n.isDir() {
			all = append(all, s.list(n, f.Path, true)...)
		}
	}
	return all
}

func (s *stack) file(n *inode, at string) LayerFile {
	f := LayerFile{Path: at, Layer: n.layer, Kind: n.describe(), Mode: fileMode(n.mode), UID: n.uid, GID: n.gid, Size: n.size, Host: s.host(n, at)}
	if n.kind() == unix.S_IFLNK {
		f.Target, _ = os.Readlink(f.Host) // a container may have removed it meanwhile
	}
	return f
}

func (s *stack) host(n *inode, at string) string { return path.Join(s.layers[n.layer].Dir, at) }

func (n *inode) describe() string {
	switch n.kind() {
	case 0:
		if n.implied {
			return "hidden by its directory"
		}
		return "whiteout"
	case unix.S_IFDIR:
		if n.opaque {
			return "opaque directory"
		}
		return "directory"
	case unix.S_IFREG:
		return "file"
	case unix.S_IFLNK:
		return "link"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// fileMode is a mode of the kernel's as Go has it.
func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, is := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= is
		}
	}
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		m |= fs.ModeDir
	case unix.S_IFLNK:
		m |= fs.ModeSymlink
	case unix.S_IFIFO:
		m |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		m |= fs.ModeSocket
	case unix.S_IFCHR, 0:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		m |= fs.ModeDevice
	}
	return m
}

// follow resolves the links on the way to a name, but not one that the name itself is.
func (s *stack) follow(name string) (string, error) {
	at, rest := "/", strings.FieldsFunc(name, func(r rune) bool { return r == '/' })
	for links := 0; len(rest) > 1; {
		if rest[0] == ".." {
			at, rest = path.Dir(at), rest[1:]
			continue
		}
		next := path.Join(at, rest[0])
		n := s.look(next)
		if n == nil || n.kind() != unix.S_IFLNK {
			at, rest = next, rest[1:]
			continue
		}
		if links++; links > maxLinks {
			return "", &os.PathError{Op: "open", Path: name, Err: unix.ELOOP}
		}
		target, err := os.Readlink(s.host(n, next))
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.FieldsFunc(target, func(r rune) bool { return r == '/' || r == 0 }), rest[1:]...)
	}
	return path.Join(append([]string{at}, rest...)...), nil
}

// look is what one sees at a path without links; nil: nothing.
func (s *stack) look(name string) *inode {
	n := s.root
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '/' }) {
		if n.seen() == nil {
			return nil
		}
		n = n.names[part]
	}
	return n.seen()
}
