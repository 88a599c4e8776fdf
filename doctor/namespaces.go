package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"glassbox/program"

	"golang.org/x/sys/unix"
)

func namespaceProbes() []probe {
	return []probe{
		namespace("pid", unix.CLONE_NEWPID, "its processes are numbered from 1", "pid-namespace"),
		namespace("mount", unix.CLONE_NEWNS, "it has a list of mounts of its own", "mount-namespace"),
		namespace("uts", unix.CLONE_NEWUTS, "it has a host name of its own", "uts-namespace"),
		namespace("ipc", unix.CLONE_NEWIPC, "it has shared memory and queues of its own", "ipc-namespace"),
		namespace("net", unix.CLONE_NEWNET, "it has interfaces, addresses and ports of its own", "net-namespace"),
		namespace("cgroup", unix.CLONE_NEWCGROUP, "it sees its group as the root of the tree", "cgroup-namespace"),
		namespace("user", unix.CLONE_NEWUSER, "its root is nobody on the host (--userns)", "user-namespace"),
		namespace("time", unix.CLONE_NEWTIME, "its clocks can begin elsewhere", "time-namespace"),
		{"namespaces", "time-offsets", "the time namespace's clocks are shifted by a file", "time-namespace", tryOffsets},
		{"namespaces", "limits", "each kind of namespace is counted, for each user in each user namespace", "user-namespace", tryNamespaceLimits},
		{"namespaces", "unprivileged", "who is not root makes namespaces inside a user namespace of its own (unshare -r; rootless tools)", "user-namespace", tryUnprivileged},
	}
}

func namespace(name string, flag uint64, what, lab string) probe {
	return probe{"namespaces", name, "a container that has one: " + what, lab, func(*machine) finding {
		err := child(flag, nil, func(b *program.Builder) { uses(b, flag) })
		switch {
		case err == nil:
			return pass("made one")
		case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EUSERS):
			return fail(said(err), fmt.Sprintf("sysctl -w user.max_%s_namespaces=10000", sysctlName(name)))
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
			return fail(said(err), cure(err, fmt.Sprintf("use a kernel with CONFIG_%s_NS", strings.ToUpper(name))))
		}
		return fail(said(err), asRoot)
	}}
}

// uses does in the namespace what it is there for, where that is one call.
func uses(b *program.Builder, flag uint64) {
	switch flag {
	case unix.CLONE_NEWUTS:
		b.Call(unix.SYS_SETHOSTNAME, "doctor", 6).Why("name this namespace")
	case unix.CLONE_NEWNS:
		private(b)
	}
}

// sysctlName is how user.max_*_namespaces calls a kind.
func sysctlName(kind string) string {
	if kind == "mount" {
		return "mnt"
	}
	return kind
}

func tryOffsets(*machine) finding {
	err := child(0, nil, func(b *program.Builder) {
		b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWTIME).Why("a time namespace for the children to come")
		b.WriteFile("/proc/self/timens_offsets", "monotonic 3600 0\n", "an hour later there")
	})
	if err != nil {
		return fail(said(err), cure(err, "use Linux 5.6 or newer with CONFIG_TIME_NS"))
	}
	return pass("shifted the monotonic clock of one by an hour")
}

// fewNamespaces is below what some dozens of containers need.
const fewNamespaces = 256

func tryNamespaceLimits(*machine) finding {
	files, _ := filepath.Glob("/proc/sys/user/max_*_namespaces") // the pattern is well-formed
	var none, few, fix []string
	for _, f := range files {
		n, err := strconv.Atoi(text(f))
		name := "user." + filepath.Base(f)
		switch {
		case err != nil || n >= fewNamespaces:
			continue
		case n == 0:
			none = append(none, name+"=0")
		default:
			few = append(few, fmt.Sprintf("%s=%d", name, n))
		}
		fix = append(fix, "sysctl -w "+name+"=10000")
	}
	found := strings.Join(append(none, few...), ", ")
	switch {
	case len(files) == 0:
		return warn("this kernel has no user.max_*_namespaces", "use a kernel with CONFIG_USER_NS and sysctls")
	case len(none) > 0:
		return fail(found, strings.Join(fix, "; "))
	case len(few) > 0:
		return warn(found, strings.Join(fix, "; "))
	}
	return pass(count(len(files), "limit", "limits") + ", none below " + strconv.Itoa(fewNamespaces))
}

const nobody = 65534

// tryUnprivileged becomes nobody, makes a user namespace, maps its root to nobody, and uses root's rights there.
func tryUnprivileged(*machine) finding {
	id := os.Geteuid()
	if id == 0 {
		id = nobody
	}
	err := child(0, nil, func(b *program.Builder) {
		if os.Geteuid() == 0 {
			b.Call(unix.SYS_SETGROUPS, 0, nil).Why("no groups")
			b.Call(unix.SYS_SETRESGID, nobody, nobody, nobody).Why("nobody's group")
			b.Call(unix.SYS_SETRESUID, nobody, nobody, nobody).Why("be nobody")
			b.Call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1, 0, 0, 0).Why("own the files in /proc/self")
		}
		b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWUSER).Why("a user namespace")
		b.WriteFile("/proc/self/uid_map", fmt.Sprintf("0 %d 1", id), "its root is this user outside")
		b.Call(unix.SYS_UNSHARE, unix.CLONE_NEWNS|unix.CLONE_NEWUTS).Why("root in there may make namespaces")
		b.Call(unix.SYS_SETHOSTNAME, "doctor", 6).Why("and use them")
	})
	switch {
	case err == nil:
		return pass("user " + strconv.Itoa(id) + " made a user namespace and others inside it")
	case text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
		return warn(said(err)+"; kernel.apparmor_restrict_unprivileged_userns=1", apparmorCure()).
			because("Ubuntu's AppArmor lets only programs with a profile make user namespaces without root")
	case text("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		return warn(said(err)+"; kernel.unprivileged_userns_clone=0", "sysctl -w kernel.unprivileged_userns_clone=1").
			because("Debian's kernels can forbid user namespaces to who is not root")
	}
	return warn(said(err), "raise user.max_user_namespaces; leave the sandbox or container whose filter forbids it")
}

// apparmorCure is a profile for this program, as text to be typed. The sysctl alone would open the door for every program.
func apparmorCure() string {
	self, err := os.Executable()
	if err != nil {
		self = "/usr/local/bin/glassbox"
	}
	return `printf '%s\n' 'abi <abi/4.0>,' 'include <tunables/global>' 'profile glassbox ` + self + ` flags=(unconfined) { userns, }' | sudo tee /etc/apparmor.d/glassbox && sudo apparmor_parser -r /etc/apparmor.d/glassbox
(for unshare(1) the same with its path; sysctl kernel.apparmor_restrict_unprivileged_userns=0 would open this to every program of every user)`
}
