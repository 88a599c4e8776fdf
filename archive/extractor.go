package archive

import (
	"archive/tar"
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

// extractor makes files of an archive's entries. Which names, kinds and owners are accepted is for those to say who use it.
type extractor struct {
	tree *tree
	tar  *tar.Reader
	buf  []byte
	dirs []dirTime // set last: making entries in a directory changes its time
}

type dirTime struct {
	name  string
	times []unix.Timespec
}

func newExtractor(r io.Reader, t *tree) *extractor {
	return &extractor{tree: t, tar: tar.NewReader(r), buf: make([]byte, 256<<10)}
}

// each reads the archive up to its end, not further.
func (e *extractor) each(ctx context.Context, entry func(*tar.Header) error) error {
	defer e.tree.forget()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := e.tar.Next()
		if err == io.EOF {
			return e.finish()
		}
		if err != nil {
			return &Unreadable{err}
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // such as git archive's comment
		}
		if err := entry(h); err != nil {
			return err
		}
	}
}

// make makes an entry where nothing stands but perhaps a directory that may stay, and gives it what the header says.
func (e *extractor) make(ctx context.Context, p place, name string, h *tar.Header, who owner) error {
	fd, err := e.file(ctx, p, h)
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	if err := dress(fd, p.shown, h, who); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		e.dirs = append(e.dirs, dirTime{name, timestamps(h)})
		return nil
	}
	return named("utimensat", p.shown, unix.UtimesNanoAt(fd, "", timestamps(h), unix.AT_EMPTY_PATH))
}

// file makes the entry itself and opens it. Of a hard link, whose target has all attributes, there is no descriptor.
func (e *extractor) file(ctx context.Context, p place, h *tar.Header) (int, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse, tar.TypeCont: //nolint:staticcheck // old archives have TypeRegA
		return e.regular(ctx, p, h)
	case tar.TypeLink:
		return -1, e.link(p, h)
	case tar.TypeDir:
		if p.kind == 0 {
			if err := unix.Mkdirat(p.parent, p.base, 0o700); err != nil {
				return -1, named("mkdir", p.shown, err)
			}
		}
		return p.open(unix.O_RDONLY | unix.O_DIRECTORY)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, p.parent, p.base); err != nil {
			return -1, &os.LinkError{Op: "symlink", Old: h.Linkname, New: p.shown, Err: err}
		}
		return p.open(unix.O_PATH)
	case tar.TypeChar:
		return p.device(unix.S_IFCHR, h)
	case tar.TypeBlock:
		return p.device(unix.S_IFBLK, h)
	case tar.TypeFifo:
		return p.device(unix.S_IFIFO, h)
	}
	return -1, fmt.Errorf("unhandled tar header type %d", h.Typeflag)
}

// open opens what was made just now, and not what a link leads to that somebody has put there instead.
func (p place) open(flags int) (int, error) {
	fd, err := unix.Openat(p.parent, p.base, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	return fd, named("open", p.shown, err)
}

func (p place) device(kind uint32, h *tar.Header) (int, error) {
	number := 0
	if kind != unix.S_IFIFO {
		number = int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor)))
	}
	if err := unix.Mknodat(p.parent, p.base, kind|0o600, number); err != nil {
		return -1, named("mknod", p.shown, err)
	}
	fd, err := p.open(unix.O_PATH)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != kind || st.Rdev != uint64(number) {
		unix.Close(fd)
		return -1, named("open", p.shown, errors.Join(err, errors.New("somebody has put another file there")))
	}
	return fd, nil
}

// link makes a hard link. Its target is a name in the tree, and linkat(2) without AT_SYMLINK_FOLLOW never leaves it.
func (e *extractor) link(p place, h *tar.Header) error {
	dir, base := path.Split(h.Linkname)
	// Opened apart from the tree's own, since that might drop p.parent for it.
	from, err := e.tree.open(dir)
	if err == nil {
		defer unix.Close(from)
		err = unix.Linkat(from, base, p.parent, p.base, 0)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: path.Join(e.tree.shown, h.Linkname), New: p.shown, Err: err}
	}
	return nil
}

func (e *extractor) regular(ctx context.Context, p place, h *tar.Header) (int, error) {
	fd, err := p.open(unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY)
	if err != nil {
		return -1, err
	}
	if err := e.content(ctx, fd, p.shown, h.Size); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// content copies the entry's bytes. Blocks of zeros become holes, so that a sparse file stays one.
func (e *extractor) content(ctx context.Context, fd int, name string, size int64) error {
	var at int64
	for at < size {
		n, err := io.ReadFull(e.tar, e.buf[:min(int64(len(e.buf)), size-at)])
		if err != nil {
			return &Unreadable{noEOF(err)}
		}
		b := e.buf[:n]
		if !IsHole(b) {
			if err := WriteAt(fd, b, at); err != nil {
				return named("write", name, err)
			}
		} else if at+int64(n) == size {
			if err := unix.Ftruncate(fd, size); err != nil {
				return named("ftruncate", name, err)
			}
		}
		at += int64(n)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// owner is whom a file is given to on the disk.
type owner struct {
	keep     bool // nobody: it stays with whom makes it
	uid, gid int
}

// dress sets owner, extended attributes and mode, in this order: a change of owner clears set-user-ID bits and capabilities
// (chown(2), capabilities(7)).
func dress(fd int, name string, h *tar.Header, who owner) error {
	if !who.keep {
		if err := unix.Fchownat(fd, "", who.uid, who.gid, unix.AT_EMPTY_PATH); err != nil {
			return named("lchown", name, err)
		}
	}
	if err := setAttributes(fd, name, h); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	// A descriptor of O_PATH can be changed by its name only.
	return named("chmod", name, unix.Chmod(descriptor(fd), uint32(h.Mode)&0o7777))
}

// setAttributes sets extended attributes. overlayfs's own are left out: they would be orders to the kernel (redirect, metacopy), and
// only deletions, which have a form of their own, may give such.
func setAttributes(fd int, file string, h *tar.Header) error {
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, attributeRecord)
		if !ok || overlayOwn(name) {
			continue
		}
		err := unix.Setxattr(descriptor(fd), name, []byte(value), 0)
		// As in Docker: a file system without them (ENOTSUP) or a kind of file that cannot have them (EPERM, xattr(7)).
		if err != nil && err != unix.ENOTSUP && err != unix.EPERM {
			return named("setxattr "+name, file, err)
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
func (e *extractor) finish() error {
	for _, d := range e.dirs {
		parent, base, err := e.tree.find(d.name)
		if err == nil {
			err = unix.UtimesNanoAt(parent, base, d.times, unix.AT_SYMLINK_NOFOLLOW)
		}
		// A later entry may have put something else in its way.
		if err != nil && !gone(err) {
			return named("utimensat", d.name, err)
		}
	}
	return nil
}

// Unreadable is the error for what is no archive or is damaged. Where a layer's blob is still being fetched, the digest will tell which.
type Unreadable struct{ Cause error }

func (e *Unreadable) Error() string { return "reading the archive: " + e.Cause.Error() }
func (e *Unreadable) Unwrap() error { return e.Cause }

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
