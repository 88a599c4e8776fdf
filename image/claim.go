package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// claim is a temporary file or directory that this process alone works on. The flock(2) on it ends with the
// process, so an entry that can be locked has lost its maker.
type claim struct {
	path string
	file *os.File
}

// claimDir makes and locks the directory, waiting while another process (or another layer of this pull) works on it.
// It may hold what a killed process left; waited tells that somebody else was at work.
func claimDir(ctx context.Context, path string) (c *claim, waited bool, err error) {
	return claimPath(ctx, path, func() (*os.File, error) {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		return os.OpenFile(path, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	})
}

// claimFile is claimDir for a file, opened for reading and writing.
func claimFile(ctx context.Context, path string) (c *claim, waited bool, err error) {
	return claimPath(ctx, path, func() (*os.File, error) {
		return os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	})
}

// takeDir claims a directory of the caller's, under another name and on the same file system.
func takeDir(dir, path string) (*claim, error) {
	f, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	// Locked before it comes where whatever nobody has locked is removed.
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = os.Rename(dir, path)
	}
	if err == nil {
		return &claim{path, f}, nil
	}
	return nil, errors.Join(&fs.PathError{Op: "claim", Path: dir, Err: err}, f.Close())
}

func claimPath(ctx context.Context, path string, open func() (*os.File, error)) (*claim, bool, error) {
	waited := false
	for {
		f, err := open()
		if err == nil {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
			// The lock may be on what was renamed or removed between open and flock: then somebody finished, look again.
			if err == nil && samePlace(f, path) {
				return &claim{path, f}, waited, nil
			}
			f.Close()
		}
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, waited, &fs.PathError{Op: "claim", Path: path, Err: err}
		}
		waited = true
		select {
		case <-ctx.Done():
			return nil, waited, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func samePlace(f *os.File, path string) bool {
	var a, b unix.Stat_t
	return unix.Fstat(int(f.Fd()), &a) == nil && unix.Lstat(path, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

// moved gives up the claim after its path was renamed to its final place.
func (c *claim) moved() error { return c.file.Close() }

// discard removes what was claimed. The removal comes before the unlock, so nobody can claim the remains.
func (c *claim) discard() error { return errors.Join(os.RemoveAll(c.path), c.file.Close()) }

// removeOrphan removes path unless a living process holds it.
func removeOrphan(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !samePlace(f, path) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}
