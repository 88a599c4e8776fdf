package why

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

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
		Causes: []Cause{{Name: "quota", Why: "a user, group or project has used what it may: --storage-opt size= and volumes with a size are project quotas", Check: "quota; lsattr -pd PATH", Fix: "remove files, or a larger size", Learn: "volumes"}},
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
			Name: "max_user_instances", Why: "a user has so many inotify instances, all containers of the same user together (fs.inotify.max_user_instances, 128)", Check: "sysctl fs.inotify.max_user_instances; find /proc/*/fd -lname anon_inode:inotify", Fix: "sysctl -w fs.inotify.max_user_instances=1024", Learn: "user-namespace", test: manyWatchers,
		}},
		tried: func(*probe) []string {
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			if err == nil {
				unix.Close(fd)
			}
			return []string{"inotify_init1, as this process: " + text(err)}
		},
	},
	{
		Errno: unix.ENOSPC, Calls: []string{"inotify", "inotify_add_watch"}, Manual: "inotify(7)",
		Causes: []Cause{{
			Name: "max_user_watches", Why: "a user watches so many files, all containers of the same user together; that is no full disk", Check: "sysctl fs.inotify.max_user_watches", Fix: "sysctl -w fs.inotify.max_user_watches=524288", Learn: "user-namespace", test: manyWatches,
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

func manyWatchers(*probe) verdict {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	most, _ := sysctl("fs.inotify.max_user_instances")
	return when(err == unix.EMFILE, "inotify_init1: %s; fs.inotify.max_user_instances = %s", text(err), most)
}

// manyWatches counts what the inotify instances of all processes watch, which their fdinfo lists.
func manyWatches(*probe) verdict {
	most, known := number("/proc/sys/fs/inotify/max_user_watches")
	if !known {
		return unknown("fs.inotify.max_user_watches could not be read")
	}
	var n uint64
	names, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*")
	for _, name := range names {
		if text, err := read(name); err == nil {
			n += uint64(strings.Count(text, "inotify wd:"))
		}
	}
	return when(n >= most, "watches in /proc/*/fdinfo: %s, of all users; fs.inotify.max_user_watches = %d", strconv.FormatUint(n, 10), most)
}
