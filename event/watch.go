package event

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// blink is between two looks where inotify(7) cannot be had: a user gets 128 instances.
const blink = 100 * time.Millisecond

// watch wakes a reader when something was written to the journal, or one of its files was made or renamed.
type watch struct{ inotify *os.File } // nil: none could be had

// newWatch watches the journal's directory, which is made if need be.
func newWatch(j Journal) *watch {
	dir := filepath.Dir(j.Path)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return &watch{}
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return &watch{}
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		unix.Close(fd)
		return &watch{}
	}
	return &watch{os.NewFile(uintptr(fd), "inotify")}
}

// wait takes what has been told since it was last called, and does not look at it: the reader looks itself.
func (w *watch) wait(ctx context.Context) error {
	if w.inotify == nil {
		return pause(ctx, blink)
	}
	if err := w.inotify.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { w.inotify.SetReadDeadline(time.Unix(1, 0)) })()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var told [4096]byte
	_, err := w.inotify.Read(told[:])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (w *watch) close() error {
	if w.inotify == nil {
		return nil
	}
	return w.inotify.Close()
}
