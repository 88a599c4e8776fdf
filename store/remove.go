package store

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Make creates a container's directory (searchable for all: a user namespace's root must get through to its files) with upper and work, and returns it locked: until the lock is given back the
// container is being made, and nobody takes it for the remains of a killed command.
func (p Place) Make() (*Lock, error) {
	err := os.Mkdir(p.Dir, 0o711)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(p.Dir, 0o711)
	}
	if err != nil {
		return nil, err
	}
	f, err := open(p.Dir)
	if err != nil {
		return nil, err
	}
	if err := flock(f, unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return &Lock{f}, nil
}

// Remove deletes everything the container has. The caller holds its lock. The document goes first: a removal
// that is interrupted leaves no container, only remains.
func (p Place) Remove() error {
	err := os.Remove(p.Document())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, erase(p.Run), p.removeDir())
}

// removeDir deletes the data directory. An immutable or append-only file (chattr(1)) must lose that flag first.
func (p Place) removeDir() error {
	err := erase(p.Dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	unlockTree(p.Dir)
	return erase(p.Dir)
}
