package why

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// idErrors follow kernel/user_namespace.c, map_write and new_idmap_permitted.
var idErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"uid_map", "gid_map"}, Objects: "[PID [LINE]]", Manual: "user_namespaces(7)",
		Causes: []Cause{
			{
				Name: "hidepid", Why: hidepidWhy, Check: hidepidCheck, Fix: hidepidFix, Learn: "user-namespace", test: hiddenBy("noaccess"),
			},
			{
				Name: "written already", Why: "a map is written once, in one write(2)", Check: "cat /proc/PID/uid_map", Fix: "make a new user namespace, and write all lines at once", Learn: "user-namespace", test: mapWritten,
			},
			armoredUsers,
			{
				Name: "setgroups", Why: "who has not CAP_SETGID above must write deny to /proc/PID/setgroups before the gid_map (since Linux 3.19)", Check: "cat /proc/PID/setgroups", Fix: "echo deny > /proc/PID/setgroups", Learn: "user-namespace", test: setGroups,
			},
			{
				Name: "more than one's own id", Why: "without CAP_SETUID in the namespace above (CAP_SETGID for groups) only one line of one id is allowed, which maps one's own", Check: "id -u; grep CapEff /proc/self/status",
				Fix: "newuidmap and newgidmap, with a line for the user in /etc/subuid and /etc/subgid; or map just yourself: --map-root-user", Learn: "user-namespace", test: noSetUID,
			},
			{
				Name: "no CAP_SETFCAP", Why: "to map the id 0 of the namespace above, its maker must have had CAP_SETFCAP (since Linux 5.12)", Check: "grep CapEff /proc/self/status", Fix: "keep that capability, or map another id to 0", Learn: "user-namespace",
				test: noSetFCap,
			},
			{
				Name: "id that is not mapped above", Why: "the second number of each line counts in the namespace above, and must be mapped there", Check: "cat /proc/self/uid_map", Fix: "take ids that this file has", Learn: "user-namespace", test: unmappedAbove,
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
		Errno: unix.EINVAL, Calls: []string{"newuidmap", "newgidmap"}, Objects: "[USER]", Manual: "newuidmap(1), subuid(5)",
		Causes: []Cause{{
			Name: "ranges that overlap", Why: "tools map all lines that /etc/subuid has for the user, each behind the other, and no id may stand twice in a map: nor in two lines of one user, nor as the user itself", Check: "grep USER /etc/subuid /etc/subgid; id -u USER", Fix: "one line for each user, of ids that nobody has: usermod --del-subuids FIRST-LAST USER", Learn: "user-namespace", test: overlapping,
		}},
	},
	{
		Errno: unix.EPERM, Calls: []string{"newuidmap", "newgidmap"}, Objects: "[USER]", Manual: "newuidmap(1), subuid(5)",
		Causes: []Cause{
			{
				Name: "no subordinate ids", Why: "newuidmap maps what /etc/subuid gives the user (newgidmap: /etc/subgid), and nothing else", Check: "grep USER /etc/subuid /etc/subgid", Fix: "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER", Learn: "user-namespace", test: noSubIDs,
			},
			{
				Name: "helper without rights", Why: "newuidmap must be setuid root, or have the file capability cap_setuid; on a mount with nosuid, or under no_new_privs, neither counts", Check: "ls -l $(command -v newuidmap); getcap $(command -v newuidmap); findmnt -T $(command -v newuidmap); grep NoNewPrivs /proc/self/status", Fix: "apt install --reinstall uidmap, on a mount without nosuid; in a container without --security-opt no-new-privileges", Learn: "user-namespace", test: weakHelper,
			},
			{
				Name: "in a user namespace already", Why: "what a user namespace does not map does not exist in it: inside a container the ids of /etc/subuid may be such", Check: "cat /proc/self/uid_map", Fix: "lines in /etc/subuid and /etc/subgid of ids that are mapped here; or map yourself alone: unshare --map-root-user", Learn: "user-namespace", test: nestedIDs,
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
		Errno: unix.EPERM, Calls: []string{"setgroups"}, Objects: "[PID]", Manual: "setgroups(2), user_namespaces(7)",
		Causes: []Cause{
			{
				Name: "denied in this user namespace", Why: "where deny stands in /proc/PID/setgroups nobody changes supplementary groups: without it, who maps just himself could leave a group that files forbid something to. unshare --map-root-user writes it",
				Check: "cat /proc/self/setgroups", Fix: "map more ids, by newgidmap, which needs no deny: unshare --map-root-user --map-auto", Learn: "user-namespace", test: groupsDenied,
			},
			{
				Name: "no CAP_SETGID", Why: "only who has CAP_SETGID changes supplementary groups", Check: "grep CapEff /proc/self/status", Fix: "as root; in a container without --cap-drop SETGID", Learn: "capabilities-seccomp",
				test: func(p *probe) verdict { return p.process().lacks(unix.CAP_SETGID) },
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

// mapLine is the line that was written: the second object, three numbers.
func (p *probe) mapLine() (inside, outside, length uint64, known bool) {
	n, _ := fmt.Sscan(p.object(1), &inside, &outside, &length)
	return inside, outside, length, n == 3 && length > 0
}

// mapper is the capability that the map of the question wants, and its file's, and the process's id of that kind.
func (p *probe) mapper() (capability int, file string, id uint64) {
	field := "Uid"
	capability, file = unix.CAP_SETUID, "uid_map"
	if strings.HasPrefix(p.call, "gid") || strings.HasPrefix(p.call, "newgid") {
		capability, file, field = unix.CAP_SETGID, "gid_map", "Gid"
	}
	if f := strings.Fields(p.status(field)); len(f) > 1 {
		id, _ = strconv.ParseUint(f[1], 10, 32)
	}
	return capability, file, id
}

func noSetUID(p *probe) verdict {
	capability, _, id := p.mapper()
	v := p.lacks(capability)
	if _, outside, length, known := p.mapLine(); known && v.holds == Yes {
		v.holds = when(length != 1 || outside != id, "").holds
		v.evidence = append(v.evidence, fmt.Sprintf("the line maps %d from %d on; one's own is %d", length, outside, id))
	}
	return v
}

// noSetFCap concerns those alone who may map id 0 otherwise.
func noSetFCap(p *probe) verdict {
	v := p.lacks(unix.CAP_SETFCAP)
	capability, file, id := p.mapper()
	_, outside, _, known := p.mapLine()
	switch {
	case v.holds != Yes:
	case file != "uid_map":
		return no("that concerns the uid_map alone")
	case id != 0 && p.lacks(capability).holds == Yes, known && outside != 0:
		v.holds = No
		v.evidence = append(v.evidence, "id 0 is not to be mapped")
	}
	return v
}

func setGroups(p *probe) verdict {
	if _, file, _ := p.mapper(); file != "gid_map" {
		return no("that concerns the gid_map alone")
	}
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

// allMapped says of a map's text that it has every id.
func allMapped(text string) bool { return strings.Join(strings.Fields(text), " ") == "0 0 4294967295" }

func unmappedAbove(p *probe) verdict {
	_, file, _ := p.mapper()
	text, err := read(p.proc(file))
	if err != nil {
		return unknown("%v", err)
	}
	line := fmt.Sprintf("%s: %q", p.proc(file), strings.Join(strings.Fields(text), " "))
	_, outside, length, known := p.mapLine()
	switch {
	case allMapped(text):
		return no("%s: all ids are mapped", line)
	case !known:
		return unknown("%s: others do not exist here; say what was written: why EPERM %s PID '0 1000 1'", line, file)
	}
	return when(!maps(text, outside, 0) || !maps(text, outside+length-1, 0), "%s; the line maps %d to %d", line, outside, outside+length-1)
}

// nestedIDs tests whether a range of the user's is mapped in the user namespace that the process is in.
func nestedIDs(p *probe) verdict {
	_, file, _ := p.mapper()
	text, err := read(p.proc(file))
	if err != nil {
		return unknown("%v", err)
	}
	line := fmt.Sprintf("%s: %q", p.proc(file), strings.Join(strings.Fields(text), " "))
	if allMapped(text) {
		return no("%s: all ids are mapped", line)
	}
	all, err := p.subordinate()
	if err != nil {
		return unknown("%s; %v", line, err)
	}
	for _, r := range all {
		if !maps(text, r.first, 0) || !maps(text, r.first+r.length-1, 0) {
			return yes("%s; %s has %s", line, p.subFile(), r)
		}
	}
	return no("%s", line)
}

func userNamespace(p *probe) verdict {
	ino, _ := p.namespace("user")
	return when(p.inUserNamespace(), "%s: user:[%d]; the first one is user:[%d]", p.proc("ns/user"), ino, initialUser)
}

// subordinate is a range that subuid(5) gives a user.
type subordinateRange struct{ first, length uint64 }

func (r subordinateRange) String() string {
	return fmt.Sprintf("%d to %d", r.first, r.first+r.length-1)
}

func (a subordinateRange) overlaps(b subordinateRange) bool {
	return a.first < b.first+b.length && b.first < a.first+a.length
}

// subFile is the file that has the ranges: newgidmap reads another one than newuidmap.
func (p *probe) subFile() string {
	if _, file, _ := p.mapper(); file == "gid_map" {
		return "/etc/subgid"
	}
	return "/etc/subuid"
}

// user is the one that an object names, by name and number, or the one that the process runs as.
func (p *probe) user() (name, id string, err error) {
	var u *user.User
	if name = p.object(0); name == "" {
		id, _, _ = strings.Cut(p.status("Uid"), "\t")
		if u, err = user.LookupId(id); err != nil {
			return id, id, nil // one without a name
		}
	} else if u, err = user.Lookup(name); err != nil {
		if u, err = user.LookupId(name); err != nil {
			return name, name, fmt.Errorf("there is no user %s", name)
		}
	}
	return u.Username, u.Uid, nil
}

// subordinate are the ranges of the user.
func (p *probe) subordinate() (all []subordinateRange, err error) {
	name, id, err := p.user()
	if err != nil {
		return nil, err
	}
	text, err := read(p.subFile())
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		var r subordinateRange
		if len(f) != 3 || f[0] != name && f[0] != id {
			continue
		}
		if n, _ := fmt.Sscan(f[1]+" "+f[2], &r.first, &r.length); n == 2 && r.length > 0 {
			all = append(all, r)
		}
	}
	return all, err
}

func noSubIDs(p *probe) verdict {
	name, _, err := p.user()
	if err != nil {
		return unknown("%v", err)
	}
	all, err := p.subordinate()
	switch {
	case err != nil:
		return yes("%v", err)
	case len(all) == 0:
		return yes("%s has no line for %s", p.subFile(), name)
	}
	return no("%s gives %s %s", p.subFile(), name, listed(all))
}

// listed names values that can say what they are.
func listed[T fmt.Stringer](all []T) string {
	var words []string
	for _, v := range all {
		words = append(words, v.String())
	}
	return list(words)
}

func weakHelper(p *probe) verdict {
	name := orElse(p.call, "newuidmap")
	path, err := exec.LookPath(name)
	if err != nil {
		return yes("%v", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return unknown("%v", err)
	}
	n, err := unix.Getxattr(path, "security.capability", nil)
	capable := err == nil && n > 0
	line := fmt.Sprintf("%s: mode %s, file capabilities: %v", path, info.Mode(), capable)
	if info.Mode()&os.ModeSetuid == 0 && !capable {
		return yes("%s", line)
	}
	if p.status("NoNewPrivs") == "1" {
		return yes("%s; NoNewPrivs in %s: 1", line, p.proc("status"))
	}
	if m, _, err := p.on(path); err == nil && contains(m.options, "nosuid") {
		return yes("%s; %s: %s", line, p.proc("mountinfo"), m)
	}
	return no("%s", line)
}

// overlapping tests whether an id would stand twice in the map that tools write for the user: themselves, then all their ranges.
func overlapping(p *probe) verdict {
	_, id, err := p.user()
	if err != nil {
		return unknown("%v", err)
	}
	all, err := p.subordinate()
	if err != nil {
		return unknown("%v", err)
	}
	own, _ := strconv.ParseUint(id, 10, 32)
	for i, a := range all {
		if a.overlaps(subordinateRange{own, 1}) {
			return yes("%s: %s has the user's own id, %s", p.subFile(), a, id)
		}
		for _, b := range all[i+1:] {
			if a.overlaps(b) {
				return yes("%s: %s and %s", p.subFile(), a, b)
			}
		}
	}
	return no("%s: %s", p.subFile(), orElse(listed(all), "no range"))
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

func groupsDenied(p *probe) verdict {
	p = p.process()
	text, err := read(p.proc("setgroups"))
	if err != nil {
		return unknown("%v", err)
	}
	return when(text == "deny", "%s: %s", p.proc("setgroups"), text)
}
