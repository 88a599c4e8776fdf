package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// merged tells of an image's files as a container would see them: its layers, the topmost first, as the kernel's overlay puts them together.
func merged(t testing.TB, layers []string) []string {
	t.Helper()
	if len(layers) == 0 {
		return nil
	}
	dir := t.TempDir()
	// The options of mount(2) are one page: layers go by short links. An overlay without an upper directory wants two of them.
	var lower []string
	for i, layer := range append(slices.Clone(layers), dir+"/empty") {
		link := fmt.Sprintf("%s/%d", dir, i)
		if err := os.Symlink(layer, link); err != nil {
			t.Fatal(err)
		}
		lower = append(lower, link)
	}
	root := dir + "/root"
	for _, d := range []string{root, dir + "/empty"} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mount("overlay", root, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(lower, ":")); err != nil {
		t.Fatalf("mounting %v: %v", layers, err)
	}
	defer unix.Unmount(root, unix.MNT_DETACH) //nolint:errcheck // it ends with the world
	return files(t, root)
}

// files tells of all files below a directory, one line for each.
func files(t testing.TB, root string) []string {
	t.Helper()
	links := map[uint64]string{}
	var lines []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root)
		if name == "" {
			return nil // a layer's own top says nothing: Docker makes it anew for each
		}
		line, err := describe(path, name, links)
		lines = append(lines, name+" "+line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// began is when the test did: later times are those of what builders made.
var began = time.Now()

func describe(path, name string, links map[uint64]string) (string, error) {
	var s unix.Stat_t
	if err := unix.Lstat(path, &s); err != nil {
		return "", err
	}
	line := fmt.Sprintf("%s %04o %d:%d", kinds[s.Mode&unix.S_IFMT], s.Mode&0o7777, s.Uid, s.Gid)
	attributes, err := attributes(path)
	if err != nil {
		return "", err
	}
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return line + attributes, nil
	case unix.S_IFCHR, unix.S_IFBLK:
		line += fmt.Sprintf(" %d,%d", unix.Major(s.Rdev), unix.Minor(s.Rdev))
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		line += " -> " + target
	case unix.S_IFREG:
		if first := links[s.Ino]; first != "" && s.Nlink > 1 {
			return line + " the same as " + first, nil
		}
		links[s.Ino] = name
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(content)
		line += fmt.Sprintf(" %d bytes %s", s.Size, hex.EncodeToString(sum[:6]))
	}
	if at := time.Unix(s.Mtim.Unix()); at.Before(began.Add(-time.Minute)) {
		line += " of " + at.UTC().Format(time.DateTime)
	}
	return line + attributes, nil
}

var kinds = map[uint32]string{
	unix.S_IFDIR: "directory", unix.S_IFREG: "file", unix.S_IFLNK: "link", unix.S_IFIFO: "fifo", unix.S_IFSOCK: "socket",
	unix.S_IFCHR: "character device", unix.S_IFBLK: "block device",
}

// attributes are all but the overlay's own; of these opaque stays, which says what a layer hides.
func attributes(path string) (string, error) {
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		return "", fmt.Errorf("listing the attributes of %s: %w", path, err)
	}
	var all []string
	for name := range bytes.SplitSeq(names[:n], []byte{0}) {
		if len(name) == 0 || strings.HasPrefix(string(name), "trusted.overlay.") && string(name) != "trusted.overlay.opaque" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, string(name), value)
		if err != nil {
			return "", fmt.Errorf("reading the attribute %s of %s: %w", name, path, err)
		}
		all = append(all, fmt.Sprintf(" %s=%q", name, value[:n]))
	}
	slices.Sort(all)
	return strings.Join(all, ""), nil
}
