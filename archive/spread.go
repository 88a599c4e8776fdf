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

// Spread is where and how an archive is unpacked that is no layer: what ADD adds, or a build context. What stands in the way goes; marks of
// deletions are files like others; nothing leads out of the directory.
type Spread struct {
	Root   *os.File
	Owner  *Owner    // to whom everything is given; nil: to those whom the archive names
	Latest time.Time // no file gets a later time; zero: they have what the archive says
}

// Extract unpacks the archive.
func (s Spread) Extract(ctx context.Context, r io.Reader) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.Root.Fd()), &st); err != nil {
		return err
	}
	x := &spreading{
		extractor: newExtractor(r, &tree{root: s.Root, shown: s.Root.Name(), resolve: unix.RESOLVE_IN_ROOT}),
		Spread:    s, room: int64(st.Bavail) * st.Bsize,
	}
	err := x.each(ctx, func(h *tar.Header) error { return x.entry(ctx, h) })
	var damaged *Unreadable
	if errors.As(err, &damaged) {
		return damaged.Cause
	}
	return err
}

type spreading struct {
	*extractor
	Spread
	room int64
}

func (x *spreading) entry(ctx context.Context, h *tar.Header) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("the name %q holds a NUL byte", h.Name)
	}
	if name == "" {
		if h.Typeflag == tar.TypeDir {
			return nil // as Docker: the directory itself stays as it is
		}
		return fmt.Errorf("%q is no name for a file", h.Name)
	}
	if h.Typeflag == tar.TypeLink {
		h.Linkname = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
	}
	// A size that is a lie is refused before a disk is filled for nothing.
	if x.room -= max(h.Size, 0); x.room < 0 {
		return fmt.Errorf("the archive claims more bytes than there are free, at %q: %w", h.Name, unix.ENOSPC)
	}
	p, err := x.tree.place(name)
	if err == nil {
		p, err = x.tree.clear(p, name, h.Typeflag == tar.TypeDir)
	}
	if err != nil {
		return err
	}
	if latest := x.Latest; !latest.IsZero() && h.ModTime.After(latest) {
		h.ModTime = latest
	}
	if h.AccessTime.After(h.ModTime) {
		h.AccessTime = h.ModTime
	}
	who := owner{uid: h.Uid, gid: h.Gid}
	if x.Owner != nil {
		who = owner{uid: x.Owner.UID, gid: x.Owner.GID}
	}
	return x.make(ctx, p, name, h, who)
}
