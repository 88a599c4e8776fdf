package source

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"strconv"
	"strings"
	"sync"

	"glassbox/archive"

	"golang.org/x/sys/unix"
)

// label hashes what there is to say of a file but its content and its times: Docker's tarsum, version 1, of the header that an archive
// would have, so that an image's history shows the very number that Docker's would.
func (t *Tree) label(f *file, link string, attributes []attribute) hash.Hash {
	name, size, major, minor := f.name, f.st.Size, uint32(0), uint32(0)
	mode, uid, gid := f.st.Mode&0o7777, 0, 0
	if t.Owners {
		uid, gid = int(f.st.Uid), int(f.st.Gid)
	}
	switch f.kind() {
	case unix.S_IFDIR:
		name += "/"
	case unix.S_IFCHR, unix.S_IFBLK:
		major, minor = unix.Major(f.st.Rdev), unix.Minor(f.st.Rdev)
	}
	flag := typeflags[f.kind()]
	if f.kind() == unix.S_IFREG && link != "" {
		flag = tar.TypeLink
	}
	if flag != tar.TypeReg {
		size = 0
	}
	if f.bare {
		mode, uid, gid = 0o755, 0, 0
	}
	b := make([]byte, 0, 256)
	for _, word := range []string{
		"name", name, "mode", strconv.Itoa(int(mode)), "uid", strconv.Itoa(uid), "gid", strconv.Itoa(gid), "size", strconv.FormatInt(size, 10),
		"typeflag", string(flag), "linkname", link, "uname", "", "gname", "",
		"devmajor", strconv.Itoa(int(major)), "devminor", strconv.Itoa(int(minor)),
	} {
		b = append(b, word...)
	}
	for _, a := range attributes {
		b = append(append(b, a.name...), a.value...)
	}
	h := sha256.New()
	h.Write(b)
	return h
}

var typeflags = map[uint32]byte{
	unix.S_IFREG: tar.TypeReg, unix.S_IFDIR: tar.TypeDir, unix.S_IFLNK: tar.TypeSymlink,
	unix.S_IFCHR: tar.TypeChar, unix.S_IFBLK: tar.TypeBlock, unix.S_IFIFO: tar.TypeFifo,
}

func finished(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// read gives a file's content to somebody, piece by piece, and counts it. A file that was as long as is expected, and of which no more came when more
// would have fitted, is not asked once more.
func read(fd int, name string, expected int64, take func([]byte) error) (size int64, err error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for {
		n, err := unix.Read(fd, *buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return size, named("read", name, err)
		case n == 0:
			return size, nil
		}
		size += int64(n)
		if err := take((*buf)[:n]); err != nil || size == expected && n < len(*buf) {
			return size, err
		}
	}
}

// open opens a regular file or a directory that a walk or a path has led to, and says that it changed if something else is there now.
func (f *file) open() (int, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	var fd int
	var err error
	if f.base == "" {
		fd, err = unix.Open(descriptor(f.dir), flags, 0)
	} else {
		fd, err = unix.Openat(f.dir, f.base, flags|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return -1, named("open", f.name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != f.st.Ino || st.Dev != f.st.Dev || st.Mode != f.st.Mode {
		unix.Close(fd)
		return -1, ErrChanged
	}
	f.st = st
	return fd, nil
}

// hash finds out a file's sum. Of a regular file it reads all.
func (t *Tree) hash(f *file) error {
	switch {
	case f.kind() == unix.S_IFLNK:
		link, err := archive.Readlink(f.dir, f.base)
		if err != nil {
			return named("readlink", f.name, err)
		}
		f.sum = finished(t.label(f, link, nil))
		return nil
	case f.bare || f.kind() != unix.S_IFREG && !f.isDir():
		f.sum = finished(t.label(f, "", nil))
		return nil
	}
	fd, err := f.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return t.hashOpen(fd, f, func([]byte) error { return nil })
}

// hashOpen does so with a file or directory that is open, and gives the content to somebody else too.
func (t *Tree) hashOpen(fd int, f *file, take func([]byte) error) error {
	attributes, err := t.attributes(fd, f)
	if err != nil {
		return err
	}
	h := t.label(f, "", attributes)
	if f.kind() == unix.S_IFREG {
		size, err := read(fd, f.name, f.st.Size, func(b []byte) error { h.Write(b); return take(b) })
		if err != nil {
			return err
		}
		if size != f.st.Size {
			return ErrChanged
		}
	}
	f.sum = finished(h)
	return nil
}

// hashLink finds out the sum of another name of a file: what it is called, not once more what is in it.
func (t *Tree) hashLink(f *file, first string) error {
	if f.kind() != unix.S_IFREG {
		return t.hash(f)
	}
	fd, err := f.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	attributes, err := t.attributes(fd, f)
	if err == nil {
		f.sum = finished(t.label(f, first, attributes))
	}
	return err
}

// attribute is an extended attribute, xattr(7).
type attribute struct{ name, value string }

const capabilities = "security.capability"

// Offsets and versions of security.capability, linux/capability.h.
const (
	capabilityVersion = 3 // the byte that holds it
	boundCapability   = 3 // to a user namespace's root
	freeCapability    = 2
	freeLength        = 20
)

// carried: of images and stages capabilities and what users have put there come along. A context's capabilities do not, but are in Docker's sum.
func (t *Tree) carried(name string) bool {
	return name == capabilities || t.Owners && strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.") && !strings.Contains(name, "=")
}

// attributes are a file's, by name. Only what can be executed has capabilities that mean something. They lose the user namespace that they are bound to: elsewhere it is another one's.
func (t *Tree) attributes(fd int, f *file) (all []attribute, err error) {
	if !t.Owners && (f.isDir() || f.st.Mode&0o111 == 0) {
		return nil, nil
	}
	names, err := attributeNames(fd)
	if err != nil {
		return nil, named("listxattr", f.name, err)
	}
	for _, name := range names {
		if !t.carried(name) {
			continue
		}
		value := make([]byte, 64<<10) // no attribute is longer, xattr(7)
		n, err := unix.Fgetxattr(fd, name, value)
		if err == unix.ENODATA || err == unix.ENOTSUP {
			continue
		}
		if err != nil {
			return nil, named("getxattr "+name, f.name, err)
		}
		value = value[:n]
		if name == capabilities && n > freeLength && value[capabilityVersion] == boundCapability {
			value = value[:freeLength]
			value[capabilityVersion] = freeCapability
		}
		all = append(all, attribute{name, string(value)})
	}
	slices.SortFunc(all, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func attributeNames(fd int) ([]string, error) {
	for {
		n, err := unix.Flistxattr(fd, nil)
		if err == unix.ENOTSUP || err == nil && n == 0 {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		b := make([]byte, n)
		n, err = unix.Flistxattr(fd, b)
		if err == unix.ERANGE {
			continue // one more has come
		}
		return strings.FieldsFunc(string(b[:max(n, 0)]), func(r rune) bool { return r == 0 }), err
	}
}
