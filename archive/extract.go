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

	"golang.org/x/sys/unix"
)

// Target is where and how an archive is extracted.
type Target struct {
	Root   *os.File // a file tree, out of which nothing leads
	Dir    string   // the directory in it
	Shown  string   // what errors call that directory
	Host   bool     // the tree is the user's own: a link that leads out of the directory is refused, and all belongs to the user
	Owners Owners   // the user namespace whose numbers stand in the archive
	Owner  *Owner   // to whom everything is given; nil: to those whom the archive names
	Rename Rename
}

// Rename calls what an archive has as From, and all below it, To. Nothing is renamed if both are the same.
type Rename struct{ From, To string }

func (r Rename) name(old string) string { return strings.Replace(old, r.From, r.To, 1) }

// Owner is a user and a group, as the container counts.
type Owner struct{ UID, GID int }

// Extract makes files of an archive. What stands in their way is replaced, but never a directory by something else nor something
// else by a directory. The errors are Docker's.
func Extract(ctx context.Context, r io.Reader, to Target) error {
	root, err := to.owner(&tar.Header{})
	if err != nil {
		return err
	}
	t := &tree{root: to.Root, at: to.Dir, shown: to.Shown, resolve: unix.RESOLVE_IN_ROOT, who: root}
	if to.Host {
		t.resolve = unix.RESOLVE_BENEATH
	}
	x := &extraction{extractor: newExtractor(r, t), to: to}
	err = x.each(ctx, func(h *tar.Header) error { return x.entry(ctx, h) })
	var damaged *Unreadable
	if errors.As(err, &damaged) {
		return damaged.Cause
	}
	return err
}

type extraction struct {
	*extractor
	to Target
}

func (x *extraction) entry(ctx context.Context, h *tar.Header) error {
	name, err := x.name(h)
	if err != nil {
		return err
	}
	p, err := x.tree.place(name)
	if err == nil {
		err = x.fits(p, h)
	}
	if err != nil || h.Name == "." && p.kind == unix.S_IFDIR {
		return err
	}
	who, err := x.to.owner(h)
	if err == nil {
		p, err = x.tree.clear(p, name, h.Typeflag == tar.TypeDir)
	}
	if err != nil {
		return err
	}
	return x.make(ctx, p, name, h, who)
}

// name cleans the names in a header and refuses those that lead out of the directory, as they are written: what links there are
// make of them is the tree's concern.
func (x *extraction) name(h *tar.Header) (string, error) {
	if r := x.to.Rename; r.From != r.To {
		h.Name = r.name(h.Name)
		if h.Typeflag == tar.TypeLink {
			h.Linkname = r.name(h.Linkname)
		}
	}
	h.Name = path.Clean(h.Name)
	name := strings.TrimPrefix(path.Clean("./"+h.Name), "/")
	if climbs(name) {
		return "", fmt.Errorf("%q is outside of %q", h.Name, x.to.Shown)
	}
	if strings.IndexByte(name, 0) >= 0 {
		return "", fmt.Errorf("the name %q holds a NUL byte", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeLink:
		target := path.Join(".", h.Linkname)
		if climbs(target) {
			return "", fmt.Errorf("invalid hardlink %q -> %q", path.Join(x.to.Shown, h.Linkname), h.Linkname)
		}
		h.Linkname = target
	case tar.TypeSymlink:
		if climbs(path.Join(".", path.Dir(name), h.Linkname)) {
			return "", fmt.Errorf("invalid symlink %q -> %q", path.Join(x.to.Shown, name), h.Linkname)
		}
	}
	return name, nil
}

func climbs(name string) bool { return name == ".." || strings.HasPrefix(name, "../") }

// fits refuses what Docker refuses to replace.
func (x *extraction) fits(p place, h *tar.Header) error {
	switch directory := h.Typeflag == tar.TypeDir; {
	case p.kind == 0:
		return nil
	case p.kind == unix.S_IFDIR && !directory:
		return fmt.Errorf("cannot overwrite directory %q with non-directory %q", p.shown, x.to.Shown)
	case p.kind != unix.S_IFDIR && directory:
		return fmt.Errorf("cannot overwrite non-directory %q with directory %q", p.shown, x.to.Shown)
	}
	return nil
}

// owner is whom an entry is given to, as the host counts.
func (to Target) owner(h *tar.Header) (owner, error) {
	if to.Host {
		return owner{keep: true}, nil
	}
	inside := Owner{h.Uid, h.Gid}
	if to.Owner != nil {
		inside = *to.Owner
	}
	uid, known := to.Owners.Outside(uint32(inside.UID))
	if !known {
		return owner{}, fmt.Errorf("Container ID %d cannot be mapped to a host ID", inside.UID) //nolint:staticcheck // Docker's words
	}
	gid, known := to.Owners.Outside(uint32(inside.GID))
	if !known {
		return owner{}, fmt.Errorf("Container ID %d cannot be mapped to a host ID", inside.GID) //nolint:staticcheck // Docker's words
	}
	return owner{uid: int(uid), gid: int(gid)}, nil
}
