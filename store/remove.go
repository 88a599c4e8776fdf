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
	_, err := p.Swept()
	return err
}

// Swept is Sweep, and tells whether there was such a directory.
func (p Place) Swept() (bool, error) { return sweepUndocumented(p.Dir, p.Document(), p.Remove) }

func sweepUndocumented(dir, document string, remove func() error) (bool, error) {
	lock, err := attempt(dir)
	if lock == nil {
		return false, err
	}
	defer lock.Release()
	for _, path := range []string{document, document + ".corrupt"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, remove()
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
