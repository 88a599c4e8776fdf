package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Lock is a held flock(2). It ends with the process, however that ends.
type Lock struct{ f *os.File }

// Exclusive waits until nobody else holds the file or directory, or ctx ends. The path must exist.
func Exclusive(ctx context.Context, path string) (*Lock, error) { return wait(ctx, path, unix.LOCK_EX) }

// Shared waits until nobody holds it exclusively, or ctx ends.
func Shared(ctx context.Context, path string) (*Lock, error) { return wait(ctx, path, unix.LOCK_SH) }

// Held reports whether another process holds path exclusively. A path that does not exist is held by nobody.
func Held(path string) (bool, error) {
	f, err := open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = flock(f, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}

// Release gives the lock back, also where a process that was made meanwhile has a copy of the descriptor.
func (l *Lock) Release() error {
	return errors.Join(flock(l.f, unix.LOCK_UN), l.f.Close())
}

func open(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// wait asks again and again instead of sleeping in the kernel: a blocked flock(2) cannot be given up when ctx ends.
func wait(ctx context.Context, path string, how int) (*Lock, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	for pause := 200 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := flock(f, how|unix.LOCK_NB)
		if err == nil {
			return &Lock{f}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for the lock on %s: %w", path, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}
