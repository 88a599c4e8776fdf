// Package mechanism is the table of what makes a container: each mechanism's system calls, manual page, the file here that asks for it,
// the lesson about it, and what is missing without it. Step, experiment, the lessons and MECHANISMS.md read the same table.
package mechanism

import "slices"

// Mechanism is one of the things that a container is made of.
type Mechanism struct {
	Name    string   // "pid", "pivot_root": what `experiment --without` takes
	What    string   // what it does, in one sentence
	Calls   []string // the system calls that ask for it, as the kernel names them; or the file that is written
	Manual  string   // "pid_namespaces(7)"
	Files   []string // of this repository, where it is asked for
	Lab     string   // the lesson about it
	Missing string   // what is to be seen without it
	Danger  string   // what can happen to the host without it; empty: nothing
}

// Of is the mechanism of that name.
func Of(name string) (Mechanism, bool) {
	i := slices.IndexFunc(All, func(m Mechanism) bool { return m.Name == name })
	if i < 0 {
		return Mechanism{}, false
	}
	return All[i], true
}

// Names are those of all mechanisms, in the table's order.
func Names() []string {
	names := make([]string, len(All))
	for i, m := range All {
		names[i] = m.Name
	}
	return names
}

// All is the table, in the order of a start.
var All = []Mechanism{
	{
		Name: "limits", What: "bounds what the container's processes may use together",
		Calls: []string{"mkdir", "write memory.max", "write cpu.max", "write pids.max"}, Manual: "cgroups(7)",
		Files: []string{"cgroups/limits.go"}, Lab: "memory-limit",
		Missing: "one container can take all memory, processor time and process ids of the host",
		Danger:  "a program that takes all it can get takes it from the host",
	},
	{
		Name: "cgroup", What: "shows the container its own group as the root of the tree of groups",
		Calls: []string{"unshare CLONE_NEWCGROUP"}, Manual: "cgroup_namespaces(7)",
		Files: []string{"namespaces/set.go"}, Lab: "cgroup-namespace",
		Missing: "/proc/self/cgroup tells the container where it stands in the host's tree, and under which name",
	},
	{
		Name: "user", What: "gives the container users of its own: its root is nobody on the host",
		Calls: []string{"clone3 CLONE_NEWUSER", "write uid_map", "write gid_map"}, Manual: "user_namespaces(7)",
		Files: []string{"namespaces/idmap.go"}, Lab: "user-namespace",
		Missing: "root in the container is root on the host, wherever a file or a process of the host can be reached",
		Danger:  "whoever gets out is root",
	},
	{
		Name: "pid", What: "numbers the container's processes from 1, and shows it no others",
		Calls: []string{"clone3 CLONE_NEWPID"}, Manual: "pid_namespaces(7)",
		Files: []string{"namespaces/set.go"}, Lab: "pid-namespace",
		Missing: "the container sees every process of the host, and can signal those of its own user",
		Danger:  "kill in the container reaches the host's processes",
	},
	{
		Name: "fork", What: "has the container's process born in its PID namespace, since nobody can move into one",
		Calls: []string{"clone3 CLONE_NEWPID"}, Manual: "pid_namespaces(7), unshare(1)",
		Files: []string{"runtime/clone.go"}, Lab: "pid-namespace",
		Missing: "unshare --pid leaves its caller outside; its first child is PID 1, and when that ends the kernel lets nobody be born there any more: fork fails with ENOMEM",
	},
	{
		Name: "mount", What: "gives the container a list of mounts of its own",
		Calls: []string{"clone3 CLONE_NEWNS"}, Manual: "mount_namespaces(7)",
		Files: []string{"namespaces/set.go"}, Lab: "mount-namespace",
		Missing: "what is mounted for or by the container appears on the host, and stays when the container is gone",
		Danger:  "a mount or unmount in the container is one on the host",
	},
	{
		Name: "uts", What: "gives the container a host name of its own",
		Calls: []string{"clone3 CLONE_NEWUTS", "sethostname"}, Manual: "uts_namespaces(7)",
		Files: []string{"namespaces/set.go", "namespaces/name.go"}, Lab: "uts-namespace",
		Missing: "the container has the host's name, and may be able to change it",
		Danger:  "sethostname in the container renames the host",
	},
	{
		Name: "ipc", What: "gives the container System V IPC objects and message queues of its own",
		Calls: []string{"clone3 CLONE_NEWIPC"}, Manual: "ipc_namespaces(7)",
		Files: []string{"namespaces/set.go"}, Lab: "ipc-namespace",
		Missing: "shared memory, semaphores and queues of the host can be listed and used by their keys",
	},
	{
		Name: "net", What: "gives the container network interfaces, addresses, routes, ports and firewall rules of its own",
		Calls: []string{"clone3 CLONE_NEWNET"}, Manual: "network_namespaces(7)",
		Files: []string{"namespaces/set.go", "engine/plug.go"}, Lab: "net-namespace",
		Missing: "the container uses the host's interfaces and ports: it hears what comes to 127.0.0.1, and two cannot both have port 80",
	},
	{
		Name: "time", What: "lets the container's monotonic and boot-time clocks begin elsewhere than the host's",
		Calls: []string{"unshare CLONE_NEWTIME", "write timens_offsets"}, Manual: "time_namespaces(7)",
		Files: []string{"namespaces/clock.go"}, Lab: "time-namespace",
		Missing: "uptime in the container is the host's",
	},
	{
		Name: "propagation", What: "keeps what is mounted in the container from appearing on the host",
		Calls: []string{"mount MS_REC|MS_PRIVATE"}, Manual: "mount_namespaces(7)",
		Files: []string{"rootfs/tree.go"}, Lab: "mount-namespace",
		Missing: "the host's mounts are shared: what the container mounts appears on the host as well",
		Danger:  "mounts of the container appear on the host",
	},
	{
		Name: "overlay", What: "lays the image's read-only layers and a writable one on top of each other",
		Calls: []string{"fsopen", "fsconfig", "fsmount", "mount overlay"}, Manual: "mount(2), Documentation/filesystems/overlayfs",
		Files: []string{"rootfs/overlay.go"}, Lab: "layers",
		Missing: "what the container writes changes the image itself, for every container made from it",
	},
	{
		Name: "proc-mount", What: "shows the container's own processes in /proc",
		Calls: []string{"fsopen", "mount proc"}, Manual: "proc(5)",
		Files: []string{"rootfs/mounts.go"}, Lab: "by-hand",
		Missing: "/proc is the one of the host: ps shows the host's processes, although none of them can be signalled",
	},
	{
		Name: "pivot_root", What: "makes the container's tree the root, and lets go of the host's",
		Calls: []string{"pivot_root", "umount2"}, Manual: "pivot_root(2)",
		Files: []string{"rootfs/tree.go"}, Lab: "escape",
		Missing: "with chroot alone the host's tree is still mounted: a program that may chroot itself climbs out",
		Danger:  "root in the container reaches every file of the host",
	},
	{
		Name: "mask", What: "hides files of /proc and /sys that tell of, or change, the host",
		Calls: []string{"mount MS_BIND", "mount_setattr"}, Manual: "mount(2)",
		Files: []string{"rootfs/mask.go"}, Lab: "escape",
		Missing: "/proc/kcore, /proc/keys, /proc/sysrq-trigger and others of the host can be read or written",
		Danger:  "one write to /proc/sysrq-trigger reboots the host",
	},
	{
		Name: "capabilities", What: "takes from the container's root what only the host's root needs",
		Calls: []string{"prctl PR_CAPBSET_DROP", "capset"}, Manual: "capabilities(7)",
		Files: []string{"confine/capability.go"}, Lab: "capabilities-seccomp",
		Missing: "root in the container may mount, set the clock, load modules, change the network",
		Danger:  "root in the container may do what root may",
	},
	{
		Name: "seccomp", What: "refuses system calls that containers do not need",
		Calls: []string{"seccomp SECCOMP_SET_MODE_FILTER"}, Manual: "seccomp(2)",
		Files: []string{"seccomp/seccomp.go"}, Lab: "capabilities-seccomp",
		Missing: "every call of the kernel can be tried: keyctl, bpf, userfaultfd, unshare of a user namespace",
	},
	{
		Name: "init", What: "puts a first process before the program, which passes signals on and reaps orphans",
		Calls: []string{"execve glassrun init"}, Manual: "pid_namespaces(7)",
		Files: []string{"cmd/glassrun/init.go"}, Lab: "zombies",
		Missing: "the program is PID 1: signals without a handler are dropped, and orphans that end stay as zombies",
	},
}
