package engine

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// layer is a directory made of paths: "x/" a directory, "x=text" a file, "x->target" a link, "-x" a whiteout, "o:x/" an opaque directory.
func layer(t *testing.T, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, e := range entries {
		if err := entry(dir, e); err != nil {
			if errors.Is(err, unix.EPERM) {
				t.Skipf("needs root for %s: %v", e, err)
			}
			t.Fatal(err)
		}
	}
	return dir
}

func entry(dir, e string) error {
	opaque := strings.HasPrefix(e, "o:")
	e = strings.TrimPrefix(e, "o:")
	if name, ok := strings.CutPrefix(e, "-"); ok {
		return unix.Mknod(filepath.Join(dir, name), unix.S_IFCHR, 0)
	}
	if name, target, ok := strings.Cut(e, "->"); ok {
		return os.Symlink(target, filepath.Join(dir, name))
	}
	if name, text, ok := strings.Cut(e, "="); ok {
		return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
	}
	if err := os.MkdirAll(filepath.Join(dir, e), 0o755); err != nil || !opaque {
		return err
	}
	return unix.Setxattr(filepath.Join(dir, e), "trusted.overlay.opaque", []byte("y"), 0)
}

func TestTree(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	lower := layer(t, "etc/", "etc/passwd=low", "etc/group=low", "etc/gone=low", "old/", "old/file=low", "usr/lib/", "usr/lib/os=low", "dir/", "dir/low=low", "esc->"+outside)
	middle := layer(t, "etc/", "-etc/gone", "o:old/", "old/new=mid", "lib->usr/lib", "abs->/etc/passwd", "up->../../../etc/group", "loop->loop", "-dir")
	upper := layer(t, "etc/", "etc/passwd=up", "dir/", "dir/up=up")
	for path, want := range map[string]string{
		"/etc/passwd": "up", "etc/group": "low", "/etc/gone": "", "/old/file": "", "/old/new": "mid", "/lib/os": "low", "/abs": "up", "/up": "low",
		"/dir/up": "up", "/dir/low": "", "/../../etc/passwd": "up", "/etc/../etc/./group": "low", "/esc": "", "/etc": "", "/etc/passwd/x": "",
	} {
		f, err := tree{upper, middle, lower}.open(path)
		got := ""
		if err == nil {
			data, _ := io.ReadAll(f)
			f.Close()
			got = string(data)
		}
		if got != want {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	if _, err := (tree{middle, lower}).find("/loop"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("/loop: %v", err)
	}
	if _, err := (tree{upper}).find("/nope"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/nope: %v", err)
	}
}

func TestLookupUser(t *testing.T) {
	dir := layer(t, "etc/", "etc/passwd="+passwd, "etc/group=root:x:0:\nbob:x:1000:\nwheel:x:10:bob\nextra:x:77:\n")
	for who, want := range map[string]struct {
		uid, gid uint32
		more     []uint32
		home     string
		err      string
	}{
		"":            {0, 0, []uint32{0}, "/root", ""},
		"bob":         {1000, 1000, []uint32{1000, 10}, "/home/bob", ""},
		"1000":        {1000, 1000, []uint32{1000, 10}, "/home/bob", ""},
		"bob:extra":   {1000, 77, []uint32{77}, "/home/bob", ""},
		"4242":        {4242, 0, []uint32{0}, "", ""},
		"4242:4243":   {4242, 4243, []uint32{4243}, "", ""},
		"nosuch":      {err: "unable to find user nosuch: no matching entries in passwd file"},
		"root:nosuch": {err: "unable to find group nosuch: no matching entries in group file"},
	} {
		a, err := lookupUser(tree{dir}, who, nil)
		if want.err != "" {
			if err == nil || err.Error() != want.err || !Is(err, InvalidParameter) {
				t.Errorf("%q: %v, want %s", who, err, want.err)
			}
			continue
		}
		if err != nil || a.UID != want.uid || a.GID != want.gid || !slices.Equal(a.AdditionalGids, want.more) || a.Home != want.home {
			t.Errorf("%q: %+v, %v", who, a, err)
		}
	}
	a, err := lookupUser(tree{dir}, "root", []string{"extra", "5"})
	if err != nil || !slices.Equal(a.AdditionalGids, []uint32{0, 5, 77}) && !slices.Equal(a.AdditionalGids, []uint32{0, 77, 5}) {
		t.Errorf("--group-add: %+v, %v", a, err)
	}
	empty := layer(t)
	if a, err := lookupUser(tree{empty}, "", nil); err != nil || a.UID != 0 {
		t.Errorf("no passwd file: %+v, %v", a, err)
	}
	if _, err := lookupUser(tree{empty}, "bob", nil); err == nil || err.Error() != "unable to find user bob: no matching entries in passwd file" {
		t.Errorf("no passwd file: %v", err)
	}
}
