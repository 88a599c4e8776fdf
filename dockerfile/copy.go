package dockerfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"glassbox/image"
	"glassbox/namespaces"
	"glassbox/rootfs"
	"glassbox/source"
	"glassbox/store"
)

// copy writes a COPY's or ADD's files over an image, and returns the directory of what that changed, an overlay's upper.
func (b *build) copy(ctx context.Context, base *image.Image, p *source.Parcel) (upper string, err error) {
	if p.Link() {
		return b.copyApart(ctx, base, p)
	}
	return b.over(base, func(root *os.File) error { return p.Write(ctx, root) })
}

// copyApart is --link: the files go into a directory of their own, as if there were no image below. Directories join with the
// image's when it is stacked on it, all else hides what the image has.
func (b *build) copyApart(ctx context.Context, base *image.Image, p *source.Parcel) (upper string, err error) {
	users, done, err := b.tree(ctx, base)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, done()) }()
	if upper, err = b.newUpper(); err != nil {
		return "", err
	}
	root, err := os.Open(upper)
	if err != nil {
		return "", err
	}
	defer root.Close()
	p.Users = users.Root
	return upper, p.Write(ctx, root)
}

// makeDir makes the directory of a WORKDIR, if the image has none there. upper is empty when it has.
func (b *build) makeDir(ctx context.Context, base *image.Image, dir, user string) (upper string, err error) {
	made := false
	upper, err = b.over(base, func(root *os.File) error {
		uid, gid := 0, 0
		if user != "" {
			if uid, gid, err = source.Owner(root, user); err != nil {
				return err
			}
		}
		made, err = source.MakeDir(root, dir, uid, gid)
		return err
	})
	if err != nil || made {
		return upper, err
	}
	return "", os.RemoveAll(upper)
}

// tree opens an image's files, for COPY --from.
func (b *build) tree(_ context.Context, img *image.Image) (t *source.Tree, done func() error, err error) {
	lower, err := b.lower(img)
	if err != nil {
		return nil, nil, err
	}
	var root *os.File
	if len(lower) == 1 { // overlay wants two
		root, err = os.Open(lower[0])
	} else {
		l := rootfs.Layers{Lower: lower, UserXattr: namespaces.Nested()}
		root, err = l.Open(b.work.Dir)
	}
	if err != nil {
		return nil, nil, err
	}
	return &source.Tree{Root: root, Owners: true}, root.Close, nil
}

// lower are the directories of an image's layers, topmost first; of an image that has none, or is nil, an empty one.
func (b *build) lower(img *image.Image) ([]string, error) {
	var l rootfs.Layers
	var err error
	if img != nil {
		l, err = b.engine.Images.Layers(img)
	}
	if err != nil || len(l.Lower) > 0 {
		return l.Lower, err
	}
	empty := filepath.Join(b.work.Dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return []string{empty}, nil
}

// newUpper makes a directory that is to become a layer.
func (b *build) newUpper() (string, error) {
	dir := filepath.Join(b.work.Dir, store.NewID()[:16])
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755) // whatever the umask is
}

// over mounts an image's layers where nobody else sees them, with a directory to write to, does something there, and returns that
// directory.
func (b *build) over(base *image.Image, do func(root *os.File) error) (upper string, err error) {
	lower, err := b.lower(base)
	if err != nil {
		return "", err
	}
	if upper, err = b.newUpper(); err != nil {
		return "", err
	}
	work := upper + "-work"
	if err := os.Mkdir(work, 0o700); err != nil {
		return "", err
	}
	l := rootfs.Layers{Lower: lower, Upper: upper, Work: work, UserXattr: namespaces.Nested()}
	root, err := l.OpenForWriting(b.work.Dir)
	if err != nil {
		return "", err
	}
	err = errors.Join(do(root), root.Close(), os.RemoveAll(work))
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(upper))
	}
	return upper, nil
}
