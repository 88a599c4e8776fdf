package archive

import (
	"io"
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Merge writes the layer that several layers are together: above, the topmost first, as it lies on those below. Marks of deletions stay
// where they hide something of below, and only there.
func Merge(w io.Writer, above, below []*os.File) error {
	p := newWriter(w, Options{})
	p.layer = true
	m := &merger{writer: p}
	up, down := stack{}, stack{}
	for _, f := range above {
		up = append(up, int(f.Fd()))
	}
	for _, f := range below {
		down = append(down, int(f.Fd()))
	}
	if err := m.entries(up, down, ""); err != nil {
		return err
	}
	return p.tar.Close()
}

type merger struct{ *writer }

// stack is one directory as several layers have it, the topmost first.
type stack []int

func (s stack) close() {
	for _, fd := range s {
		unix.Close(fd)
	}
}

// entries writes what the layers have in a directory, whose entries' names stand behind prefix.
func (m *merger) entries(up, down stack, prefix string) error {
	names := map[string]bool{}
	for _, fd := range up {
		all, err := List(fd)
		if err != nil {
			return named("reading the directory", prefix, err)
		}
		for _, name := range all {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := m.entry(up, down, name, prefix+name); err != nil {
			return err
		}
	}
	return nil
}

// entry writes the topmost file of a name, or that there is none any more.
func (m *merger) entry(up, down stack, base, name string) error {
	found, dirs, hides, err := up.find(base, name)
	defer dirs.close()
	if err != nil || found < 0 {
		return err
	}
	defer unix.Close(found)
	under, hidden, err := down.visible(base, name)
	defer hidden.close()
	if err != nil {
		return err
	}
	n, err := look(found, name)
	if err != nil {
		return err
	}
	switch {
	case n.kind() == unix.S_IFDIR:
		return m.directory(n, dirs, hidden, hides)
	case n.isWhiteout() && !under:
		return nil
	}
	return m.node(n)
}

// directory writes a directory that several layers have, with all below it. hides: what further layers have of it does not show.
func (m *merger) directory(n *node, up, down stack, hides bool) error {
	h := m.header(n)
	if err := m.attributes(n.fd, h); err != nil {
		return named("reading the extended attributes of", n.name, err)
	}
	if err := m.tar.WriteHeader(h); err != nil {
		return err
	}
	if hides {
		if len(down) > 0 {
			if err := m.tar.WriteHeader(opaqueMarkOf(h)); err != nil {
				return err
			}
		}
		down = nil
	}
	return m.entries(up, down, h.Name)
}

// find looks for a name in a directory's layers. found is the topmost file of that name, a deletion's mark included, and -1 for none; dirs are
// the directories of which it consists, if it is one; hides tells that nothing of what is below these belongs to it.
func (s stack) find(base, name string) (found int, dirs stack, hides bool, err error) {
	found = -1
	for _, parent := range s {
		fd, err := unix.Openat(parent, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return found, dirs, false, named("openat", name, err)
		}
		n, err := look(fd, name)
		if err != nil {
			unix.Close(fd)
			return found, dirs, false, err
		}
		if n.kind() != unix.S_IFDIR {
			if found < 0 {
				return fd, nil, true, nil
			}
			unix.Close(fd)
			return found, dirs, true, nil // a directory made anew over it
		}
		if found < 0 {
			if found, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
				unix.Close(fd)
				return -1, dirs, false, named("dup", name, err)
			}
		}
		dirs = append(dirs, fd)
		opaque, err := isOpaque(fd)
		if err != nil || opaque {
			return found, dirs, opaque, err
		}
	}
	return found, dirs, false, nil
}

// visible tells whether anything is seen under a name, and if that is a directory, of which it consists.
func (s stack) visible(base, name string) (bool, stack, error) {
	found, dirs, _, err := s.find(base, name)
	if err != nil || found < 0 {
		return false, dirs, err
	}
	defer unix.Close(found)
	n, err := look(found, name)
	return err == nil && !n.isWhiteout(), dirs, err
}

func (n *node) isWhiteout() bool {
	return n.kind() == unix.S_IFCHR && n.Rdev_major == 0 && n.Rdev_minor == 0
}
