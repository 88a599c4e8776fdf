package why

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// kinds are the namespaces that a process can make for a child, with the setting that bounds how many a user may have.
var kinds = [...]struct {
	name string
	flag uintptr
	most string
}{
	{"user", unix.CLONE_NEWUSER, "user.max_user_namespaces"}, {"mnt", unix.CLONE_NEWNS, "user.max_mnt_namespaces"}, {"pid", unix.CLONE_NEWPID, "user.max_pid_namespaces"},
	{"net", unix.CLONE_NEWNET, "user.max_net_namespaces"}, {"uts", unix.CLONE_NEWUTS, "user.max_uts_namespaces"}, {"ipc", unix.CLONE_NEWIPC, "user.max_ipc_namespaces"},
	{"cgroup", unix.CLONE_NEWCGROUP, "user.max_cgroup_namespaces"},
}

var namespaceErrors = []Known{
	{
		Errno: unix.EPERM, Calls: []string{"unshare", "clone", "clone3"}, Objects: "[user|mnt|pid|net|uts|ipc|cgroup]", Manual: "unshare(2), user_namespaces(7)",
		Causes: []Cause{
			armoredKinds,
			{
				Name: "user namespaces switched off", Why: "Debian's kernels have a switch that keeps user namespaces for root", Check: "sysctl kernel.unprivileged_userns_clone", Fix: "sysctl kernel.unprivileged_userns_clone=1", Learn: "user-namespace", test: func(p *probe) verdict { return forUsers(p, debianSwitch) },
			},
			{
				Name: "chrooted", Why: "a process that is in a chroot makes no user namespace: it could climb out (since Linux 3.9)", Check: "stat -c %m /", Fix: "pivot_root instead of chroot", Learn: "escape", test: func(p *probe) verdict { return forUsers(p, pivotChroot) },
			},
			{
				Name: "unmapped caller", Why: "who makes a user namespace must have a user and a group that are mapped in the current one", Check: "id; cat /proc/self/uid_map", Fix: "map the id, or be one that is mapped", Learn: "user-namespace", test: func(p *probe) verdict { return forUsers(p, unmappedCaller) },
			},
			{
				Name: "no CAP_SYS_ADMIN", Why: "every namespace but a user namespace wants CAP_SYS_ADMIN in the user namespace of who makes it", Check: "grep CapEff /proc/self/status",
				Fix: "sudo; or make a user namespace along with it: unshare --user --map-root-user ...; in a container: --cap-add SYS_ADMIN", Learn: "user-namespace", test: lacksAdminFor,
			},
			noCapability,
			{
				Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp",
				test: func(p *probe) verdict {
					return p.process().filtered(unix.EPERM, func() error { return unix.Unshare(0) })
				},
			},
		},
		tried: tryKinds,
	},
	{
		Errno: unix.EACCES, Calls: []string{"unshare", "clone", "clone3"}, Objects: "[user|mnt|pid|net|uts|ipc|cgroup]", Manual: "unshare(2), apparmor.d(5)",
		Causes: []Cause{armoredKinds, moduleFor(func(*probe) error { return makes(unix.CLONE_NEWUSER) })},
		tried:  tryKinds,
	},
	{
		Errno: unix.ENOSPC, Calls: []string{"unshare", "clone", "clone3", "setns"}, Manual: "namespaces(7)",
		Causes: []Cause{
			{
				Name: "limit of namespaces", Why: "each user may have so many namespaces of a kind, in each user namespace and all above it (user.max_*_namespaces); ENOSPC says that one of these is full",
				Check: "grep . /proc/sys/user/max_*_namespaces; lsns", Fix: "end what holds them (lsns), or raise the setting", Learn: "user-namespace", test: fullKinds,
			},
			{
				Name: "nested too deep", Why: "user and PID namespaces lie at most 32 deep in each other", Check: "grep NSpid /proc/self/status", Fix: "begin further out", Learn: "pid-namespace", test: nestedDeep,
			},
		},
		tried: tryKinds,
	},
	{
		Errno: unix.EINVAL, Calls: []string{"unshare", "clone", "clone3"}, Objects: "[PID]", Manual: "unshare(2), pid_namespaces(7)",
		Causes: []Cause{
			{
				Name: "several threads", Why: "a process with more than one thread cannot enter a new user namespace (CLONE_NEWUSER); programs in Go, Java and Python with threads are such", Check: "grep Threads /proc/PID/status",
				Fix: "make it in a child (clone, or unshare(1) before the program)", Learn: "user-namespace", test: severalThreads,
			},
			{
				Name: "PID namespace for children", Why: "a process whose children will be in another PID namespace makes neither threads nor a further PID namespace: one without the other cannot be", Check: "ls -l /proc/PID/ns/pid /proc/PID/ns/pid_for_children",
				Fix: "fork first: unshare --pid --fork", Learn: "pid-namespace", test: otherChildren,
			},
			{
				Name: "no such namespace here", Why: "the kernel was built without that kind of namespace", Check: "ls /proc/self/ns", Fix: "another kernel", Learn: "by-hand", test: missingKind,
			},
			{Name: "flags that exclude each other", Why: "CLONE_NEWNS with CLONE_FS, CLONE_NEWUSER with CLONE_FS, CLONE_THREAD without CLONE_SIGHAND, CLONE_NEWPID with CLONE_THREAD", Check: "strace -f -e trace=clone,clone3,unshare ...", Fix: "leave one out", Learn: "by-hand"},
		},
	},
	{
		Errno: unix.EPERM, Calls: []string{"setns", "nsenter"}, Objects: "[PID [KIND]]", Manual: "setns(2)",
		Causes: []Cause{
			{
				Name: "no CAP_SYS_ADMIN", Why: "joining wants CAP_SYS_ADMIN in the user namespace that owns the target, and in one's own", Check: "grep CapEff /proc/self/status", Fix: "sudo nsenter ..., or join the user namespace first: nsenter -U", Learn: "by-hand",
				test: func(p *probe) verdict { return p.lacks(unix.CAP_SYS_ADMIN) },
			},
			{
				Name: "target belongs to another user namespace", Why: "capabilities count in one's own user namespace and those below it; what belongs to one above, or beside, cannot be joined", Check: "lsns -t user; readlink /proc/self/ns/user",
				Fix: "do it from outside, as the host's root", Learn: "user-namespace", test: targetOutside,
			},
			{
				Name: "no CAP_SYS_CHROOT", Why: "joining a mount namespace changes the root, which wants CAP_SYS_CHROOT as well", Check: "grep CapEff /proc/self/status", Fix: "sudo; in a container: --cap-add SYS_CHROOT", Learn: "capabilities-seccomp",
				test: func(p *probe) verdict { return p.lacks(unix.CAP_SYS_CHROOT) },
			},
			{
				Name: "seccomp filter", Why: seccompWhy, Check: seccompCheck, Fix: seccompFix, Learn: "capabilities-seccomp",
				test: func(p *probe) verdict { return p.filtered(unix.EPERM, func() error { return unix.Setns(-1, 0) }) },
			},
		},
	},
	{
		Errno: unix.EINVAL, Calls: []string{"setns", "nsenter"}, Objects: "[PID [KIND]]", Manual: "setns(2)",
		Causes: []Cause{
			{
				Name: "the user namespace that one is in", Why: "a process does not join its own user namespace once more: it could get its capabilities back", Check: "readlink /proc/self/ns/user /proc/PID/ns/user", Fix: "leave out -U", Learn: "user-namespace", test: sameUser,
			},
			{
				Name: "PID namespace above", Why: "one joins one's own PID namespace or one below it, never one above: nobody gets out of what bounds him", Check: "lsns -t pid -T", Fix: "do it from outside", Learn: "pid-namespace", test: pidAbove,
			},
			{
				Name: "several threads", Why: "a process with several threads joins no user namespace, and no mount namespace that its threads share a root with", Check: "grep Threads /proc/self/status", Fix: "nsenter(1) before the program", Learn: "by-hand",
			},
			{Name: "no namespace, or another kind", Why: "the descriptor must be of a file in /proc/PID/ns, and of the kind that the second argument says", Check: "readlink /proc/self/fd/N", Fix: "nsenter -t PID -n", Learn: "by-hand", test: noNamespace},
		},
	},
	{
		Errno: unix.ESRCH, Calls: []string{"setns", "nsenter", "kill", "cgroup.procs"}, Objects: "PID", Manual: "setns(2), kill(2)",
		Causes: []Cause{{
			Name: "process that is gone", Why: "there is no process of that number in this PID namespace; it has ended, or has another number here", Check: "ps -p PID; glassbox top CONTAINER",
			Fix: "look its number up anew: glassbox inspect -f '{{.State.Pid}}' CONTAINER", Learn: "pid-namespace", test: goneProcess,
		}},
	},
}

// armoredKinds is armoredUsers for calls that make other namespaces too.
var armoredKinds = func() Cause {
	c := armoredUsers
	c.test = func(p *probe) verdict { return forUsers(p, armoredUsers.test) }
	return c
}()

// wants says whether the question is about a kind of namespace: the one that an object names, or any.
func (p *probe) wants(object int, kind string) bool {
	named := p.object(object)
	return named == "" || named == kind
}

// lacksAdminFor: a user namespace is made without it.
func lacksAdminFor(p *probe) verdict {
	if p.object(0) == "user" {
		return no("a user namespace is made without it")
	}
	return lacksAdmin(p)
}

// forUsers is a test of what concerns user namespaces alone.
func forUsers(p *probe, test func(*probe) verdict) verdict {
	if !p.wants(0, "user") {
		return no("that concerns user namespaces, and not %s", p.object(0))
	}
	return test(p)
}

func tryKinds(p *probe) (lines []string) {
	if !p.process().self() {
		return nil
	}
	groups := map[string][]string{}
	var order []string
	for _, k := range kinds {
		word := "made, and gone again"
		if err := makes(k.flag); err != nil {
			word = err.Error()
		}
		if groups[word] == nil {
			order = append(order, word)
		}
		groups[word] = append(groups[word], k.name)
	}
	for _, word := range order {
		lines = append(lines, "clone of a child with new namespaces, as this process: "+join(groups[word])+": "+word)
	}
	return lines
}

// makes tries to make a child with a new namespace. The child executes nothing that there is, and so ends at once: ENOENT means that it was made.
func makes(flag uintptr) error {
	pid, err := syscall.ForkExec(nowhere, []string{nowhere}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: flag}})
	if err == nil { // it cannot be
		syscall.Wait4(pid, nil, 0, nil)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func orElse(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func debianSwitch(p *probe) verdict {
	value, known := sysctl("kernel.unprivileged_userns_clone")
	if !known {
		return no("there is no kernel.unprivileged_userns_clone")
	}
	return when(value == "0" && p.process().lacks(capSysAdmin).holds == Yes, "kernel.unprivileged_userns_clone = %s", value)
}

func pivotChroot(p *probe) verdict { return pivotChrooted(p.process()) }

func unmappedCaller(p *probe) verdict {
	p = p.process()
	for field, file := range map[string]string{"Uid": "uid_map", "Gid": "gid_map"} {
		ids := strings.Fields(p.status(field))
		text, err := read(p.proc(file))
		if err != nil || len(ids) < 2 {
			return unknown("%s could not be read", p.proc(file))
		}
		id, _ := strconv.ParseUint(ids[1], 10, 32)
		if !maps(text, id, 0) {
			return yes("effective id %d (%s) is not in %s: %q", id, field, p.proc(file), strings.Join(strings.Fields(text), " "))
		}
	}
	return no("effective user and group are in uid_map and gid_map of %s", p.proc(""))
}

// maps says whether an id is in a map; column 0 counts inside, 1 outside.
func maps(text string, id uint64, column int) bool {
	for line := range strings.Lines(text) {
		var f [3]uint64
		if n, _ := fmt.Sscan(line, &f[0], &f[1], &f[2]); n == 3 && id >= f[column] && id < f[column]+f[2] {
			return true
		}
	}
	return false
}

func fullKinds(p *probe) verdict {
	if !p.self() {
		return p.elsewhere()
	}
	var full, evidence []string
	for _, k := range kinds {
		most, known := sysctl(k.most)
		switch err := makes(k.flag); {
		case errors.Is(err, unix.ENOSPC) && p.nesting(k.name) >= deepest:
			evidence = append(evidence, k.name+" "+most+", but nested too deep")
		case errors.Is(err, unix.ENOSPC):
			full = append(full, fmt.Sprintf("%s: clone says ENOSPC; %s = %s", k.name, k.most, orElse(most, "not to be read")))
		case known && most == "0":
			full = append(full, k.most+" = 0")
		case known:
			evidence = append(evidence, k.name+" "+most)
		}
	}
	if full != nil {
		return verdict{Yes, full}
	}
	return no("no kind is full (user.max_*_namespaces: %s)", join(evidence))
}

// deepest is how many user or PID namespaces the kernel lets lie in each other.
const deepest = 32

func nestedDeep(p *probe) verdict {
	levels, user := p.nesting("pid"), p.nesting("user")
	return when(levels >= deepest || user >= deepest, "seen from here the process is %d PID and %d user namespaces deep", levels, user)
}

// nesting is in how many PID or user namespaces the process is that lie in each other, as far as it can be seen.
func (p *probe) nesting(kind string) (n int) {
	switch kind {
	case "pid":
		return len(strings.Fields(p.status("NSpid")))
	case "user":
	default:
		return 0
	}
	fd, err := unix.Open(p.proc("ns/user"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == nil {
		n++
		const nsGetParent = 0xb702
		var up int
		up, err = unix.IoctlRetInt(fd, nsGetParent)
		unix.Close(fd)
		fd = up
	}
	return n
}

func severalThreads(p *probe) verdict {
	if p.process().self() {
		return unknown("name the process: why EINVAL unshare PID (this one, glassbox, has several threads anyway)")
	}
	n := p.process().status("Threads")
	return when(n != "" && n != "1", "Threads in %s: %s", p.process().proc("status"), n)
}

func otherChildren(p *probe) verdict {
	p = p.process()
	mine, known := p.namespace("pid")
	childrens, there := p.namespace("pid_for_children")
	switch {
	case !known:
		return unknown("%s could not be read", p.proc("ns/pid"))
	case !there:
		return yes("%s is pid:[%d], and %s cannot be read: it has been made and has no init yet", p.proc("ns/pid"), mine, p.proc("ns/pid_for_children"))
	}
	return when(mine != childrens, "%s: pid:[%d], %s: pid:[%d]", p.proc("ns/pid"), mine, p.proc("ns/pid_for_children"), childrens)
}

func missingKind(p *probe) verdict {
	for _, k := range kinds {
		if _, err := os.Lstat(p.proc("ns/" + k.name)); errors.Is(err, os.ErrNotExist) {
			return yes("there is no %s", p.proc("ns/"+k.name))
		}
	}
	return no("/proc/self/ns has all kinds")
}

func targetOutside(p *probe) verdict {
	target := p.process()
	if target.self() {
		return unknown("name the process whose namespaces are to be joined: why EPERM setns PID")
	}
	fd, err := unix.Open(target.proc("ns/mnt"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return when(errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM), "opening %s: %v", target.proc("ns/mnt"), err)
	}
	defer unix.Close(fd)
	owner, err := unix.IoctlRetInt(fd, nsGetUserns)
	if err != nil {
		return when(err == unix.EPERM, "ioctl NS_GET_USERNS on %s: %v: its owner is not at or below our user namespace", target.proc("ns/mnt"), err)
	}
	unix.Close(owner)
	return no("ioctl NS_GET_USERNS on %s: its owner is at or below our user namespace", target.proc("ns/mnt"))
}

func sameUser(p *probe) verdict {
	target := p.process()
	if target.self() {
		return unknown("name the process: why EINVAL setns PID")
	}
	if !p.wants(1, "user") {
		return no("what is joined is %s", p.object(1))
	}
	mine, _ := p.namespace("user")
	theirs, known := target.namespace("user")
	if !known {
		return unknown("%s could not be read", target.proc("ns/user"))
	}
	return when(mine == theirs, "%s: user:[%d]; ours: user:[%d]", target.proc("ns/user"), theirs, mine)
}

func pidAbove(p *probe) verdict {
	target := p.process()
	if target.self() {
		return unknown("name the process: why EINVAL setns PID")
	}
	if !p.wants(1, "pid") {
		return no("what is joined is %s", p.object(1))
	}
	levels := strings.Fields(target.status("NSpid")) // as this /proc shows them: from its own namespace on
	if len(levels) == 0 {
		return unknown("%s could not be read", target.proc("status"))
	}
	ours := strings.Fields(p.status("NSpid"))
	return when(len(levels) < len(ours), "NSpid: the process is %d PID namespaces deep, we are %d", len(levels), len(ours))
}

func noNamespace(p *probe) verdict {
	path := p.object(0)
	if !strings.HasPrefix(path, "/") {
		return unknown("name the file: why EINVAL setns /run/netns/blue")
	}
	kind, err := fileSystem(path)
	if err != nil {
		return unknown("%v", err)
	}
	const nsfs = "0x6e736673"
	return when(kind != nsfs, "statfs of %s: %s (nsfs is %s)", path, kind, nsfs)
}

func goneProcess(p *probe) verdict {
	if p.process().self() {
		return unknown("name the process: why ESRCH kill PID")
	}
	_, err := os.Stat(p.process().proc(""))
	return when(err != nil, "%s: %s", p.process().proc(""), map[bool]string{true: "not there", false: "there"}[err != nil])
}

func itoa(n int) string { return strconv.Itoa(n) }
