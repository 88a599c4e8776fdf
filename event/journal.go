package event

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long a file of the journal grows: about four thousand events.
const limit = 1 << 20

// Journal is named by its current file.
type Journal struct{ Path string }

// predecessor is the file before the current one.
func (j Journal) predecessor() string { return j.Path + ".1" }

// Append adds events, together and in this order.
func (j Journal) Append(events ...Event) error {
	fd, err := j.open()
	if err != nil {
		return err
	}
	defer unix.Close(fd) // and with it the lock
	var b []byte
	if torn(fd) {
		b = append(b, '\n')
	}
	for _, e := range events {
		if e.Time.IsZero() {
			e.Time = time.Now()
		}
		b = e.append(b)
	}
	n, err := unix.Write(fd, b)
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	if err != nil {
		return &os.PathError{Op: "append to", Path: j.Path, Err: err}
	}
	return nil
}

// open locks the current file. One that has reached the limit is not current any longer, whether or not somebody has renamed it yet.
func (j Journal) open() (int, error) {
	for {
		fd, err := j.create()
		if err != nil {
			return -1, err
		}
		var s unix.Stat_t
		if err = j.lock(fd, &s); err == nil && s.Size < limit {
			return fd, nil
		}
		if err == nil {
			err = j.rotate(s)
		}
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
	}
}

func (j Journal) create() (int, error) {
	for made := false; ; made = true {
		fd, err := unix.Open(j.Path, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err == nil {
			return fd, nil
		}
		if err != unix.ENOENT || made {
			return -1, &os.PathError{Op: "open", Path: j.Path, Err: err}
		}
		if err := os.MkdirAll(filepath.Dir(j.Path), 0o711); err != nil {
			return -1, err
		}
	}
}

func (j Journal) lock(fd int, s *unix.Stat_t) error {
	err := unix.Flock(fd, unix.LOCK_EX)
	for err == unix.EINTR {
		err = unix.Flock(fd, unix.LOCK_EX)
	}
	if err == nil {
		err = unix.Fstat(fd, s)
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: j.Path, Err: err}
	}
	return nil
}

// rotate renames the file, whose lock the caller holds, unless that has been done while it waited.
func (j Journal) rotate(full unix.Stat_t) error {
	var now unix.Stat_t
	err := unix.Stat(j.Path, &now)
	if err == nil && now.Ino == full.Ino && now.Dev == full.Dev {
		err = os.Rename(j.Path, j.predecessor())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// torn: the last line has no end, since the disk was full. What follows it must not be damaged, too.
func torn(fd int) bool {
	var last [1]byte
	end, err := unix.Seek(fd, -1, unix.SEEK_END)
	if err != nil {
		return false // an empty file
	}
	n, err := unix.Pread(fd, last[:], end)
	return err == nil && n == 1 && last[0] != '\n'
}
