package engine

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"glassbox/volume"

	"golang.org/x/sys/unix"
)

// describe is a file's mode, owner, kind, names, extended attributes and contents.
func describe(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", err
	}
	line := fmt.Sprintf("%o %d:%d", st.Mode&0o7777, st.Uid, st.Gid)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		line += " dir"
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		return line + " -> " + target, nil
	case unix.S_IFCHR:
		return fmt.Sprintf("%s char %d:%d", line, unix.Major(st.Rdev), unix.Minor(st.Rdev)), nil
	case unix.S_IFIFO:
		return line + " fifo", nil
	default:
		if st.Nlink > 1 {
			line += fmt.Sprintf(" %d names", st.Nlink)
		}
	}
	for _, name := range []string{"trusted.owner", "security.capability", "user.note"} {
		value := make([]byte, 64)
		n, err := unix.Lgetxattr(path, name, value)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) { // before Linux 6.6 a tmpfs has none of users'
			continue
		}
		if err != nil {
			return "", err
		}
		text := string(value[:n])
		if name == "security.capability" {
			text = hex.EncodeToString(value[:n])
		}
		line += " " + name + "=" + text
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return line, nil
	}
	text, err := os.ReadFile(path)
	return fmt.Sprintf("%s %q", line, strings.TrimSpace(string(text))), err
}

func mountTmpfs(t *testing.T, dir, options string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounting a tmpfs needs CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func mountedOn(m *machine, name string) bool {
	m.t.Helper()
	yes, err := volume.Mounted(m.Containers.root.Volume(name).Data())
	if err != nil {
		m.t.Fatal(err)
	}
	return yes
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Errorf("not so within a minute: %s", what)
}
