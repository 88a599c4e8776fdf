package volume

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Project quotas: every file has a project id beside its owner and group, new ones inherit that of their directory, and the file
// system counts and limits what a project holds. quotactl(2), Documentation/filesystems/ext4 and xfs.

// projectQuota is a kind of quota, and these are commands of XFS's, which the kernel answers for every file system with quotas.
const (
	projectQuota = 2
	getState     = 0x5805 // Q_XGETQSTAT
	setLimit     = 0x5804 // Q_XSETQLIM
	getQuota     = 0x5803 // Q_XGETQUOTA

	counted, enforced = 1 << 4, 1 << 5 // FS_QUOTA_PDQ_ACCT, FS_QUOTA_PDQ_ENFD
	softSize          = 1 << 2         // FS_DQ_BSOFT
	hardSize          = 1 << 3         // FS_DQ_BHARD
)

// quotaState is struct fs_quota_stat, linux/dqblk_xfs.h.
type quotaState struct {
	version int8
	flags   uint16
	_       [76]byte
}

// diskQuota is struct fs_disk_quota. Sizes are in units of 512 bytes.
type diskQuota struct {
	version, flags     int8
	fields             uint16
	id                 uint32
	hardSize, softSize uint64
	hardFiles, _       uint64
	size, files        uint64
	_                  [56]byte
}

// fileAttributes is struct fsxattr, ioctl_xfs_fsgetxattr(2).
type fileAttributes struct {
	flags, extent, extents, project, cow uint32
	_                                    [8]byte
}

const (
	getAttributes = 0x801c581f // FS_IOC_FSGETXATTR
	setAttributes = 0x401c5820 // FS_IOC_FSSETXATTR
	inherit       = 0x200      // FS_XFLAG_PROJINHERIT
)

// quotactl asks the file system that f is on: quotactl_fd(2), without a device to be found.
func quotactl(f *os.File, command int, id uint32, data unsafe.Pointer) error {
	return quotactlOf(projectQuota, f, command, id, data)
}

func quotactlOf(kind int, f *os.File, command int, id uint32, data unsafe.Pointer) error {
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, f.Fd(), uintptr(command<<8|kind), uintptr(id), uintptr(data), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ErrNoQuota is the error where project quotas are not in force.
var ErrNoQuota = errors.New("project quotas are not in force")

// Limited reports whether directories on the file system of dir can be limited: nil, or an error of ErrNoQuota that says why not.
func Limited(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	state := quotaState{version: 1}
	err = quotactl(f, getState, 0, unsafe.Pointer(&state))
	if err == nil && state.flags&(counted|enforced) == counted|enforced {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	return fmt.Errorf("%w on %s, which lies on %s", ErrNoQuota, dir, fileSystem(int64(st.Type)))
}

func fileSystem(magic int64) string {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4 (mounted without prjquota)"
	case unix.XFS_SUPER_MAGIC:
		return "xfs (mounted without pquota)"
	case unix.TMPFS_MAGIC:
		return "tmpfs (it has none)"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs (it has none)"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs (it has none of this kind)"
	}
	return fmt.Sprintf("a file system (0x%x) without them", magic)
}

// Cure says what would make Limited true.
func Cure(err error) string {
	switch {
	case strings.Contains(err.Error(), "ext4"):
		return "on ext4, not mounted: tune2fs -O quota,project -Q prjquota DEVICE; then mount it with -o prjquota"
	case strings.Contains(err.Error(), "xfs"):
		return "on xfs: mount it with -o pquota (the root file system: rootflags=pquota at boot)"
	}
	return "put the data directory (GLASSBOX_ROOT) on xfs mounted with pquota, or on ext4 with prjquota"
}

// Free reports whether no file belongs to the project, and nobody has limited it.
func Free(dir string, project uint32) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var q diskQuota
	err = quotactl(f, getQuota, project, unsafe.Pointer(&q))
	if errors.Is(err, unix.ENOENT) {
		return true, nil
	}
	return err == nil && q.size == 0 && q.files == 0 && q.hardSize == 0, err
}

// Limit sets how much a project may hold; 0 takes the limit away.
func Limit(dir string, project uint32, size int64) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	blocks := uint64(size) / 512
	q := diskQuota{version: 1, flags: 2, fields: softSize | hardSize, id: project, hardSize: blocks, softSize: blocks}
	if err := quotactl(f, setLimit, project, unsafe.Pointer(&q)); err != nil {
		return fmt.Errorf("limiting project %d on the file system of %s to %d bytes: quotactl_fd: %w", project, dir, size, err)
	}
	return nil
}

// Usage is what a user, a group or a project holds on a file system, and may hold. Sizes are in bytes; a limit of 0 is none.
type Usage struct {
	Kind            string // user, group, project
	ID              uint32
	Size, MaxSize   uint64
	Files, MaxFiles uint64
}

// Full says whether there is no room left within the limits. A block more would be at least 4 KiB on most file systems.
func (u Usage) Full() bool {
	return u.MaxSize > 0 && u.Size+4096 > u.MaxSize || u.MaxFiles > 0 && u.Files >= u.MaxFiles
}

// UsageAt is what the file system of a path counts for these users and groups, as far as the caller may know it, and for the path's own project.
func UsageAt(path string, users, groups []uint32) (all []Usage, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var a fileAttributes
	var projects []uint32
	var refused error
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), getAttributes, uintptr(unsafe.Pointer(&a))); errno == 0 {
		projects = []uint32{a.project}
	}
	for kind, k := range []struct {
		name string
		ids  []uint32
	}{{"user", users}, {"group", groups}, {"project", projects}} {
		for _, id := range k.ids {
			var q diskQuota
			switch err := quotactlOf(kind, f, getQuota, id, unsafe.Pointer(&q)); err {
			case nil:
				all = append(all, Usage{k.name, id, q.size * 512, q.hardSize * 512, q.files, q.hardFiles})
			case unix.EPERM: // of others
				refused = fmt.Errorf("the quota of %s %d: quotactl_fd: %w", k.name, id, err)
			}
		}
	}
	if all == nil {
		return nil, refused
	}
	return all, nil
}

// Assign gives an empty directory, and what will be in it, to a project.
func Assign(dir string, project uint32) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	var a fileAttributes
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), getAttributes, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return &os.PathError{Op: "reading the project of", Path: dir, Err: errno}
	}
	a.project, a.flags = project, a.flags|inherit
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), setAttributes, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return &os.PathError{Op: "setting the project of", Path: dir, Err: errno}
	}
	return nil
}
