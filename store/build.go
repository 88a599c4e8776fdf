package store

import (
	"errors"
	"path/filepath"
)

// Build is what builds keep:
//
//	DATA/build/steps/<key>    the image that a step gave, by what went into it
//	DATA/build/last/<hash>    what the last build of a context and a Dockerfile consisted of
//	DATA/build/mounts/<hash>/ a cache mount: cache.json and its files, data/
//	DATA/build/work/<random>/ what a build going on needs; flock held by who builds
type Build struct{ dir string }

// Build names the places of builds.
func (r Root) Build() Build { return Build{filepath.Join(r.Data, "build")} }

func (b Build) Steps() string             { return b.dir + "/steps" }
func (b Build) Step(key string) string    { return b.dir + "/steps/" + key }
func (b Build) LastBuilds() string        { return b.dir + "/last" }
func (b Build) LastBuild(h string) string { return b.dir + "/last/" + h }
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

// Sweep deletes the directories of builds whose processes have died.
func (b Build) Sweep() error {
	all, err := names(b.Work(""))
	for _, name := range all {
		lock, e := attempt(b.Work(name))
		if lock != nil {
			e = b.End(name, lock)
		}
		err = errors.Join(err, e)
	}
	return err
}
