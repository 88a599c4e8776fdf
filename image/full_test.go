package image

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glassbox/test/registry"

	"golang.org/x/sys/unix"
)

// TestDiskFull fills the disk in the middle of each way in which an image comes: the store is whole afterwards, and goes on.
func TestDiskFull(t *testing.T) {
	needRoot(t)
	if os.Getenv("GLASSBOX_OWN_MOUNTS") == "" {
		runIsolated(t, "TestDiskFull")
		return
	}
	big := strings.Repeat("0123456789abcdef", 1<<16) // a megabyte
	from := newStore(t)
	img := child(t, from, imports(t, from, "base", "1"), "big", registry.Tar(t, file("big", big)))
	archive := save(t, from, SaveOptions{}, "big")
	for name, way := range map[string]func(s *Store, dir string) error{
		"load": func(s *Store, _ string) error {
			return s.Load(bg, bytes.NewReader(archive), LoadOptions{Out: io.Discard})
		},
		"import": func(s *Store, _ string) error {
			_, err := s.Add(bg, bytes.NewReader(registry.Tar(t, file("big", big))), Draft{})
			return err
		},
		"a build's step": func(s *Store, dir string) error {
			upper := filepath.Join(dir, "upper")
			must(t, os.Mkdir(upper, 0o755))
			if err := os.WriteFile(upper+"/big", []byte(big), 0o644); err != nil {
				return err
			}
			_, err := s.AddTree(bg, upper, Draft{})
			return errors.Join(err, os.RemoveAll(upper))
		},
		"many configs": func(s *Store, _ string) error {
			for i := range 2000 {
				d := Draft{}
				d.Document.Author = strings.Repeat("x", 1000+i)
				if _, err := s.AddConfig(bg, d); err != nil {
					all, listed := s.List()
					for _, img := range all {
						_, _, gone := s.Remove(img.ID.String(), false, nil)
						listed = errors.Join(listed, gone)
					}
					must(t, listed)
					return err
				}
			}
			return nil
		},
	} {
		dir := t.TempDir()
		must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1800k"))
		s := Open(dir + "/images")
		err := way(s, dir)
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		checkTidy(t, s)
		checkEmpty(t, s)
		must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=8m"))
		if err := s.Load(bg, bytes.NewReader(archive), LoadOptions{Out: io.Discard}); err != nil {
			t.Errorf("%s, and with room: %v", name, err)
		}
		if got, err := s.Resolve("big"); err != nil || got.ID != img.ID {
			t.Errorf("%s, and with room: %+v, %v", name, got, err)
		}
		must(t, s.check(t))
		must(t, unix.Unmount(dir, 0))
	}
}
