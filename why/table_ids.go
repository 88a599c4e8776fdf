package why

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strings"

	"golang.org/x/sys/unix"
)

// idErrors follow kernel/user_namespace.c, map_write and new_idmap_permitted.
var idErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"uid_map", "gid_map"}, Objects: "[PID]", Manual: "user_namespaces(7)",
		Causes: []Cause{
			{
				Name: "hidepid", Why: hidepidWhy, Check: hidepidCheck, Fix: hidepidFix, Learn: "user-namespace", test: hiddenBy("noaccess"),
			},
			{
				Name: "written already", Why: "a map is written once, in one write(2)", Check: "cat /proc/PID/uid_map", Fix: "make a new user namespace, and write all lines at once", Learn: "user-namespace", test: mapWritten,
			},
			{
				Name: "user namespaces need AppArmor's leave", Why: "Ubuntu 24.04 and later let a program that is not confined make a user namespace and take its capabilities away, so that its map can no more be written",
				Check: "sysctl kernel.apparmor_restrict_unprivileged_userns",
				Fix:   "a profile for the one program, in /etc/apparmor.d: profile NAME /PATH/OF/PROGRAM flags=(unconfined) { userns, }   The setting at 0 would do, and opens it to every program",
				Learn: "user-namespace", test: appArmorUsers,
			},
			{
				Name: "more than one's own id", Why: "without CAP_SETUID in the namespace above (CAP_SETGID for groups) only one line of one id is allowed, which maps one's own", Check: "id -u; grep CapEff /proc/self/status",
				Fix: "newuidmap and newgidmap, with a line for the user in /etc/subuid and /etc/subgid; or map just yourself: --map-root-user", Learn: "user-namespace", test: noSetUID,
			},
			{
				Name: "setgroups", Why: "who has not CAP_SETGID above must write deny to /proc/PID/setgroups before the gid_map (since Linux 3.19)", Check: "cat /proc/PID/setgroups", Fix: "echo deny > /proc/PID/setgroups", Learn: "user-namespace", test: setGroups,
			},
			{
				Name: "no CAP_SETFCAP", Why: "to map the id 0 of the namespace above, its maker must have had CAP_SETFCAP (since Linux 5.12)", Check: "grep CapEff /proc/self/status", Fix: "keep that capability, or map another id to 0", Learn: "user-namespace",
				test: func(p *probe) verdict { return p.lacks(unix.CAP_SETFCAP) },
			},
			{
				Name: "id that is not mapped above", Why: "the second number of each line counts in the namespace above, and must be mapped there", Check: "cat /proc/self/uid_map", Fix: "take ids that this file has", Learn: "user-namespace", test: fewIDs,
			},
		},
	},
	{
		Errno: unix.EINVAL, Calls: []string{"uid_map", "gid_map"}, Manual: "user_namespaces(7)",
		Causes: []Cause{{
			Name: "form of the map", Why: "lines of three numbers, at most 340, that overlap in neither column, none of length 0, written at offset 0", Check: "cat the lines that are written", Fix: "ranges that do not overlap", Learn: "user-namespace",
		}},
	},
	{
		Errno: unix.EPERM, Calls: []string{"newuidmap", "newgidmap"}, Objects: "[USER]", Manual: "newuidmap(1), subuid(5)",
		Causes: []Cause{
			{
				Name: "no subordinate ids", Why: "newuidmap maps what /etc/subuid gives the user, and nothing else", Check: "grep USER /etc/subuid /etc/subgid", Fix: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER", Learn: "user-namespace", test: noSubIDs,
			},
			{
				Name: "helper without rights", Why: "newuidmap must be setuid root, or have the file capability cap_setuid", Check: "ls -l $(command -v newuidmap); getcap $(command -v newuidmap)", Fix: "install the package uidmap anew, on a mount without nosuid", Learn: "user-namespace", test: weakHelper,
			},
			{
				Name: "in a user namespace already", Why: "inside a container the ids of /etc/subuid may not be mapped", Check: "cat /proc/self/uid_map", Fix: "give the outer one more ids, or map one id only", Learn: "user-namespace", test: fewIDs,
			},
			{
				Name: "ranges that overlap", Why: "two users whose ranges overlap own each other's files; helpers refuse, or should", Check: "sort -t: -k2n /etc/subuid", Fix: "give each user a range of its own", Learn: "user-namespace", test: overlapping,
			},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"chown", "lchown", "fchown", "fchownat"}, Objects: "[PATH]", Manual: "chown(2)",
		Causes: []Cause{
			{
				Name: "no CAP_CHOWN", Why: "only who has CAP_CHOWN gives files away", Check: "grep CapEff /proc/self/status", Fix: "as root; in a container without --cap-drop CHOWN", Learn: "capabilities-seccomp",
				test: func(p *probe) verdict { return p.lacks(unix.CAP_CHOWN) },
			},
			{
				Name: "owner that is not mapped", Why: "in a user namespace CAP_CHOWN counts for files whose owner and group are mapped; others show as 65534 (nobody)", Check: "stat -c '%u %g' PATH; cat /proc/self/uid_map", Fix: "map those ids, or change the owner from outside", Learn: "user-namespace", test: unmappedOwner,
			},
			{
				Name: "immutable", Why: "a file with the attribute i or a cannot be changed, by root neither", Check: "lsattr -d PATH", Fix: "chattr -i PATH", Learn: "volumes", test: immutable,
			},
		},
	},
	{
		Errno: unix.EINVAL, Calls: []string{"chown", "lchown", "fchown", "fchownat", "setuid", "setgid", "setgroups"}, Objects: "[ID]", Manual: "user_namespaces(7)",
		Causes: []Cause{{
			Name: "id that is not mapped", Why: "a user or group that the user namespace does not map does not exist in it: images unpacked with one mapped id fail so", Check: "cat /proc/self/uid_map /proc/self/gid_map", Fix: "map more ids: unshare --map-root-user --map-auto, which takes those of /etc/subuid; glassbox: run it as root", Learn: "user-namespace", test: unmappedID,
		}},
	},
	{
		Errno: unix.EPERM, Calls: []string{"mknod", "mknodat"}, Manual: "mknod(2)",
		Causes: []Cause{
			{
				Name: "no CAP_MKNOD", Why: "device nodes are made with CAP_MKNOD", Check: "grep CapEff /proc/self/status", Fix: "--device /dev/NAME gives a container the node", Learn: "capabilities-seccomp",
				test: func(p *probe) verdict { return p.lacks(unix.CAP_MKNOD) },
			},
			{
				Name: "user namespace", Why: "device nodes are the first user namespace's alone: CAP_MKNOD in another one does not count", Check: "readlink /proc/self/ns/user", Fix: "bind the node from outside: --device, or -v /dev/fuse:/dev/fuse", Learn: "user-namespace", test: userNamespace,
			},
			{
				Name: "device filter", Why: "a cgroup's device program (BPF_CGROUP_DEVICE) allows containers few devices", Check: "bpftool cgroup tree", Fix: "--device /dev/NAME:rwm, or --device-cgroup-rule", Learn: "capabilities-seccomp",
			},
			{
				Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp",
				test: func(p *probe) verdict {
					return p.filtered(unix.EPERM, func() error { return unix.Mknod(nowhere+"/x", unix.S_IFIFO|0o600, 0) })
				},
			},
		},
	},
}

func mapWritten(p *probe) verdict {
	p = p.process()
	text, err := read(p.proc("uid_map"))
	if err != nil {
		return unknown("%v", err)
	}
	if p.self() {
		return unknown("name the process whose map it is: why EPERM uid_map PID")
	}
	return when(text != "", "%s: %q", p.proc("uid_map"), strings.Join(strings.Fields(text), " "))
}

func noSetUID(p *probe) verdict { return p.lacks(unix.CAP_SETUID) }

func setGroups(p *probe) verdict {
	target := p.process()
	text, err := read(target.proc("setgroups"))
	if err != nil {
		return unknown("%v", err)
	}
	line := target.proc("setgroups") + ": " + text
	if v := p.lacks(unix.CAP_SETGID); v.holds == No {
		return verdict{No, append(v.evidence, line)}
	}
	return when(text == "allow", "%s", line)
}

func fewIDs(p *probe) verdict {
	text, err := read(p.proc("uid_map"))
	if err != nil {
		return unknown("%v", err)
	}
	line := fmt.Sprintf("%s: %q", p.proc("uid_map"), strings.Join(strings.Fields(text), " "))
	if strings.Join(strings.Fields(text), " ") == "0 0 4294967295" {
		return no("%s: all ids are mapped", line)
	}
	return unknown("%s: others do not exist here", line)
}

func userNamespace(p *probe) verdict {
	ino, _ := p.namespace("user")
	return when(p.inUserNamespace(), "%s: user:[%d]; the first one is user:[%d]", p.proc("ns/user"), ino, initialUser)
}

// subordinate are the lines of /etc/subuid.
func subordinate() (lines [][]string) {
	text, _ := read("/etc/subuid")
	for line := range strings.Lines(text) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 3 {
			lines = append(lines, f)
		}
	}
	return lines
}

func noSubIDs(p *probe) verdict {
	name, id := p.object(0), ""
	if name == "" {
		u, err := user.Current()
		if err != nil {
			return unknown("%v", err)
		}
		name, id = u.Username, u.Uid
	}
	for _, f := range subordinate() {
		if f[0] == name || f[0] == id {
			return no("/etc/subuid: %s", strings.Join(f, ":"))
		}
	}
	return yes("/etc/subuid has no line for %s", name)
}

func weakHelper(p *probe) verdict {
	path, err := exec.LookPath("newuidmap")
	if err != nil {
		return yes("%v", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return unknown("%v", err)
	}
	n, err := unix.Getxattr(path, "security.capability", nil)
	fit := info.Mode()&os.ModeSetuid != 0 || err == nil && n > 0
	return when(!fit, "%s: mode %s, file capabilities: %v", path, info.Mode(), err == nil && n > 0)
}

func overlapping(p *probe) verdict {
	all := subordinate()
	for i, a := range all {
		for _, b := range all[i+1:] {
			var x, nx, y, ny uint64
			if c, _ := fmt.Sscan(a[1]+" "+a[2]+" "+b[1]+" "+b[2], &x, &nx, &y, &ny); c == 4 && x < y+ny && y < x+nx && a[0] != b[0] {
				return yes("/etc/subuid: %s and %s", strings.Join(a, ":"), strings.Join(b, ":"))
			}
		}
	}
	return no("/etc/subuid: %d lines, none overlaps another's", len(all))
}

func unmappedOwner(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the file: why EPERM chown PATH")
	}
	if !p.inUserNamespace() {
		return no("%s is the first user namespace: all ids are mapped", p.proc("ns/user"))
	}
	var s unix.Stat_t
	if err := unix.Lstat(p.object(0), &s); err != nil {
		return unknown("%s: %v", p.object(0), err)
	}
	overflow, _ := number("/proc/sys/kernel/overflowuid")
	return when(uint64(s.Uid) == overflow, "owner of %s: %d; /proc/sys/kernel/overflowuid: %d", p.object(0), s.Uid, overflow)
}

func immutable(p *probe) verdict {
	if p.object(0) == "" {
		return unknown("name the file: why EPERM chown PATH")
	}
	var s unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, p.object(0), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &s); err != nil {
		return unknown("%s: %v", p.object(0), err)
	}
	fixed, appends := s.Attributes&unix.STATX_ATTR_IMMUTABLE != 0, s.Attributes&unix.STATX_ATTR_APPEND != 0
	return when(fixed || appends, "statx of %s: immutable %v, append-only %v", p.object(0), fixed, appends)
}

func unmappedID(p *probe) verdict {
	text, err := read(p.proc("uid_map"))
	if err != nil {
		return unknown("%v", err)
	}
	var id uint64
	if _, err := fmt.Sscan(p.object(0), &id); err != nil {
		if !p.inUserNamespace() {
			return no("%s is the first user namespace: all ids are mapped", p.proc("ns/user"))
		}
		return when(strings.Join(strings.Fields(text), " ") != "0 0 4294967295", "%s: %q: other ids do not exist here", p.proc("uid_map"), strings.Join(strings.Fields(text), " "))
	}
	return when(!maps(text, id, 0), "%d in %s: %v", id, p.proc("uid_map"), maps(text, id, 0))
}
