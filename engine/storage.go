package engine

import (
	"os"
	"strconv"
	"strings"

	"glassbox/namespaces"

	"golang.org/x/sys/unix"
)

// driverStatus describes where layers lie and how they are put together, in the words of Docker's overlay2.
func driverStatus(data string) [][2]string {
	metacopy := parameter("metacopy")
	return [][2]string{
		{"Backing Filesystem", backing(data)},
		{"Supports d_type", strconv.FormatBool(tellsTypes(data))},
		{"Using metacopy", strconv.FormatBool(metacopy)},
		// With either of them an upper directory alone does not say what a container has changed.
		{"Native Overlay Diff", strconv.FormatBool(!metacopy && !parameter("redirect_dir"))},
		{"userxattr", strconv.FormatBool(namespaces.Nested())},
		{"Mounted by", "the container, in its own mount namespace"},
	}
}

// parameter is what the kernel does in an overlay that says nothing about it.
func parameter(name string) bool {
	value, err := os.ReadFile("/sys/module/overlay/parameters/" + name)
	return err == nil && strings.TrimSpace(string(value)) == "Y"
}

// fileSystems are the magic numbers of statfs(2) that a store is likely to lie on.
var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "extfs", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", 0x2fc12fc1: "zfs", unix.F2FS_SUPER_MAGIC: "f2fs",
}

func backing(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "none yet"
	}
	if name, ok := fileSystems[int64(st.Type)]; ok {
		return name
	}
	return "0x" + strconv.FormatInt(int64(st.Type), 16)
}

// tellsTypes reports whether the file system says with a name what kind of file it is, which overlayfs needs: the byte after the eighteenth
// of a struct linux_dirent64, getdents(2).
func tellsTypes(dir string) bool {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	entries := make([]byte, 4096)
	n, err := unix.ReadDirent(fd, entries)
	return err == nil && n > 18 && entries[18] != unix.DT_UNKNOWN
}
