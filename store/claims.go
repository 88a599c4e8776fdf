package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Claims is a directory whose entries are owned. An entry is a symbolic link to its owner's directory: symlink(2) is
// exclusive and complete in one call, so there is no moment in which a claim is there but empty, and a person who
// looks can follow it.
type Claims struct {
	dir    string
	owners string // the directory of the owners' directories, as seen from dir
}

// Taken is the error for a claim that somebody else holds.
type Taken struct{ Name, Owner string }

func (e *Taken) Error() string { return fmt.Sprintf("%q is taken by %s", e.Name, e.Owner) }

// Claim makes id the owner of name. A claim for which stale says that its owner has no right to it any longer
// (it was removed, or never finished, when a command was killed) is replaced.
func (c Claims) Claim(name, id string, stale func(owner string) bool) error {
	err := c.link(name, id)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(c.dir, 0o700); err == nil {
			err = c.link(name, id)
		}
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	return c.replace(name, id, stale)
}

func (c Claims) link(name, id string) error {
	return os.Symlink(c.owners+"/"+id, filepath.Join(c.dir, name))
}

// replace looks again under the directory's lock: of two that found the same stale claim only one may break it.
func (c Claims) replace(name, id string, stale func(string) bool) error {
	lock, err := Exclusive(context.Background(), c.dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	owner, err := c.Owner(name)
	if err == nil && owner != id {
		if owner != "" && !stale(owner) {
			return &Taken{Name: name, Owner: owner}
		}
		if err := c.Release(name); err != nil {
			return err
		}
	} else if err == nil {
		return nil
	}
	err = c.link(name, id)
	if errors.Is(err, fs.ErrExist) {
		owner, _ := c.Owner(name)
		return &Taken{Name: name, Owner: owner}
	}
	return err
}

// Owner is the id that has claimed name; the error is fs.ErrNotExist when nobody has.
func (c Claims) Owner(name string) (string, error) {
	if name == "" || name[0] == '.' || strings.Contains(name, "/") {
		return "", fs.ErrNotExist
	}
	target, err := os.Readlink(filepath.Join(c.dir, name))
	return filepath.Base(target), err
}

// Release gives name back; it is no error when nobody holds it.
func (c Claims) Release(name string) error {
	if err := os.Remove(filepath.Join(c.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sweep releases the claims that stale says nobody has a right to.
func (c Claims) Sweep(stale func(name, owner string) bool) error {
	lock, err := Exclusive(context.Background(), c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	all, err := c.All()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range all {
		if owner, err := c.Owner(name); err == nil && stale(name, owner) {
			errs = append(errs, c.Release(name))
		}
	}
	return errors.Join(errs...)
}

// All returns the claimed names.
func (c Claims) All() ([]string, error) {
	return names(c.dir)
}

// names lists a directory unsorted; one that does not exist is empty.
func names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}
