package tiny

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func stat(c *call) int {
	o, ok := c.options("Lftc:", "format=c", "dereference=L", "file-system=f", "terse=t")
	if !ok {
		return 1
	}
	if len(o.rest) == 0 {
		return c.misused("")
	}
	for _, name := range o.rest {
		if o.has('f') {
			c.statFilesystem(name, o)
			continue
		}
		var st unix.Stat_t
		look := unix.Lstat
		if o.has('L') {
			look = unix.Stat
		}
		if err := look(name, &st); err != nil {
			c.errorf("can't stat '%s': %s", name, reason(err))
			continue
		}
		switch {
		case o.has('c'):
			c.print(statFormat(o.value('c', ""), name, &st, loadNames(false)), "\n")
		case o.has('t'):
			c.print(statFormat("%n %s %b %f %u %g %D %i %h %t %T %X %Y %Z %o", name, &st, loadNames(false)), "\n")
		default:
			c.statLong(name, &st)
		}
	}
	return c.bad
}

func (c *call) statLong(name string, st *unix.Stat_t) {
	shown := name
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		target, _ := os.Readlink(name)
		shown = "'" + name + "' -> '" + target + "'"
	}
	names := loadNames(false)
	c.printf("  File: %s\n", shown)
	c.printf("  Size: %-10d\tBlocks: %-10d IO Block: %-6d %s\n", st.Size, st.Blocks, st.Blksize, kindText(st))
	device := fmt.Sprintf("Device: %xh/%dd", st.Dev, st.Dev)
	if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		c.printf("%s\tInode: %-10d  Links: %-5d Device type: %x,%x\n", device, st.Ino, st.Nlink, unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)))
	} else {
		c.printf("%s\tInode: %-10d  Links: %d\n", device, st.Ino, st.Nlink)
	}
	c.printf("Access: (%04o/%s)  Uid: (%5d/%8s)   Gid: (%5d/%8s)\n", st.Mode&0o7777, modeText(st.Mode), st.Uid, statName(names.users, st.Uid),
		st.Gid, statName(names.groups, st.Gid))
	c.printf("Access: %s\nModify: %s\nChange: %s\n", statTime(st.Atim), statTime(st.Mtim), statTime(st.Ctim))
}

func statName(names map[int]string, id uint32) string {
	if name, ok := names[int(id)]; ok {
		return name
	}
	return "UNKNOWN"
}

func statTime(ts unix.Timespec) string {
	return time.Unix(ts.Unix()).Format("2006-01-02 15:04:05.000000000 -0700")
}

func kindText(st *unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if st.Size == 0 {
			return "regular empty file"
		}
		return "regular file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symbolic link"
	case unix.S_IFCHR:
		return "character special file"
	case unix.S_IFBLK:
		return "block special file"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "weird file"
}

func statFormat(format, name string, st *unix.Stat_t, names *names) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch format[i] {
		case 'n':
			b.WriteString(name)
		case 'N':
			b.WriteString("'" + name + "'")
		case 's':
			b.WriteString(strconv.FormatInt(st.Size, 10))
		case 'b':
			b.WriteString(strconv.FormatInt(st.Blocks, 10))
		case 'B':
			b.WriteString("512")
		case 'o':
			b.WriteString(strconv.FormatInt(int64(st.Blksize), 10))
		case 'a':
			b.WriteString(strconv.FormatUint(uint64(st.Mode&0o7777), 8))
		case 'A':
			b.WriteString(modeText(st.Mode))
		case 'f':
			b.WriteString(strconv.FormatUint(uint64(st.Mode), 16))
		case 'F':
			b.WriteString(kindText(st))
		case 'u':
			b.WriteString(strconv.Itoa(int(st.Uid)))
		case 'U':
			b.WriteString(statName(names.users, st.Uid))
		case 'g':
			b.WriteString(strconv.Itoa(int(st.Gid)))
		case 'G':
			b.WriteString(statName(names.groups, st.Gid))
		case 'h':
			b.WriteString(strconv.FormatUint(uint64(st.Nlink), 10))
		case 'i':
			b.WriteString(strconv.FormatUint(st.Ino, 10))
		case 'd':
			b.WriteString(strconv.FormatUint(uint64(st.Dev), 10))
		case 'D':
			b.WriteString(strconv.FormatUint(uint64(st.Dev), 16))
		case 't':
			b.WriteString(strconv.FormatUint(uint64(unix.Major(uint64(st.Rdev))), 16))
		case 'T':
			b.WriteString(strconv.FormatUint(uint64(unix.Minor(uint64(st.Rdev))), 16))
		case 'x':
			b.WriteString(statTime(st.Atim))
		case 'y':
			b.WriteString(statTime(st.Mtim))
		case 'z':
			b.WriteString(statTime(st.Ctim))
		case 'X':
			b.WriteString(strconv.FormatInt(int64(st.Atim.Sec), 10))
		case 'Y':
			b.WriteString(strconv.FormatInt(int64(st.Mtim.Sec), 10))
		case 'Z':
			b.WriteString(strconv.FormatInt(int64(st.Ctim.Sec), 10))
		case 'm':
			fs, _ := mountOf(name, filesystems())
			b.WriteString(fs.dir)
		case '%':
			b.WriteByte('%')
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

func (c *call) statFilesystem(name string, o *options) {
	var st unix.Statfs_t
	if err := unix.Statfs(name, &st); err != nil {
		c.errorf("can't read file system information for '%s': %s", name, reason(err))
		return
	}
	kind := filesystemName(int64(st.Type))
	id := uint64(uint32(st.Fsid.Val[0]))<<32 | uint64(uint32(st.Fsid.Val[1]))
	if format := o.value('c', ""); format != "" {
		r := strings.NewReplacer("%n", name, "%T", kind, "%t", strconv.FormatInt(int64(st.Type), 16), "%s", fmt.Sprint(st.Bsize), "%S", fmt.Sprint(st.Frsize),
			"%b", fmt.Sprint(st.Blocks), "%f", fmt.Sprint(st.Bfree), "%a", fmt.Sprint(st.Bavail), "%c", fmt.Sprint(st.Files), "%d", fmt.Sprint(st.Ffree),
			"%i", fmt.Sprintf("%x", id), "%l", fmt.Sprint(st.Namelen))
		c.print(r.Replace(format), "\n")
		return
	}
	if o.has('t') {
		c.printf("%s %x %d %x %d %d %d %d %d %d %d\n", name, id, st.Namelen, st.Type, st.Bsize, st.Frsize, st.Blocks, st.Bfree, st.Bavail, st.Files, st.Ffree)
		return
	}
	c.printf("  File: \"%s\"\n    ID: %-8x Namelen: %-7d Type: %s\nBlock size: %-10d\n", name, id, st.Namelen, kind, st.Bsize)
	c.printf("Blocks: Total: %-10d Free: %-10d Available: %d\nInodes: Total: %-10d Free: %d\n", st.Blocks, st.Bfree, st.Bavail, st.Files, st.Ffree)
}

func filesystemName(magic int64) string {
	switch magic {
	case unix.EXT4_SUPER_MAGIC:
		return "ext2/ext3"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.PROC_SUPER_MAGIC:
		return "proc"
	case unix.SYSFS_MAGIC:
		return "sysfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.CGROUP2_SUPER_MAGIC:
		return "cgroup2fs"
	case unix.CGROUP_SUPER_MAGIC:
		return "cgroupfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.RAMFS_MAGIC:
		return "ramfs"
	case unix.DEVPTS_SUPER_MAGIC:
		return "devpts"
	case unix.NSFS_MAGIC:
		return "nsfs"
	case 0x19800202:
		return "mqueue"
	}
	return "UNKNOWN"
}
