package why

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

var fileErrors = []Known{
	{
		Errno: unix.EACCES, Calls: []string{"open", "write", "read", "mkdir", "unlink"}, Objects: "PATH", Manual: "path_resolution(7), capabilities(7)",
		Causes: []Cause{
			{
				Name: "no way through", Why: "every directory of the path must be searchable (x) by the process", Check: "namei -l PATH", Fix: "chmod +x the directory", Learn: "volumes", test: blockedFile,
			},
			{
				Name: "numbers that differ", Why: "the kernel compares numbers, not names: a file of user 1000 on the host belongs to user 1000 in the container, whoever that is there", Check: "ls -ln PATH; id", Fix: "run it with -u $(id -u):$(id -g), or chown the directory", Learn: "volumes", test: otherOwner,
			},
			fileModule,
		},
	},
	{
		Errno: unix.EXDEV, Calls: []string{"rename", "link"}, Objects: "OLD NEW", Manual: "rename(2)",
		Causes: []Cause{
			{
				Name: "two mounts", Why: "a name is moved within one mount: between two the file must be copied, also where both show the same file system", Check: "findmnt -T OLD; findmnt -T NEW", Fix: "mv copies by itself; put both on one volume", Learn: "volumes", test: twoMounts,
			},
			{
				Name: "directory of a lower layer", Why: "overlayfs renames a directory that a lower layer has only with redirect_dir=on: without it, EXDEV, and mv copies", Check: "glassbox layers CONTAINER DIR; cat /sys/module/overlay/parameters/redirect_dir", Fix: "let mv copy it", Learn: "layers", test: lowerDirectory,
			},
		},
	},
	{
		Errno: unix.ELOOP, Calls: []string{"open", "stat", "mount"}, Objects: "PATH", Manual: "path_resolution(7)",
		Causes: []Cause{{
			Name: "links in a circle", Why: "a path leads through at most 40 symbolic links", Check: "namei PATH", Fix: "readlink -f shows the last good one; remove the circle", Learn: "volumes", test: circle,
		}},
	},
	{
		Errno: unix.EPERM, Calls: []string{"unlink", "write", "rename", "open", "rm"}, Objects: "PATH", Manual: "unlink(2)",
		Causes: []Cause{
			{Name: "immutable", Why: "a file with the attribute i or a cannot be changed, by root neither", Check: "lsattr -d PATH", Fix: "chattr -i PATH", Learn: "volumes", test: immutable},
			{Name: "sticky directory", Why: "in a directory with the t bit only a file's owner removes it", Check: "ls -ld $(dirname PATH)", Fix: "as its owner, or as root", Learn: "volumes", test: sticky},
		},
	},
}

// blockedFile looks at the directories that lead to a file, and at the object itself if it is one.
func blockedFile(p *probe) verdict {
	path := whole(p.object(0))
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path += "/"
	}
	return p.blockedPath(path)
}

// otherOwner looks at the file, or at the directory in which it would have been made.
func otherOwner(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the file: why EACCES open PATH")
	}
	path := existing(p.object(0))
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		return unknown("%s: %v", path, err)
	}
	if !p.self() {
		return p.elsewhere()
	}
	reads, writes := unix.Access(path, unix.R_OK), unix.Access(path, unix.W_OK)
	line := fmt.Sprintf("%s: mode %04o, owner %d, group %d; this process is %d:%d", path, s.Mode&0o7777, s.Uid, s.Gid, os.Geteuid(), os.Getegid())
	return when((reads == unix.EACCES || writes == unix.EACCES) && int(s.Uid) != os.Geteuid(), "%s; read: %s, write: %s", line, may(reads), may(writes))
}

func may(err error) string {
	if err == nil {
		return "yes"
	}
	return err.Error()
}

func twoMounts(p *probe) verdict {
	if len(p.objects) < 2 {
		return unknown("name both: why EXDEV rename OLD NEW")
	}
	a, _, err := p.on(existing(p.object(0)))
	if err != nil {
		return unknown("%v", err)
	}
	b, _, err := p.on(existing(p.object(1)))
	if err != nil {
		return unknown("%v", err)
	}
	return when(a.id != b.id, "statx: %s lies on mount %d (%s), %s on mount %d (%s)", p.object(0), a.id, a.point, p.object(1), b.id, b.point)
}

func lowerDirectory(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name both: why EXDEV rename OLD NEW")
	}
	m, _, err := p.on(existing(p.object(0)))
	if err != nil {
		return unknown("%v", err)
	}
	if m.kind != "overlay" {
		return no("%s lies on %s", p.object(0), m)
	}
	info, err := os.Stat(p.object(0))
	if err != nil {
		return unknown("%v", err)
	}
	if contains(m.super, "redirect_dir=on") || !info.IsDir() {
		return no("%s: directory %v, overlay with %s", p.object(0), info.IsDir(), strings.Join(m.super, ","))
	}
	rel, err := filepath.Rel(m.point, whole(p.object(0)))
	if err != nil {
		return unknown("%v", err)
	}
	hidden := 0
	for _, layer := range m.lower() {
		if there(filepath.Join(layer, rel)) {
			return yes("%s is a directory on an overlay without redirect_dir=on, and its layer %s has it", p.object(0), layer)
		}
		if !there(layer) {
			hidden++
		}
	}
	if hidden > 0 {
		return unknown("%s is a directory on an overlay without redirect_dir=on; %d of its layers cannot be seen from here: glassbox layers tells", p.object(0), hidden)
	}
	return no("%s: none of the overlay's layers has it", p.object(0))
}

func circle(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the path: why ELOOP open PATH")
	}
	var s unix.Stat_t
	err := unix.Stat(p.object(0), &s)
	return when(err == unix.ELOOP, "stat of %s: %s", p.object(0), may(err))
}

func sticky(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the file: why EPERM unlink PATH")
	}
	var dir, file unix.Stat_t
	if unix.Stat(filepath.Dir(p.object(0)), &dir) != nil || unix.Lstat(p.object(0), &file) != nil {
		return unknown("%s cannot be looked at", p.object(0))
	}
	me := uint32(os.Geteuid())
	return when(dir.Mode&unix.S_ISVTX != 0 && me != 0 && me != dir.Uid && me != file.Uid, "mode of its directory: %04o, owner %d; owner of the file %d; this process is %d", dir.Mode&0o7777, dir.Uid, file.Uid, me)
}
