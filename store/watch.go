package store

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// blink is between two looks where inotify(7) cannot be had: a user gets 128 instances.
const blink = 100 * time.Millisecond

// Watch waits for what is directly in some directories to change.
type Watch struct{ inotify *os.File } // nil: none could be had

// NewWatch watches from now on.
func NewWatch(dirs ...string) *Watch {
	const changes = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_DELETE_SELF
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return &Watch{}
	}
	for _, dir := range dirs {
		if _, err := unix.InotifyAddWatch(fd, dir, changes); err != nil {
			unix.Close(fd)
			return &Watch{}
		}
	}
	return &Watch{os.NewFile(uintptr(fd), "inotify")}
}

// Wait returns when something has changed since it last returned, or may have, or when patience has passed; 0 is without end. The error is
// ctx's when that ends first. What has changed is not told: whoever waits looks at everything.
func (w *Watch) Wait(ctx context.Context, patience time.Duration) error {
	if w.inotify == nil && (patience == 0 || patience > blink) {
		patience = blink
	}
	if w.inotify == nil {
		return pause(ctx, patience)
	}
	var end time.Time
	if patience > 0 {
		end = time.Now().Add(patience)
	}
	if err := w.inotify.SetReadDeadline(end); err != nil {
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

// Close ends it.
func (w *Watch) Close() error {
	if w.inotify == nil {
		return nil
	}
	return w.inotify.Close()
}
