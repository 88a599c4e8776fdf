package image

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// Left are the paths of what nobody needs: what dead processes were fetching or unpacking, and layers and blobs of no image.
func (s *Store) Left() ([]string, error) {
	if _, err := os.Lstat(s.layers + "/temp"); err != nil {
		return nil, nil // nothing was ever kept here
	}
	var left []string
	for _, dir := range []string{s.dir + "/temp", s.layers + "/temp", s.dir + "/leases"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); orphaned(path) {
				left = append(left, path)
			}
		}
	}
	err := s.change(context.Background(), func() error {
		more, err := s.unused()
		left = append(left, more...)
		return err
	})
	return left, err
}

// Clean deletes what Left names.
func (s *Store) Clean() error {
	return errors.Join(s.sweep(), s.collect(context.Background()))
}

// orphaned: no living process holds the path.
func orphaned(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil && samePlace(f, path)
}

// unused are the layers and blobs that unneeded would take out of their places. The caller holds the store's lock.
func (s *Store) unused() (left []string, err error) {
	x, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	blobs, chains, err := s.needed(x)
	if err != nil {
		return nil, err
	}
	numbers := map[string]bool{}
	for chain := range chains {
		if l, err := s.layer(digest.NewDigestFromEncoded(digest.SHA256, chain)); err == nil {
			numbers[strconv.Itoa(l.Number)] = true
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, place := range []struct {
		dir    string
		needed func(name string) bool
	}{
		{s.blobs(), func(name string) bool { return blobs[name] }},
		{s.layers + "/chain", func(name string) bool { return chains[name] }},
		{s.layers, func(name string) bool { _, err := strconv.Atoi(name); return err != nil || numbers[name] }},
	} {
		entries, err := os.ReadDir(place.dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !place.needed(e.Name()) {
				left = append(left, filepath.Join(place.dir, e.Name()))
			}
		}
	}
	return left, nil
}
