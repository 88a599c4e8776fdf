package rootfs

import (
	"os"
	"path/filepath"
	"testing"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

// TestOpenForWriting: what is written through the descriptor lies in upper, marks of deletions included, and the layers below stay as they are.
func TestOpenForWriting(t *testing.T) {
	need.Root(t)
	need.DetachedMounts(t)
	dir := t.TempDir()
	for _, name := range []string{"low,er:1", "lower2", "upper", "work", "at"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"low,er:1/gone", "lower2/kept"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l := Layers{Lower: []string{dir + "/low,er:1", dir + "/lower2"}, Upper: dir + "/upper", Work: dir + "/work"}
	tree, err := l.OpenForWriting(dir + "/at")
	if err != nil {
		t.Fatal(err)
	}
	fd := int(tree.Fd())
	if err := unix.Unlinkat(fd, "gone", 0); err != nil {
		t.Error(err)
	}
	made, err := unix.Openat(fd, "made", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(made)
	if err := unix.Fchmodat(fd, "kept", 0o600, 0); err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir(dir + "/at"); err != nil || len(names) > 0 {
		t.Errorf("the overlay is mounted where everybody sees it: %v, %v", names, err)
	}
	if err := tree.Close(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]os.FileMode{
		"upper/gone": os.ModeDevice | os.ModeCharDevice, "upper/made": 0o640, "upper/kept": 0o600, "low,er:1/gone": 0o644, "lower2/kept": 0o644,
	} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || info.Mode()&^0o777 != want&^0o777 || want.IsRegular() && info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info, err, want)
		}
	}
	if again, err := l.OpenForWriting(dir + "/at"); err == nil {
		again.Close()
		t.Error("a work directory that was not synced was used again")
	}
}
