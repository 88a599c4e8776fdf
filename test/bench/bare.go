package main

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// bare is a place without cgroups: a thread in a mount namespace where none are mounted. What it starts is there too. Without cgroups is what crun
// calls --cgroup-manager=disabled.
type bare struct{ jobs chan func() }

func newBare() (*bare, error) {
	b := &bare{jobs: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: it ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS)
		if err == nil {
			err = unix.Unmount("/sys/fs/cgroup", unix.MNT_DETACH)
		}
		ready <- err
		for job := range b.jobs {
			job()
		}
	}()
	return b, <-ready
}

// do has the thread do it.
func (b *bare) do(f func() error) error {
	done := make(chan error)
	b.jobs <- func() { done <- f() }
	return <-done
}

func (b *bare) close() { close(b.jobs) }
