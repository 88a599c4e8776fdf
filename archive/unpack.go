package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Unpack writes the layer r below root, in overlayfs's on-disk form: deletions become character devices 0:0, opaque directories
// carry trusted.overlay.opaque. It reads r up to the archive's end, not further, and returns the size of the files.
func Unpack(ctx context.Context, r io.Reader, root *os.File) (int64, error) {
	u := &unpacker{extractor: newExtractor(r, &tree{root: root, resolve: unix.RESOLVE_IN_ROOT}), seen: newNames()}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(root.Fd()), &st); err != nil {
		return 0, err
	}
	u.room = int64(st.Bavail) * st.Bsize
	err := u.each(ctx, func(h *tar.Header) error {
		if u.seen.twice(path.Clean(h.Name)) {
			return ErrDuplicate
		}
		if err := u.entry(ctx, h); err != nil {
			return fmt.Errorf("unpacking %q: %w", h.Name, err)
		}
		return nil
	})
	return u.size, err
}

type unpacker struct {
	*extractor
	size int64 // of all regular files
	room int64 // free space when the layer began
	seen names
}

// ErrDuplicate is the error for a layer that has a name twice. Docker refuses it in these words: of what is unpacked from such an archive it
// could not make the archive again.
var ErrDuplicate = errors.New("duplicates of file paths not supported")

// names are those that were there, as two hashes of each: a layer may have millions.
type names struct {
	seeds [2]maphash.Seed
	seen  map[[2]uint64]struct{}
}

func newNames() names {
	return names{[2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, map[[2]uint64]struct{}{}}
}

// twice notes a name, and tells whether it was there.
func (n names) twice(name string) bool {
	key := [2]uint64{maphash.String(n.seeds[0], name), maphash.String(n.seeds[1], name)}
	_, ok := n.seen[key]
	n.seen[key] = struct{}{}
	return ok
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

func (u *unpacker) entry(ctx context.Context, h *tar.Header) error {
	name, err := inside(h.Name)
	if err == nil && h.Typeflag == tar.TypeLink {
		if h.Linkname, err = inside(h.Linkname); err != nil {
			err = fmt.Errorf("hard link: %w", err)
		}
	}
	if err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag == tar.TypeDir {
			return nil // as Docker: the root's mode is the runtime's
		}
		return errors.New("the layer's root is not a directory")
	}
	if base := path.Base(name); strings.HasPrefix(base, WhiteoutPrefix) {
		return u.deletion(name, base)
	}
	if err := u.count(h); err != nil {
		return err
	}
	p, err := u.tree.place(name)
	if err == nil {
		p, err = u.tree.clear(p, name, h.Typeflag == tar.TypeDir)
	}
	if err == nil {
		err = u.make(ctx, p, name, h, owner{uid: h.Uid, gid: h.Gid})
	}
	if err == nil && p.whiteout && h.Typeflag == tar.TypeDir {
		err = u.whiteout(p.parent, p.base) // deleted and made anew: the lower directory's entries must not show
	}
	return err
}

// count adds up sizes as Docker does: what a link says is its content. A claimed size beyond the free space is refused at once, before
// a disk is filled for nothing.
func (u *unpacker) count(h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeSymlink:
		u.size += int64(len(h.Linkname))
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse, tar.TypeCont: //nolint:staticcheck // old archives have TypeRegA
		u.size += h.Size
		if h.Size < 0 || u.size > u.room {
			return fmt.Errorf("the layer claims at least %d bytes and %d are free: %w", u.size, u.room, unix.ENOSPC)
		}
	}
	return nil
}

func (u *unpacker) deletion(name, base string) error {
	dir, _ := path.Split(name)
	switch {
	case base == OpaqueMark:
		fd, err := u.tree.dir(strings.TrimSuffix(dir, "/"))
		if err != nil {
			return err
		}
		return setOpaque(fd)
	case strings.HasPrefix(base, aufsPrefix):
		return nil
	}
	target := base[len(WhiteoutPrefix):]
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

// setOpaque marks a directory that hides the lower ones. In a user namespace trusted.* is not for its root: the mark is in user.* then, which
// the overlay is told by userxattr, Documentation/filesystems/overlayfs.rst.
func setOpaque(fd int) error {
	err := unix.Fsetxattr(fd, "trusted.overlay.opaque", []byte("y"), 0)
	if err == unix.EPERM {
		err = unix.Fsetxattr(fd, "user.overlay.opaque", []byte("y"), 0)
	}
	return named("fsetxattr trusted.overlay.opaque", "", err)
}
