package oci

import (
	"errors"
	"slices"
)

// ErrNotPaused is what resume says of a container that is not paused.
var ErrNotPaused = errors.New("container not paused")

// Pause stops every process of the container where it stands.
func (s Store) Pause(id string) error {
	return s.freeze(id, true, ErrNotRunning, Running, Created)
}

// Resume lets them go on.
func (s Store) Resume(id string) error {
	return s.freeze(id, false, ErrNotPaused, Paused)
}

func (s Store) freeze(id string, on bool, otherwise error, from ...Status) error {
	c, lock, err := s.Locked(id)
	if err != nil {
		return err
	}
	defer lock.Release()
	if !slices.Contains(from, c.Status()) {
		return otherwise
	}
	if c.Group == "" {
		return errNoGroup
	}
	return c.Cgroup().Freeze(on)
}
