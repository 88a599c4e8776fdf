package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options say how a tree is written.
type Options struct {
	Root   string                 // the name of the tree's own entry, before which all others stand; empty: it has none
	Owners Owners                 // the user namespace whose numbers are written
	Enter  func(name string) bool // whether to go into what is mounted there; nil: a mount is shown as an empty directory
}

// Write writes a file or a directory with all below it, by name. It may be opened with O_PATH. What vanishes meanwhile is left
// out; a file that becomes shorter is filled up with zeros.
func Write(w io.Writer, tree *os.File, o Options) error {
	p := newWriter(w, o)
	if err := p.root(int(tree.Fd())); err != nil {
		return err
	}
	return p.tar.Close()
}

// Layer writes the upper directory of an overlay as the layer that it is, with the marks of deletions that the OCI image spec
// (layer.md) knows in place of overlayfs's own.
func Layer(w io.Writer, upper string, o Options) error {
	dir, err := os.Open(upper)
	if err != nil {
		return err
	}
	defer dir.Close()
	p := newWriter(w, o)
	p.layer = true
	if err := p.root(int(dir.Fd())); err != nil {
		return err
	}
	return p.tar.Close()
}

type writer struct {
	Options
	tar   *tar.Writer
	layer bool
	links map[inode]string // files of several names, by their first one
	buf   []byte

	settled *settled // the directory becomes the layer; nil: it stays as it is
}

func newWriter(w io.Writer, o Options) *writer {
	return &writer{Options: o, tar: tar.NewWriter(w), links: map[inode]string{}, buf: make([]byte, 256<<10)}
}

type inode struct {
	major, minor uint32
	number       uint64
}

// node is a file that is being written, held by a descriptor of O_PATH: nothing happens to what it stands for by opening it so,
// not even if somebody has put a device there.
type node struct {
	fd   int
	name string
	unix.Statx_t
}

func (n *node) kind() uint16 { return n.Mode & unix.S_IFMT }

func look(fd int, name string) (*node, error) {
	n := &node{fd: fd, name: name}
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &n.Statx_t)
	return n, named("statx", name, err)
}

func (p *writer) root(fd int) error {
	n, err := look(fd, p.Root)
	if err != nil {
		return err
	}
	if p.Root != "" || n.kind() != unix.S_IFDIR {
		return p.node(n)
	}
	return p.below(n, "")
}

// below writes the entries of a directory, whose names stand behind prefix.
func (p *writer) below(n *node, prefix string) error {
	names, err := List(n.fd)
	if gone(err) {
		return nil
	}
	if err != nil {
		return named("reading the directory", n.name, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := p.entry(n, name, prefix+name); err != nil {
			return err
		}
	}
	return nil
}

// entry writes what lies in a directory, and what is mounted there only if that is wanted.
func (p *writer) entry(dir *node, base, name string) error {
	fd, err := unix.Openat(dir.fd, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if gone(err) {
		return nil
	}
	if err != nil {
		return named("openat", name, err)
	}
	defer unix.Close(fd)
	n, err := look(fd, name)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if n.Mnt_id != dir.Mnt_id && (p.Enter == nil || !p.Enter(name)) {
		return p.mountPoint(n)
	}
	if p.settled != nil && n.kind() == unix.S_IFSOCK {
		return p.settled.socket(dir, base, name)
	}
	return p.node(n)
}

func (p *writer) mountPoint(n *node) error {
	if n.kind() != unix.S_IFDIR {
		return nil
	}
	return p.tar.WriteHeader(p.header(n))
}

// gone: a directory went away, or something else came in its place, while it was looked at.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ESTALE)
}

// node writes one file of whatever kind. Sockets have no form in an archive: they are left out.
func (p *writer) node(n *node) error {
	h := p.header(n)
	if p.layer && h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0 {
		return p.tar.WriteHeader(deletion(h))
	}
	if first, ok := p.linked(n); ok {
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
		return p.tar.WriteHeader(h)
	}
	switch n.kind() {
	case unix.S_IFSOCK:
		return nil
	case unix.S_IFREG:
		return p.regular(n, h)
	case unix.S_IFDIR:
		return p.directory(n, h)
	case unix.S_IFLNK:
		target, err := Readlink(n.fd, "")
		if err != nil {
			return named("readlinkat", n.name, err)
		}
		h.Linkname = target
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	return p.settled.written(n, h.Linkname)
}

// linked finds the name under which a file was written already.
func (p *writer) linked(n *node) (string, bool) {
	if n.Nlink < 2 || n.kind() == unix.S_IFDIR {
		return "", false
	}
	id := inode{n.Dev_major, n.Dev_minor, n.Ino}
	first, ok := p.links[id]
	if !ok {
		p.links[id] = n.name
	}
	return first, ok
}

var types = map[uint16]byte{
	unix.S_IFREG: tar.TypeReg, unix.S_IFDIR: tar.TypeDir, unix.S_IFLNK: tar.TypeSymlink,
	unix.S_IFCHR: tar.TypeChar, unix.S_IFBLK: tar.TypeBlock, unix.S_IFIFO: tar.TypeFifo,
}

func (p *writer) header(n *node) *tar.Header {
	h := &tar.Header{
		Format: tar.FormatPAX, Typeflag: types[n.kind()], Name: n.name, Mode: int64(n.Mode & 0o7777),
		Uid: int(p.Owners.Inside(n.Uid)), Gid: int(p.Owners.Inside(n.Gid)),
		ModTime: p.settled.time(time.Unix(n.Mtime.Sec, 0)), // as Docker: whole seconds
	}
	switch n.kind() {
	case unix.S_IFDIR:
		h.Name = slashed(n.name)
	case unix.S_IFREG:
		h.Size = int64(n.Size)
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Devmajor, h.Devminor = int64(n.Rdev_major), int64(n.Rdev_minor)
	}
	return h
}

func slashed(name string) string { return strings.TrimSuffix(name, "/") + "/" }

// directory writes a directory and all below it.
func (p *writer) directory(n *node, h *tar.Header) error {
	if err := p.attributes(n.fd, h); err != nil {
		return named("reading the extended attributes of", n.name, err)
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	if p.layer {
		opaque, err := isOpaque(n.fd)
		if err == nil && opaque {
			err = p.tar.WriteHeader(opaqueMarkOf(h))
		}
		if err != nil {
			return named("reading the extended attributes of", n.name, err)
		}
	}
	if err := p.below(n, h.Name); err != nil {
		return err
	}
	return p.settled.written(n, "")
}

func (p *writer) regular(n *node, h *tar.Header) error {
	if isMadeUp(n) {
		return p.madeUp(n, h)
	}
	fd, err := unix.Open(descriptor(n.fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return named("open", n.name, err)
	}
	defer unix.Close(fd)
	if err := p.attributes(fd, h); err != nil {
		return named("reading the extended attributes of", n.name, err)
	}
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	if err := p.content(fd, n.name, h.Size); err != nil {
		return err
	}
	return p.settled.written(n, "")
}

// content copies exactly as much as the header says, whatever becomes of the file meanwhile.
func (p *writer) content(fd int, name string, size int64) error {
	for size > 0 {
		b := p.buf[:min(int64(len(p.buf)), size)]
		n, err := unix.Read(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return named("read", name, err)
		}
		if n == 0 {
			clear(b)
			n = len(b)
		}
		if _, err := p.tar.Write(b[:n]); err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// roomForAttributes is what all extended attributes of a file may take: archive/tar reads no more than a megabyte of them.
const roomForAttributes = 512 << 10

// attributes adds extended attributes: capabilities, and those of users as far as there is room and a form for them. Capabilities
// lose the user namespace that they are bound to, capabilities(7) "File capability extended attribute versioning": elsewhere
// it is another one's.
func (p *writer) attributes(fd int, h *tar.Header) error {
	all, err := attributeNames(fd)
	if err != nil {
		return err
	}
	room := roomForAttributes
	for _, name := range all {
		if p.layer && strings.HasSuffix(name, ".overlay.redirect") {
			return fmt.Errorf("the kernel kept a renamed directory as %s, which has no form in a layer: mount overlays with redirect_dir=off", name)
		}
		if !portable(name) {
			if p.settled != nil {
				err = p.settled.attribute(fd, name)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		value, ok, err := attribute(fd, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if room -= len(name) + len(value); !ok || room < 0 {
			continue
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[attributeRecord+name] = string(unbound(name, value))
	}
	return nil
}
