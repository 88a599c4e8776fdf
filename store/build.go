package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Build is what builds keep:
//
//	DATA/build/steps/<key>    the image that a step gave, by what went into it
//	DATA/build/last/<hash>    what the last build of a context and a Dockerfile consisted of
//	DATA/build/mounts/<hash>/ a cache mount: cache.json and its files; flock held by whose RUN has it
//	DATA/build/work/<random>/ what a build going on needs, and links to its containers; flock held by who builds
type Build struct{ dir string }

// Build names the places of builds.
func (r Root) Build() Build { return Build{filepath.Join(r.Data, "build")} }

func (b Build) Steps() string             { return b.dir + "/steps" }
func (b Build) Step(key string) string    { return b.dir + "/steps/" + key }
func (b Build) LastBuilds() string        { return b.dir + "/last" }
func (b Build) LastBuild(h string) string { return b.dir + "/last/" + h }
func (b Build) Mount(key string) string   { return b.dir + "/mounts/" + key }
func (b Build) Work(name string) string   { return b.dir + "/work/" + name }

// Begin makes a directory for a build, and holds it until the lock is given back.
func (b Build) Begin() (name string, lock *Lock, err error) {
	name = NewID()[:16]
	lock, err = makeLocked(b.Work(name))
	return name, lock, err
}

// End deletes a build's directory, which its caller holds.
func (b Build) End(name string, lock *Lock) error {
	return errors.Join(removeTree(b.Work(name)), lock.Release())
}

// Lives reports whether somebody still does that build.
func (b Build) Lives(name string) (bool, error) { return Held(b.Work(name)) }

// Works are the builds going on, and those that were killed.
func (b Build) Works() ([]string, error) { return names(b.Work("")) }

// Dead takes the lock of a build whose process has died; nil: it lives.
func (b Build) Dead(name string) (*Lock, error) { return attempt(b.Work(name)) }

// Containers are those that a build going on has made or is about to make.
func (b Build) Containers(name string) Claims {
	return Claims{b.Work(name) + "/containers", "../../../../containers"}
}

// StepKeys are the keys of the steps that were noted.
func (b Build) StepKeys() ([]string, error) {
	all, err := names(b.Steps())
	var keys []string
	for _, name := range all {
		if len(name) == IDLength && hexadecimal(name) {
			keys = append(keys, name)
		}
	}
	return keys, err
}

// RemoveStep forgets what a step gave, and with it what it copied.
func (b Build) RemoveStep(key string) error {
	var errs []error
	for _, path := range []string{b.Step(key), b.Step(key) + ".files"} {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ForgetBuilds forgets what builds consisted of.
func (b Build) ForgetBuilds() error { return removeTree(b.LastBuilds()) }

// Mounts are the keys of the cache mounts that are there, half-made ones among them.
func (b Build) Mounts() ([]string, error) { return names(b.Mount("")) }

// MountDocument says what a cache mount is. It is the last thing made of it and the first that goes.
func (b Build) MountDocument(key string) string { return b.Mount(key) + "/cache.json" }

// Sharing is who may have a cache mount at the same time.
type Sharing int

const (
	Everybody Sharing = iota
	OneByOne          // who comes later waits
	Nobody            // who comes later gets nothing: the lock is nil
)

// OpenMount takes hold of a cache mount, and fills it if it is new.
func (b Build) OpenMount(ctx context.Context, key string, how Sharing, fill func(dir string) error) (*Lock, error) {
	dir := b.Mount(key)
	for {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
		lock, err := b.lockMount(ctx, dir, how)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was pruned just now
		}
		if lock == nil || err != nil {
			return nil, err
		}
		if _, err := os.Lstat(b.MountDocument(key)); err == nil {
			return lock, nil
		}
		if err := lock.Release(); err != nil {
			return nil, err
		}
		if err := b.fillMount(ctx, key, fill); err != nil {
			return nil, err
		}
	}
}

func (b Build) lockMount(ctx context.Context, dir string, how Sharing) (*Lock, error) {
	switch how {
	case Everybody:
		return Shared(ctx, dir)
	case OneByOne:
		return Exclusive(ctx, dir)
	}
	return attempt(dir)
}

// fillMount makes one from the start, after whatever a killed process has left of it.
func (b Build) fillMount(ctx context.Context, key string, fill func(dir string) error) error {
	dir := b.Mount(key)
	lock, err := Exclusive(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if _, err := os.Lstat(b.MountDocument(key)); err == nil || swept(dir) {
		return nil // somebody was quicker
	}
	left, err := names(dir)
	for _, name := range left {
		err = errors.Join(err, removeTree(filepath.Join(dir, name)))
	}
	if err != nil {
		return err
	}
	return fill(dir)
}

// MountInUse reports whether a RUN has the cache mount, be it together with others.
func (b Build) MountInUse(key string) (bool, error) {
	if _, err := os.Lstat(b.Mount(key)); err != nil {
		return false, err
	}
	lock, err := attempt(b.Mount(key))
	if lock == nil {
		return err == nil, err
	}
	return false, lock.Release()
}

// RemoveMount deletes a cache mount, unless somebody has it.
func (b Build) RemoveMount(key string) (removed bool, err error) {
	lock, err := attempt(b.Mount(key))
	if lock == nil {
		return false, err
	}
	defer lock.Release()
	err = os.Remove(b.MountDocument(key))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return true, errors.Join(err, removeTree(b.Mount(key)))
}
