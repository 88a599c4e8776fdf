package logfile

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// zipped is the ending of compressed files.
const zipped = ".gz"

// errBusy: the last file is still being compressed, and has to keep its name until then.
var errBusy = errors.New("the last file is still being compressed")

// numbered is the name of the i-th file before the current one.
func (c Config) numbered(i int) string { return c.File + "." + strconv.Itoa(i) }

// turn begins a new file. If that must wait the current one goes on growing, and Waits says that no more should come.
func (w *Writer) turn() {
	w.Flush()
	var st unix.Stat_t
	if unix.Fstat(w.FD, &st) == nil && st.Size < w.Size { // somebody has emptied it
		w.Size = st.Size
	}
	if w.Size < w.due {
		return
	}
	switch err := w.rotate(); {
	case err == nil:
		w.due = w.limit()
	case errors.Is(err, errBusy):
		w.waits, w.due = true, w.Size+full
	default:
		w.due = w.Size + full // not with each entry
		if !w.Told {
			w.Told = true
			w.Complain(fmt.Errorf("beginning a new log file: %w: the old one goes on growing", err))
		}
	}
}

// Waits says whether a new file is due and the last one not yet compressed: then output should stay where it is until Retry has
// been called, unless it may be dropped.
func (w *Writer) Waits() bool { return w != nil && w.waits && w.Spare == 0 }

// RetryAt is when to call Retry, at the latest; zero: there is nothing to retry. A compressor that is our child tells us earlier that it is done.
func (w *Writer) RetryAt(now time.Time) time.Time {
	if w == nil || !w.waits {
		return time.Time{}
	}
	return now.Add(20 * time.Millisecond)
}

// Retry begins the new file if that had to wait.
func (w *Writer) Retry() {
	if w != nil && w.waits {
		w.waits, w.due = false, w.limit()
		w.turn()
	}
}

func (w *Writer) rotate() error {
	if w.busy() {
		return errBusy
	}
	if err := w.shift(); err != nil {
		return err
	}
	last := w.numbered(1)
	if err := os.Rename(w.File, last); err != nil {
		return err
	}
	fd, _, err := openCurrent(w.File)
	if err != nil {
		return errors.Join(err, os.Rename(last, w.File))
	}
	unix.Close(w.FD)
	w.FD, w.Size = fd, 0
	switch {
	case w.MaxFile < 2:
		return os.Remove(last)
	case w.Compress:
		w.compress(last)
	}
	return nil
}

// shift makes room for FILE.1 and deletes what is one too many. A file stands there uncompressed when its compressor was killed.
func (w *Writer) shift() error {
	for i := max(1, w.MaxFile-1); i > 0; i-- {
		for _, ending := range []string{"", zipped} {
			from := w.numbered(i) + ending
			var err error
			if i == max(1, w.MaxFile-1) {
				err = unix.Unlink(from)
			} else {
				err = unix.Rename(from, w.numbered(i+1)+ending)
			}
			if err != nil && err != unix.ENOENT {
				return &os.PathError{Op: "move on", Path: from, Err: err}
			}
		}
	}
	return nil
}

// A file that is being compressed is locked, flock(2), through a description that its compressor has inherited: the lock is there
// before that process is, ends with it, and holds as well for the writer that comes after us.

func (w *Writer) busy() bool {
	if !w.Compress {
		return false
	}
	fd, err := lockFile(w.numbered(1))
	if err == nil {
		unix.Close(fd)
	}
	return errors.Is(err, unix.EWOULDBLOCK)
}

func lockFile(path string) (fd int, err error) {
	if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return fd, nil
}

func (w *Writer) compress(path string) {
	fd, err := lockFile(path)
	if err == nil {
		err = w.Start(fd, path, time.Unix(0, w.newest))
		unix.Close(fd)
	}
	if err != nil {
		w.Complain(fmt.Errorf("compressing the log file %s: %w: it stays as it is", path, err))
	}
}
