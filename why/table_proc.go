package why

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What hidepid has in common, whichever way it answers.
const (
	hidepidWhy   = "a /proc that is mounted with hidepid shows a process's files to those alone who may ptrace it: =noaccess answers EPERM to others, =invisible ENOENT"
	hidepidCheck = "grep hidepid /proc/self/mounts"
	hidepidFix   = "as root, or in the group that the option gid= names; for all: mount -o remount,hidepid=0 /proc"
)

// procErrors are about mounting proc and sysfs, and about looking into /proc: fs/namespace.c, mount_too_revealing, and fs/proc/base.c,
// proc_pid_permission.
var procErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"proc", "sysfs", "fsmount", "mount_too_revealing"}, Objects: "[PID]", Manual: "user_namespaces(7), proc(5)",
		Causes: []Cause{
			{
				Name: "too revealing", Why: "a new proc or sysfs in a user namespace must not show more than one that is visible already: where mounts cover files of every visible one, as containers' masks do, the kernel refuses (mount_too_revealing)",
				Check: "findmnt -R /proc", Fix: "bind the /proc that is there (mount --rbind /proc DIR): ps shows the outer namespace's processes then (glassbox experiment --without proc-mount); or start the outer container with --security-opt systempaths=unconfined",
				Learn: "user-namespace", test: tooRevealing,
			},
			{
				Name: "options of the visible one", Why: "in a user namespace a new proc or sysfs must have the options that are locked on the one that is visible: ro, and noatime or whichever times of access it keeps",
				Check: "grep -E ' (proc|sysfs) ' /proc/self/mounts", Fix: "mount it with the same: mount -t proc -o ro,noatime proc DIR", Learn: "user-namespace", test: lockedView,
			},
			{
				Name: "pid namespace of another user namespace", Why: "proc shows a PID namespace, so mounting it wants CAP_SYS_ADMIN in the user namespace that owns that; sysfs asks the same of the network namespace",
				Check: "readlink /proc/self/ns/user /proc/self/ns/pid", Fix: "make them together: unshare --user --map-root-user --mount --pid --fork --mount-proc",
				Learn: "pid-namespace", test: func(p *probe) verdict { return p.process().foreign("pid") },
			},
			noAdmin, foreignMounts,
		},
		tried: func(p *probe) []string { return p.tryMount() },
	},
	{
		Errno: unix.ENOENT, Calls: []string{"proc", "uid_map", "gid_map"}, Objects: "PID", Manual: "proc(5), proc_pid(5)",
		Causes: []Cause{
			{
				Name: "no such process", Why: "/proc has a directory for each process of the PID namespace of who mounted it, as long as the process is there", Check: "kill -0 PID; readlink /proc/self/ns/pid", Fix: "look while it runs, with the number that it has in this PID namespace", Learn: "pid-namespace", test: noProcess,
			},
			{Name: "hidepid", Why: hidepidWhy, Check: hidepidCheck, Fix: hidepidFix, Learn: "user-namespace", test: hiddenBy("invisible")},
		},
	},
}

// kind is the file system that is asked about.
func (p *probe) kind() string {
	if p.call == "sysfs" {
		return "sysfs"
	}
	return "proc"
}

// tryMount makes a mount that is attached nowhere, and lets go of it.
func (p *probe) tryMount() []string {
	if !p.process().self() {
		return nil
	}
	said, err := attempt(p.kind(), 0)
	line := "fsopen, fsconfig(FSCONFIG_CMD_CREATE) and fsmount of " + p.kind() + ", as this process: "
	switch {
	case err == nil:
		return []string{line + "it may"}
	case said != "":
		return []string{line + err.Error() + `; the kernel's word: "` + said + `"`}
	}
	return []string{line + err.Error()}
}

// attempt makes a file system and a mount of it. What the kernel says of a failure it leaves in the descriptor of fsopen(2): "VFS: Mount too revealing".
func attempt(kind string, attributes int) (said string, err error) {
	fd, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return "", os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fd)
	if err := unix.FsconfigCreate(fd); err != nil {
		return lastWord(fd), os.NewSyscallError("fsconfig", err)
	}
	mount, err := unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, attributes)
	if err != nil {
		return lastWord(fd), os.NewSyscallError("fsmount", err)
	}
	return "", unix.Close(mount)
}

// lastWord is the last message of a file system context.
func lastWord(fd int) string {
	all := messages(fd)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// revealing says whether the kernel refused for what would be seen.
func revealing(said string, err error) bool {
	return err != nil && strings.Contains(said, "too revealing")
}

// visible are the mounts of the kind that show the whole file system, and of each what covers parts of it.
func (p *probe) visible() (all []mounted, covers [][]string) {
	table := p.mounts()
	for _, m := range table {
		if m.kind != p.kind() || m.root != "/" {
			continue
		}
		var points []string
		for _, over := range table {
			if over.parent == m.id && over.id != m.id && !slices.Contains(alwaysEmpty, strings.TrimPrefix(over.point, strings.TrimSuffix(m.point, "/"))) {
				points = append(points, over.point)
			}
		}
		all, covers = append(all, m), append(covers, points)
	}
	return all, covers
}

// alwaysEmpty are directories of proc and sysfs that are made to be mounted on: what covers them hides nothing.
var alwaysEmpty = []string{
	"/sys/fs/binfmt_misc", "/fs/nfsd", "/fs/cgroup", "/fs/bpf", "/fs/pstore", "/fs/selinux", "/fs/smackfs", "/fs/fuse/connections", "/fs/resctrl",
	"/kernel/debug", "/kernel/tracing", "/kernel/security", "/kernel/config", "/firmware/efi/efivars",
}

// covered tells of each visible mount what covers it; nil if one of them is whole.
func (p *probe) covered() (lines []string) {
	all, covers := p.visible()
	for i, m := range all {
		if len(covers[i]) == 0 {
			return nil
		}
		lines = append(lines, m.point+" is covered at "+list(covers[i]))
	}
	if lines == nil {
		return []string{fmt.Sprintf("%s: no whole %s is mounted", p.proc("mountinfo"), p.kind())}
	}
	return lines
}

// tooRevealing asks the kernel where it can: which of the mounts are locked, mountinfo does not say.
func tooRevealing(p *probe) verdict {
	covered := p.covered()
	inside := p.process().inUserNamespace()
	tried := p.process().self() && !p.born
	said, err := "", error(nil)
	if tried && inside {
		said, err = attempt(p.kind(), 0)
	}
	switch {
	case (p.born || inside && !tried) && covered != nil, revealing(said, err) && lockedView(p).holds != Yes:
		return verdict{Yes, covered}
	case covered == nil:
		return no("%s: a %s is whole", p.proc("mountinfo"), p.kind())
	case !inside:
		return verdict{No, append([]string{p.proc("ns/user") + " is the first user namespace, where the rule does not apply; in one that is made from here it would:"}, covered...)}
	}
	return verdict{No, append([]string{"what covers it was mounted in this namespace, and is not locked; in one that is made from here it would be:"}, covered...)}
}

// lockedView tries the options of those that are visible, where without any it is refused.
func lockedView(p *probe) verdict {
	if !p.process().inUserNamespace() {
		return no("%s is the first user namespace: nothing is locked", p.proc("ns/user"))
	}
	all, _ := p.visible()
	if !p.process().self() {
		for _, m := range all {
			if m.readOnly() || !slices.Contains(m.options, "relatime") {
				return unknown("%s: %s; whether these options are locked, the kernel does not tell", p.proc("mountinfo"), m)
			}
		}
		return no("%s: no %s is mounted with ro, or without relatime", p.proc("mountinfo"), p.kind())
	}
	said, err := attempt(p.kind(), 0)
	if !revealing(said, err) {
		return no("fsmount of %s without options: %s", p.kind(), text(err))
	}
	for _, m := range all {
		if _, err := attempt(p.kind(), m.attributes()); err == nil {
			return yes("fsmount of %s without options: %q; with those of %s it may be made", p.kind(), said, m)
		}
	}
	return no("fsmount of %s with the options of those that are visible is refused as well", p.kind())
}

// attributes are a mount's options as fsmount(2) takes them.
func (m mounted) attributes() (flags int) {
	for name, flag := range map[string]int{
		"ro": unix.MOUNT_ATTR_RDONLY, "nosuid": unix.MOUNT_ATTR_NOSUID, "nodev": unix.MOUNT_ATTR_NODEV, "noexec": unix.MOUNT_ATTR_NOEXEC, "nodiratime": unix.MOUNT_ATTR_NODIRATIME,
	} {
		if slices.Contains(m.options, name) {
			flags |= flag
		}
	}
	switch {
	case slices.Contains(m.options, "noatime"):
		flags |= unix.MOUNT_ATTR_NOATIME
	case !slices.Contains(m.options, "relatime"):
		flags |= unix.MOUNT_ATTR_STRICTATIME
	}
	return flags
}

// pidOf is the process that an object names: 77, or /proc/77/uid_map.
func pidOf(object string) (int, bool) {
	if rest, is := strings.CutPrefix(filepath.Clean(object), "/proc/"); is {
		object, _, _ = strings.Cut(rest, "/")
	}
	n, err := strconv.Atoi(object)
	return n, err == nil && n > 0
}

func noProcess(p *probe) verdict {
	pid, known := pidOf(p.object(0))
	if !known {
		return unknown("name the process: why ENOENT proc PID")
	}
	err := unix.Kill(pid, 0)
	return when(err == unix.ESRCH, "kill(%d, 0), which sends nothing: %s", pid, exists(err))
}

func exists(err error) string {
	if err == nil || err == unix.EPERM {
		return "there is such a process"
	}
	return err.Error()
}

// hiddenBy tests whether /proc hides the process, by the option that answers so. A kernel before 5.8 shows the option as a number.
func hiddenBy(word string) func(*probe) verdict {
	number := map[string]string{"noaccess": "1", "invisible": "2"}[word]
	return func(p *probe) verdict {
		option := ""
		for _, m := range p.mounts() { // the last one is on top
			if m.kind == "proc" && m.point == "/proc" {
				i := slices.IndexFunc(m.super, func(o string) bool { return strings.HasPrefix(o, "hidepid=") })
				if option = ""; i >= 0 {
					option = m.super[i]
				}
			}
		}
		if option != "hidepid="+word && option != "hidepid="+number {
			return no("%s: /proc has %s", p.proc("mountinfo"), orElse(option, "no hidepid"))
		}
		pid, known := pidOf(p.object(0))
		if !known {
			return unknown("%s: /proc has %s; name the process", p.proc("mountinfo"), option)
		}
		_, err := read("/proc/" + itoa(pid) + "/stat") // which anybody may read otherwise
		alive := exists(unix.Kill(pid, 0))
		return when(err != nil && alive == exists(nil), "%s: /proc has %s; kill(%d, 0): %s; /proc/%d/stat: %s", p.proc("mountinfo"), option, pid, alive, pid, looked(err))
	}
}

func looked(err error) string {
	if err == nil {
		return "can be read"
	}
	return err.Error()
}
