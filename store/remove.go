package store

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Make creates a container's directory (searchable for all: a user namespace's root must get through to its files), and returns it
// locked: until the lock is given back the container is being made, and nobody takes it for the remains of a killed command.
func (p Place) Make() (*Lock, error) { return makeLocked(p.Dir) }

func makeLocked(dir string) (*Lock, error) {
	for {
		err := os.Mkdir(dir, 0o711)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.MkdirAll(dir, 0o711)
		}
		if err != nil {
			return nil, err
		}
		f, err := open(dir)
		if err == nil {
			err = flock(f, unix.LOCK_EX)
		}
		if err == nil && !swept(dir) {
			return &Lock{f}, nil
		}
		if f != nil {
			f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// swept: before it was locked, the empty directory looked like remains.
func swept(dir string) bool {
	_, err := os.Lstat(dir)
	return errors.Is(err, fs.ErrNotExist)
}

// Sweep deletes what a killed command left of a container that it was making: a directory that nobody has locked, with no
// document, be it a damaged one.
func (p Place) Sweep() error {
	lock, err := attempt(p.Dir)
	if lock == nil {
		return err
	}
	defer lock.Release()
	for _, path := range []string{p.Document(), p.Document() + ".corrupt"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return p.Remove()
}

// Remove deletes everything the container has. The caller holds its lock. The document goes first: a removal
// that is interrupted leaves no container, only remains.
func (p Place) Remove() error {
	err := os.Remove(p.Document())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, erase(p.Run), removeTree(p.Dir))
}
