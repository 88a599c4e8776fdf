package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// then is when all files of tests were written.
var then = time.Date(2020, 1, 2, 3, 4, 5, 600_000_000, time.UTC)

// files makes a directory of lines: "dir/", "file=content", "link->target", with a mode and owners behind: "file=x 4755 1:2".
func files(t testing.TB, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	do(t, os.Chmod(dir, 0o755))
	var made []string
	for _, line := range lines {
		words := strings.Split(line, " ")
		name, content, regular := strings.Cut(words[0], "=")
		link, target, linked := strings.Cut(words[0], "->")
		if linked {
			name = link
		}
		file := filepath.Join(dir, name)
		do(t, os.MkdirAll(filepath.Dir(file), 0o755))
		switch {
		case linked:
			do(t, os.Symlink(target, file))
		case regular:
			do(t, os.WriteFile(file, []byte(content), 0o644))
		default:
			do(t, os.MkdirAll(file, 0o755))
		}
		slices.SortFunc(words[1:], func(a, b string) int { return strings.Index(b, ":") - strings.Index(a, ":") }) // a new owner takes set-id bits away
		for _, word := range words[1:] {
			var mode uint32
			var uid, gid int
			if n, _ := fmt.Sscanf(word, "%d:%d", &uid, &gid); n == 2 {
				do(t, os.Lchown(file, uid, gid))
			} else if _, err := fmt.Sscanf(word, "%o", &mode); err == nil {
				do(t, unix.Chmod(file, mode))
			}
		}
		made = append(made, file)
	}
	for i := len(made) - 1; i >= 0; i-- {
		at := unix.NsecToTimespec(then.UnixNano())
		do(t, unix.UtimesNanoAt(unix.AT_FDCWD, made[i], []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
	}
	return dir
}

func open(t testing.TB, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	do(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// tree opens a directory as a context.
func tree(t testing.TB, dir string, ignore ...string) *Tree {
	t.Helper()
	i, err := newIgnore(ignore)
	do(t, err)
	return &Tree{Root: open(t, dir), Ignore: i}
}

// listing is a tree in lines as files takes them, in order; with times where they are not now.
func listing(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	do(t, filepath.WalkDir(dir, func(file string, _ os.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		var st unix.Stat_t
		do(t, unix.Lstat(file, &st))
		name, _ := filepath.Rel(dir, file)
		line := name
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			line += "/"
		case unix.S_IFLNK:
			target, err := os.Readlink(file)
			do(t, err)
			line += "->" + target
		case unix.S_IFREG:
			content, err := os.ReadFile(file)
			do(t, err)
			line += "=" + string(content)
		case unix.S_IFIFO:
			line += "|"
		default:
			line += "?"
		}
		if old, ok := first[st.Ino]; ok && st.Nlink > 1 && st.Mode&unix.S_IFMT == unix.S_IFREG {
			line = name + "==" + old
		}
		first[st.Ino] = name
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			line += fmt.Sprintf(" %o", st.Mode&0o7777)
		}
		if st.Uid != 0 || st.Gid != 0 {
			line += fmt.Sprintf(" %d:%d", st.Uid, st.Gid)
		}
		if old := time.Since(time.Unix(st.Mtim.Sec, 0)) > time.Hour; !old {
			line += " now"
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

// carry finds and writes.
func carry(t testing.TB, o Order, root string) error {
	t.Helper()
	if o.Temp == "" {
		o.Temp = t.TempDir()
	}
	p, err := o.Find(context.Background())
	if err != nil {
		return err
	}
	return errors.Join(p.Write(context.Background(), open(t, root)), p.Close())
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}
