package store

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const pinned = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND

// FS_IMMUTABLE_FL and FS_APPEND_FL of ioctl_iflags(2).
const pinnedFlags = 0x10 | 0x20

// unlockTree clears the immutable and append-only flags below dir.
func unlockTree(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || d.Type().IsRegular()) {
			unlock(path)
		}
		return nil
	})
}

func unlock(path string) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH, 0, &st) != nil || st.Attributes&pinned == 0 {
		return
	}
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err == nil {
		unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags&^pinnedFlags)
	}
}
