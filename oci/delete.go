package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"glassbox/cgroups"
	"glassbox/runtime"

	"golang.org/x/sys/unix"
)

// Delete removes a stopped container: whatever is left in its cgroup, the cgroup, its directory. Force kills it before, and does not mind
// if there is none.
func (s Store) Delete(id string, force bool) error {
	c, lock, err := s.Locked(id)
	if errors.Is(err, ErrNotExist) {
		return s.sweep(id, force)
	}
	if errors.Is(err, errDamaged) && force {
		return s.rescue(id)
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if status := c.Status(); status != Stopped && c.Pid != 0 {
		if !force {
			return fmt.Errorf("cannot delete container %s that is not stopped: %s", id, status)
		}
		if err := c.end(); err != nil {
			return err
		}
	}
	return c.remove(s.Warn)
}

// remove leaves nothing of a container whose process has ended. Its poststop hooks run last.
func (c *Container) remove(warn func(error)) error {
	hooks, err := c.hooks()
	if err != nil && warn != nil {
		warn(fmt.Errorf("poststop hooks: %w", err))
	}
	group := c.Cgroup()
	if err := group.Kill(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := group.Remove(); err != nil {
		return err
	}
	if err := c.erase(); err != nil || hooks == nil {
		return err
	}
	return hooks.Run(runtime.Poststop, warn) // their failures only warn
}

// end kills the container's process and waits until it has ended. What is frozen dies too: SIGKILL thaws it (cgroup-v2.rst).
func (c *Container) end() error {
	pidfd, err := c.Pidfd()
	if errors.Is(err, ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	defer pidfd.Close()
	if err := signalPidfd(pidfd, unix.SIGKILL); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	return awaitEnd(pidfd)
}

// awaitEnd waits until the process has ended: then its pidfd is readable, pidfd_open(2).
func awaitEnd(pidfd *os.File) error {
	for end := time.Now().Add(patience); ; {
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("the container's process has not ended %v after SIGKILL", patience)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd.Fd()), Events: unix.POLLIN}}, int(left/time.Millisecond)+1)
		if n > 0 || err != nil && err != unix.EINTR {
			return os.NewSyscallError("poll", err)
		}
	}
}

// rescue removes a container whose state.json cannot be read: by its cgroup, which config.json names.
func (s Store) rescue(id string) error {
	c := &Container{dir: filepath.Join(s.Root, id), record: record{ID: id}}
	lock, err := lockDir(c.dir)
	if err != nil {
		return err
	}
	defer lock.Release()
	spec, err := c.Spec()
	if errors.Is(err, fs.ErrNotExist) {
		return c.erase() // whoever created it was killed before anything else was made
	}
	if err != nil {
		return err
	}
	if spec.Linux == nil {
		return c.erase() // no container was made from that
	}
	facts, err := cgroups.Observe(nil)
	if err != nil {
		return err
	}
	group, err := facts.Locate(spec.Linux.CgroupsPath)
	if err != nil {
		return err
	}
	c.Group = group.Path
	return c.remove(s.Warn)
}

// sweep removes what a killed command has left: a directory without a state.json.
func (s Store) sweep(id string, force bool) error {
	dir := filepath.Join(s.Root, id)
	lock, err := lockDir(dir)
	if errors.Is(err, ErrNotExist) && force {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if _, err := os.Lstat(filepath.Join(dir, fileState)); err == nil {
		return fmt.Errorf("container %s was made just now", id)
	}
	return os.RemoveAll(dir)
}
