package archive

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glassbox/test/need"

	"golang.org/x/sys/unix"
)

func do(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// sample makes one file of each kind, all long ago.
func sample(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p := func(name string) string { return dir + "/" + name }
	do(t,
		os.WriteFile(p("plain"), []byte("text"), 0o600), os.Link(p("plain"), p("linked")), os.Symlink("plain", p("link")), os.Symlink("/nowhere", p("dangling")),
		os.Mkdir(p("dir"), 0o700), os.WriteFile(p("dir/inner"), nil, 0o600), os.Link(p("plain"), p("dir/far")), os.Mkdir(p("empty"), 0o700),
		unix.Mknod(p("null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))), unix.Mknod(p("pipe"), unix.S_IFIFO|0o600, 0), unix.Mknod(p("sock"), unix.S_IFSOCK|0o600, 0),
		os.WriteFile(p("holes"), nil, 0o600), os.Truncate(p("holes"), 8<<20), os.WriteFile(p("suid"), nil, 0o600),
		unix.Chmod(p("suid"), 0o6755), unix.Chmod(p("dir"), 0o3775), os.Lchown(p("link"), 7, 8), os.Lchown(p("dir"), 9, 10),
		unix.Setxattr(p("plain"), "user.note", []byte("n"), 0), unix.Setxattr(p("dir"), "trusted.note", []byte("t"), 0), unix.Lsetxattr(p("link"), "trusted.note", []byte("l"), 0),
		unix.Setxattr(p("suid"), "security.capability", []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0),
	)
	f, err := os.OpenFile(p("holes"), os.O_WRONLY, 0)
	do(t, err)
	_, err = f.WriteAt([]byte("in the middle"), 4<<20)
	do(t, err, f.Close())
	old := unix.NsecToTimespec(time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC).UnixNano())
	var names []string
	do(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error { names = append(names, path); return err }))
	for i := len(names) - 1; i >= 0; i-- {
		do(t, unix.UtimesNanoAt(unix.AT_FDCWD, names[i], []unix.Timespec{old, old}, unix.AT_SYMLINK_NOFOLLOW))
	}
	return dir
}

// listing is everything about a tree but its inodes' numbers.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	first := map[uint64]string{}
	do(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if _, known := first[st.Ino]; !known {
			first[st.Ino] = name
		}
		fmt.Fprintf(&b, "%s %o %d:%d %d %d rdev=%d same=%s mtime=%d.%d", name, st.Mode, st.Uid, st.Gid, st.Nlink, size(st), st.Rdev, first[st.Ino], st.Mtim.Sec, st.Mtim.Nsec)
		for _, x := range []string{"user.note", "trusted.note", "security.capability"} {
			value := make([]byte, 64)
			if n, err := unix.Lgetxattr(path, x, value); err == nil {
				fmt.Fprintf(&b, " %s=%x", x, value[:n])
			}
		}
		if target, err := os.Readlink(path); err == nil {
			b.WriteString(" -> " + target)
		}
		b.WriteString("\n")
		return nil
	}))
	return b.String()
}

func size(st unix.Stat_t) int64 {
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return 0
	}
	return st.Size
}

func open(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	do(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestCopyIsWhole(t *testing.T) {
	need.Root(t)
	from, to := sample(t), t.TempDir()
	if _, err := Copy(open(t, to), open(t, from)); err != nil {
		t.Fatal(err)
	}
	if got, want := listing(t, to), listing(t, from); got != want {
		t.Errorf("copy:\n%s\noriginal:\n%s", got, want)
	}
	a, err := os.ReadFile(from + "/holes")
	do(t, err)
	b, err := os.ReadFile(to + "/holes")
	do(t, err)
	if string(a) != string(b) {
		t.Error("the file with holes differs")
	}
	var st unix.Stat_t
	do(t, unix.Stat(to+"/holes", &st))
	if st.Blocks*512 > 1<<20 {
		t.Errorf("the holes were filled: %d bytes on the disk", st.Blocks*512)
	}
}

// What others have put there meanwhile stays theirs.
func TestCopyLeavesOthersAlone(t *testing.T) {
	need.Root(t)
	from, to := sample(t), t.TempDir()
	do(t, os.WriteFile(to+"/plain", []byte("theirs"), 0o640), os.Symlink("/etc", to+"/dir"))
	made, err := Copy(open(t, to), open(t, from))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(to + "/plain"); err != nil || string(text) != "theirs" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Lstat("/etc/inner"); err == nil {
		t.Error("a link led out")
	}
	for _, name := range made {
		if name == "plain" || name == "dir" {
			t.Errorf("%s was not made by us", name)
		}
	}
}

func TestCopyOnAFullDisk(t *testing.T) {
	need.Root(t)
	from, to := t.TempDir(), t.TempDir()
	do(t, os.WriteFile(from+"/a", []byte("fits"), 0o600), os.WriteFile(from+"/b", make([]byte, 1<<20), 0o600))
	if err := unix.Mount("tmpfs", to, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(to, unix.MNT_DETACH) })
	_, err := Copy(open(t, to), open(t, from))
	if err == nil || !strings.Contains(err.Error(), "copying b: ") || !strings.Contains(err.Error(), "no space left on device") {
		t.Error(err)
	}
}
