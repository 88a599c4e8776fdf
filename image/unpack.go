package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Marks of deletions in a layer's archive (OCI image spec, layer.md).
const (
	whiteoutPrefix = ".wh."
	opaqueMark     = ".wh..wh..opq"
	aufsPrefix     = ".wh..wh." // AUFS's own files, of no meaning to others
)

// unpacker turns a layer's archive into a directory in overlayfs's on-disk form: deletions become character devices
// 0:0, opaque directories carry trusted.overlay.opaque.
type unpacker struct {
	tree  *tree
	tar   *tar.Reader
	buf   []byte
	dirs  []dirTime // set last: making entries in a directory changes its time
	size  int64     // of all regular files
	room  int64     // free space when the layer began
	files int64
}

type dirTime struct {
	name  string
	times []unix.Timespec
}

// unpack writes the archive r below root and returns the size of its files. It reads r up to the archive's end, not further.
func unpack(ctx context.Context, r io.Reader, root *os.File) (int64, error) {
	u := &unpacker{tree: newTree(root), tar: tar.NewReader(r), buf: make([]byte, ringSize)}
	defer u.tree.forget()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(root.Fd()), &st); err != nil {
		return 0, err
	}
	u.room = int64(st.Bavail) * st.Bsize
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		h, err := u.tar.Next()
		if err == io.EOF {
			return u.size, u.finish()
		}
		if err != nil {
			return 0, &unreadable{err}
		}
		if err := u.entry(ctx, h); err != nil {
			return 0, fmt.Errorf("unpacking %q: %w", h.Name, err)
		}
	}
}

func (u *unpacker) entry(ctx context.Context, h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil // such as git archive's comment
	}
	name, err := inside(h.Name)
	if err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag == tar.TypeDir {
			return nil // as Docker: the root's mode is the runtime's
		}
		return errors.New("the layer's root is not a directory")
	}
	base := path.Base(name)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return u.deletion(name, base)
	}
	p, err := u.tree.place(name, h.Typeflag == tar.TypeDir)
	if err != nil {
		return err
	}
	if err := u.make(ctx, p, h); err != nil {
		return err
	}
	return u.attributes(p, name, h)
}

func (u *unpacker) deletion(name, base string) error {
	dir, _ := path.Split(name)
	switch {
	case base == opaqueMark:
		fd, err := u.tree.dir(strings.TrimSuffix(dir, "/"))
		if err != nil {
			return err
		}
		return setOpaque(fd)
	case strings.HasPrefix(base, aufsPrefix):
		return nil
	}
	target := base[len(whiteoutPrefix):]
	if target == "" || target == "." || target == ".." {
		return fmt.Errorf("%q names nothing to delete", base)
	}
	parent, _, err := u.tree.parent(name)
	if err != nil {
		return err
	}
	return u.whiteout(parent, target)
}

// whiteout marks target as deleted below. What this same layer has put there stays: marks speak of lower layers only.
func (u *unpacker) whiteout(parent int, target string) error {
	err := unix.Mknodat(parent, target, unix.S_IFCHR, 0)
	if err != unix.EEXIST {
		return named("mknodat", target, err)
	}
	fd, err := unix.Openat(parent, target, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return nil // it hides the lower one already
	}
	if err != nil {
		return named("openat", target, err)
	}
	defer unix.Close(fd)
	return setOpaque(fd)
}

func setOpaque(fd int) error {
	return named("fsetxattr trusted.overlay.opaque", "", unix.Fsetxattr(fd, "trusted.overlay.opaque", []byte("y"), 0))
}

// make creates the entry itself.
func (u *unpacker) make(ctx context.Context, p place, h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(p)
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse, tar.TypeCont:
		return u.regular(ctx, p, h)
	case tar.TypeSymlink:
		u.size += int64(len(h.Linkname)) // Docker counts what a link says as its content
		return named("symlinkat", h.Linkname, unix.Symlinkat(h.Linkname, p.parent, p.base))
	case tar.TypeLink:
		return u.link(p, h)
	case tar.TypeChar:
		return device(p, unix.S_IFCHR, h)
	case tar.TypeBlock:
		return device(p, unix.S_IFBLK, h)
	case tar.TypeFifo:
		return named("mknodat", p.base, unix.Mknodat(p.parent, p.base, unix.S_IFIFO, 0))
	}
	return fmt.Errorf("unknown type %q of entry", h.Typeflag)
}

func (u *unpacker) directory(p place) error {
	if p.exists {
		return nil
	}
	if err := unix.Mkdirat(p.parent, p.base, 0o700); err != nil {
		return named("mkdirat", p.base, err)
	}
	if !p.whiteout {
		return nil
	}
	return u.whiteout(p.parent, p.base) // deleted and made anew: the lower directory's entries must not show
}

func device(p place, kind uint32, h *tar.Header) error {
	return named("mknodat", p.base, unix.Mknodat(p.parent, p.base, kind, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor)))))
}

// link makes a hard link. Its target is a name in the layer, and linkat(2) without AT_SYMLINK_FOLLOW never leaves it.
func (u *unpacker) link(p place, h *tar.Header) error {
	target, err := inside(h.Linkname)
	if err != nil {
		return fmt.Errorf("hard link: %w", err)
	}
	dir, base := path.Split(target)
	from := int(u.tree.root.Fd())
	if dir != "" {
		// Opened apart from the tree's own, since that might drop p.parent for it.
		if from, err = u.tree.open(dir); err != nil {
			return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
		}
		defer unix.Close(from)
	}
	if err := unix.Linkat(from, base, p.parent, p.base, 0); err != nil {
		return fmt.Errorf("hard link to %q: %w", h.Linkname, err)
	}
	return nil
}

// regular writes a file. A claimed size beyond the free space is refused at once, before a disk is filled for nothing.
func (u *unpacker) regular(ctx context.Context, p place, h *tar.Header) error {
	u.size += h.Size
	if h.Size < 0 || u.size > u.room {
		return fmt.Errorf("the layer claims at least %d bytes and %d are free: %w", u.size, u.room, unix.ENOSPC)
	}
	fd, err := unix.Openat(p.parent, p.base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return named("openat", p.base, err)
	}
	defer unix.Close(fd)
	return u.content(ctx, fd, h.Size)
}

var zeros [64 << 10]byte

// content copies the entry's bytes. Blocks of zeros become holes, so that a sparse file stays one.
func (u *unpacker) content(ctx context.Context, fd int, size int64) error {
	var at int64
	for at < size {
		n, err := io.ReadFull(u.tar, u.buf[:min(int64(len(u.buf)), size-at)])
		if err != nil {
			return &unreadable{noEOF(err)}
		}
		b := u.buf[:n]
		if n >= len(zeros) && isZero(b) {
			at += int64(n)
			if err := ctx.Err(); err != nil {
				return err
			}
			if at == size {
				return named("ftruncate", "", unix.Ftruncate(fd, size))
			}
			continue
		}
		if err := writeAt(fd, b, at); err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}

func isZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if !bytes.Equal(b[:n], zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

func writeAt(fd int, b []byte, at int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, at)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return named("pwrite", "", err)
		}
		b, at = b[n:], at+int64(n)
	}
	return nil
}

// attributes sets owner, extended attributes, mode and times, in this order: a change of owner clears set-user-ID bits and
// capabilities (chown(2), capabilities(7)).
func (u *unpacker) attributes(p place, name string, h *tar.Header) error {
	if h.Typeflag == tar.TypeLink {
		return nil // its target has them
	}
	if err := unix.Fchownat(p.parent, p.base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return named("fchownat", p.base, err)
	}
	if err := setXattrs(p, h); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(p.parent, p.base, uint32(h.Mode)&0o7777, 0); err != nil {
			return named("fchmodat", p.base, err)
		}
	}
	times := timestamps(h)
	if h.Typeflag == tar.TypeDir {
		u.dirs = append(u.dirs, dirTime{name, times})
		return nil
	}
	return named("utimensat", p.base, unix.UtimesNanoAt(p.parent, p.base, times, unix.AT_SYMLINK_NOFOLLOW))
}

const xattrRecord = "SCHILY.xattr."

// setXattrs sets extended attributes. overlayfs's own are left out: in a layer they would be orders to the kernel
// (redirect, metacopy), and only deletions, which have a form of their own, may give such.
func setXattrs(p place, h *tar.Header) error {
	for key, value := range h.PAXRecords {
		attr, ok := strings.CutPrefix(key, xattrRecord)
		if !ok || strings.HasPrefix(attr, "trusted.overlay.") || strings.HasPrefix(attr, "user.overlay.") {
			continue
		}
		// There is no *at call for extended attributes before Linux 6.13, and an open would block on a fifo.
		file := fmt.Sprintf("/proc/self/fd/%d/%s", p.parent, p.base)
		err := unix.Lsetxattr(file, attr, []byte(value), 0)
		// As in Docker: a file system without them (ENOTSUP) or a kind of file that cannot have them (EPERM, xattr(7)).
		if err != nil && err != unix.ENOTSUP && err != unix.EPERM {
			return named("lsetxattr "+attr, p.base, err)
		}
	}
	return nil
}

func timestamps(h *tar.Header) []unix.Timespec {
	access := h.AccessTime
	if access.Before(h.ModTime) {
		access = h.ModTime
	}
	return []unix.Timespec{timespec(access), timespec(h.ModTime)}
}

// timespec clips what a file system cannot keep, as Docker does.
func timespec(t time.Time) unix.Timespec {
	if t.Before(time.Unix(0, 0)) || t.Year() > 9999 {
		t = time.Unix(0, 0)
	}
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// finish sets the times of directories; where an entry came twice the later one holds.
func (u *unpacker) finish() error {
	for _, d := range u.dirs {
		parent, base, err := u.tree.find(d.name)
		if err == nil {
			err = unix.UtimesNanoAt(parent, base, d.times, unix.AT_SYMLINK_NOFOLLOW)
		}
		// A later entry may have put something else in its way.
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return named("utimensat", d.name, err)
		}
	}
	return nil
}

// unreadable is the error for a layer that is no archive or is damaged. Where its blob is still being fetched, the digest
// will tell which.
type unreadable struct{ cause error }

func (e *unreadable) Error() string { return "reading the layer's archive: " + e.cause.Error() }
func (e *unreadable) Unwrap() error { return e.cause }

func named(op, file string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: file, Err: err}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
