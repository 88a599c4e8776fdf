package why

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/volume"

	"golang.org/x/sys/unix"
)

var roomErrors = []Known{
	{
		Errno: unix.ENOSPC, Calls: []string{"write", "open", "mkdir", "fallocate", "disk"}, Objects: "PATH", Manual: "statfs(2)",
		Causes: []Cause{
			{Name: "no blocks left", Why: "the file system is full; a tmpfs (/dev/shm, --tmpfs) has the size that its mount says", Check: "df -h PATH", Fix: "remove what is not needed: glassbox system prune; a larger tmpfs: --shm-size", Learn: "volumes", test: noBlocks},
			{Name: "no inodes left", Why: "a file system has so many files as it was made for, however small they are", Check: "df -i PATH", Fix: "remove files", Learn: "volumes", test: noInodes},
		},
	},
	{
		Errno: unix.EDQUOT, Calls: []string{"write", "open", "mkdir"}, Objects: "PATH", Manual: "quotactl(2)",
		Causes: []Cause{{Name: "quota", Why: "a user, group or project has used what it may: --storage-opt size= and volumes with a size are project quotas", Check: "df -h PATH; lsattr -pd PATH", Fix: "remove files, or a larger size: glassbox volume create -o size=1G NAME", Learn: "volumes", test: overQuota}},
	},
	{
		Errno: unix.EMFILE, Calls: []string{"open", "socket", "dup", "pipe", "accept"}, Objects: "[PID]", Manual: "getrlimit(2)",
		Causes: []Cause{{
			Name: "RLIMIT_NOFILE", Why: "a process may have so many descriptors open; a server that never closes gets there", Check: "ls /proc/PID/fd | wc -l; grep 'open files' /proc/PID/limits", Fix: "--ulimit nofile=65536:65536, and look for what is not closed", Learn: "lifecycle", test: manyFiles,
		}},
	},
	{
		Errno: unix.ENFILE, Calls: []string{"open", "socket"}, Manual: "proc_sys_fs(5)",
		Causes: []Cause{{Name: "fs.file-max", Why: "the whole machine has so many files open as it may", Check: "cat /proc/sys/fs/file-nr", Fix: "sysctl -w fs.file-max=N", Learn: "lifecycle", test: machineFiles}},
	},
	{
		Errno: unix.EMFILE, Calls: []string{"inotify", "inotify_init", "inotify_init1"}, Manual: "inotify(7)",
		Causes: []Cause{{
			Name: "max_user_instances", Why: "a user has so many inotify instances, all containers of the same user together (fs.inotify.max_user_instances, 128; in a user namespace user.max_inotify_instances as well)", Check: "sysctl fs.inotify.max_user_instances user.max_inotify_instances; find /proc/*/fd -lname anon_inode:inotify", Fix: "sysctl -w fs.inotify.max_user_instances=1024", Learn: "user-namespace", test: manyWatchers,
		}},
	},
	{
		Errno: unix.ENOSPC, Calls: []string{"inotify", "inotify_add_watch"}, Manual: "inotify(7)",
		Causes: []Cause{{
			Name: "max_user_watches", Why: "a user watches so many files, all containers of the same user together (fs.inotify.max_user_watches; in a user namespace user.max_inotify_watches as well); that is no full disk", Check: "sysctl fs.inotify.max_user_watches user.max_inotify_watches", Fix: "sysctl -w fs.inotify.max_user_watches=524288", Learn: "user-namespace", test: manyWatches,
		}},
	},
}

func noBlocks(p *probe) verdict {
	var s unix.Statfs_t
	if p.object(0) == "" {
		return unknown("name the path: why ENOSPC write PATH")
	}
	if err := unix.Statfs(existing(p.object(0)), &s); err != nil {
		return unknown("%v", err)
	}
	if s.Blocks == 0 {
		return no("statfs of %s: it counts no blocks", p.object(0))
	}
	return when(s.Bavail == 0, "statfs of %s: %d of %d blocks free", p.object(0), s.Bavail, s.Blocks)
}

func noInodes(p *probe) verdict {
	var s unix.Statfs_t
	if p.object(0) == "" {
		return unknown("name the path: why ENOSPC write PATH")
	}
	if err := unix.Statfs(existing(p.object(0)), &s); err != nil {
		return unknown("%v", err)
	}
	return when(s.Files > 0 && s.Ffree == 0, "statfs of %s: %d of %d inodes free", p.object(0), s.Ffree, s.Files)
}

func manyFiles(p *probe) verdict {
	p = p.process()
	most, unlimited, known := p.limit("Max open files")
	if !known {
		return unknown("%s could not be read", p.proc("limits"))
	}
	n := len(opened("/proc/" + p.pid))
	if p.self() {
		return unknown("name the process: why EMFILE open PID (a new one may have %d)", most)
	}
	return when(!unlimited && uint64(n) >= most, "%s: %d open; Max open files: %d", p.proc("fd"), n, most)
}

func machineFiles(*probe) verdict {
	text, err := read("/proc/sys/fs/file-nr")
	var used, free, most uint64
	if n, _ := fmt.Sscan(text, &used, &free, &most); err != nil || n != 3 {
		return unknown("/proc/sys/fs/file-nr could not be read")
	}
	return when(used >= most, "/proc/sys/fs/file-nr: %d open, at most %d", used, most)
}

// The two counts that inotify(7) keeps of a user, in each user namespace and all above it.
var (
	inotifyInstances = inotifyCount{"instances", "inotify_init1", func(fd string) int {
		if to, err := os.Readlink(fd); err != nil || to != "anon_inode:inotify" {
			return 0
		}
		return 1
	}}
	inotifyWatches = inotifyCount{"watches", "inotify_add_watch", func(fd string) int {
		text, err := read(strings.Replace(fd, "/fd/", "/fdinfo/", 1))
		if err != nil {
			return 0
		}
		return strings.Count(text, "inotify wd:")
	}}
)

type inotifyCount struct {
	name, call string
	in         func(fd string) int // how many a descriptor stands for
}

func manyWatchers(p *probe) verdict { return inotifyInstances.full(p) }
func manyWatches(p *probe) verdict  { return inotifyWatches.full(p) }

// full tries to have one more, where it is this process that is asked about; of another it counts what its user has.
func (c inotifyCount) full(p *probe) verdict {
	id, _, _ := strings.Cut(p.status("Uid"), "\t")
	most, known := number("/proc/sys/fs/inotify/max_user_" + c.name)
	here, nested := number("/proc/sys/user/max_inotify_" + c.name)
	if !known {
		return unknown("fs.inotify.max_user_%s could not be read", c.name)
	}
	n := c.of(id)
	line := fmt.Sprintf("%s of user %s in /proc/*/fdinfo: %d; fs.inotify.max_user_%s = %d", c.name, id, n, c.name, most)
	if nested {
		line += fmt.Sprintf(", user.max_inotify_%s = %d", c.name, here)
	}
	if !p.self() {
		return when(n >= most, "%s", line)
	}
	err := c.more()
	return verdict{when(err == unix.EMFILE || err == unix.ENOSPC, "").holds, []string{line, "one more, as this process (" + c.call + "): " + text(err)}}
}

// of counts what processes of a user have that /proc shows.
func (c inotifyCount) of(user string) (n uint64) {
	for _, pid := range pids() {
		one := &probe{pid: itoa(pid)}
		if id, _, _ := strings.Cut(one.status("Uid"), "\t"); id != user {
			continue
		}
		names, _ := filepath.Glob(one.proc("fd/*"))
		for _, fd := range names {
			n += uint64(c.in(fd))
		}
	}
	return n
}

// more makes an instance with a watch, and lets go of both.
func (c inotifyCount) more() error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.InotifyAddWatch(fd, "/", unix.IN_DELETE_SELF)
	return err
}

// overQuota asks the file system what the process's user and group hold on it, and the path's owner and project.
func overQuota(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the path: why EDQUOT write PATH")
	}
	path := existing(p.object(0))
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return unknown("%s: %v", path, err)
	}
	all, err := volume.UsageAt(path, ids(s.Uid, p.status("Uid")), ids(s.Gid, p.status("Gid")))
	if err != nil {
		return unknown("%v", err)
	}
	var full, seen []string
	for _, u := range all {
		if u.MaxSize == 0 && u.MaxFiles == 0 {
			continue
		}
		line := fmt.Sprintf("quotactl_fd on %s: %s %d has %d of %d bytes, %d of %d files (0: no limit)", path, u.Kind, u.ID, u.Size, u.MaxSize, u.Files, u.MaxFiles)
		if seen = append(seen, line); u.Full() {
			full = append(full, line)
		}
	}
	switch {
	case full != nil:
		return verdict{Yes, full}
	case seen != nil:
		return verdict{No, seen}
	}
	m, _, err := p.on(path)
	if err != nil {
		return unknown("%v", err)
	}
	if m.kind == "overlay" {
		return unknown("%s lies on an overlay: the quota is one of the file system below its upper directory, on the host", path)
	}
	return no("quotactl_fd on %s: no limit for its owner, its group, its project or this process", path)
}

// ids are a file's owner and the one that the kernel takes for the process where files are concerned: the last of the line.
func ids(owner uint32, line string) []uint32 {
	all := []uint32{owner}
	if f := strings.Fields(line); len(f) == 4 {
		if id, err := strconv.ParseUint(f[3], 10, 32); err == nil && uint32(id) != owner {
			all = append(all, uint32(id))
		}
	}
	return all
}
