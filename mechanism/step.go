package mechanism

import "strings"

// Step is what one call of a start, an exec or a stop is good for.
type Step struct {
	Missing   string // what is to be seen without it
	Keep      string // why it cannot be left out of a start that is stepped; empty: it can
	Mechanism string // the name of the mechanism that it belongs to; empty: of none
}

// StepOf is what the table says of a call, which is written as strace prints it or as one would type it. from is the config field that asked
// for it, why the sentence that explains it. Nobody may leave out a call that the table does not know.
func StepOf(call, from, why string) (Step, bool) {
	call = typed(call)
	for _, r := range steps {
		if r.matches(call, from, why) {
			return r.Step, true
		}
	}
	return Step{Keep: "nobody has said what it would do to the host"}, false
}

// typed is a command without the nsenter before it.
func typed(call string) string {
	if rest, is := strings.CutPrefix(call, "nsenter -t "); is {
		if _, command, is := strings.Cut(rest, " -n "); is {
			return command
		}
	}
	return call
}

// rule is one row: what is empty matches everything.
type rule struct {
	call string // what the text begins with
	has  string // what is somewhere in it
	from string // what the config field begins with
	why  string // what is somewhere in the sentence
	Step
}

func (r rule) matches(call, from, why string) bool {
	return strings.HasPrefix(call, r.call) && strings.Contains(call, r.has) && strings.HasPrefix(from, r.from) && strings.Contains(why, r.why)
}

// Why calls are kept.
const (
	keepHost   = "the host would be open to the container"
	keepNeeded = "the calls after it work on what it makes"
	keepGate   = "host and child wait for each other here"
	keepRights = "the container would keep rights over the host"
	keepIDs    = "files would be made, or shown, as another user's"
	keepBirth  = "without a process there is nothing to start"
	keepHook   = "the hook's process waits for it"
	keepEnd    = "it is what was asked for"
)

// steps is searched from the top: a row comes before the more general ones.
var steps = []rule{
	// The host: the group.
	{call: "mkdir", has: "cgroup", Step: Step{"there is no group: nothing limits, counts, freezes or kills the container's processes as one", keepHost + ": nothing would bound it", "limits"}},
	{call: "mkdir", from: "linux.cgroupsPath", Step: Step{"there is no group: nothing limits, counts, freezes or kills the container's processes as one", keepHost + ": nothing would bound it", "limits"}},
	{call: "busctl", Step: Step{"systemd makes no group", keepNeeded, "limits"}},
	{call: "fchownat(", why: "group", Step: Step{"root in the container could make no groups below its own", "", "limits"}},
	{call: "fchownat(", has: "cgroup", Step: Step{"root in the container could make no groups below its own", "", "limits"}},
	{call: "write(", has: "subtree_control", Step: Step{"the group has no files for these limits, and writing one fails with ENOENT", "the limits are written to files that it makes", "limits"}},
	{call: "write(", has: "/memory.max", Step: Step{"the container's processes may use all memory of the host, as they may after a run without -m", "", "limits"}},
	{call: "write(", has: "/memory.", Step: Step{"the kernel treats the container's memory as everybody's", "", "limits"}},
	{call: "write(", has: "/pids.max", Step: Step{"a fork bomb is stopped by the host's limit alone, as it is after a run without --pids-limit", "", "limits"}},
	{call: "write(", has: "/cpu", Step: Step{"the container's processes may use every processor all the time", "", "limits"}},
	{call: "write(", has: "/io.", Step: Step{"the container's reads and writes are not held back", "", "limits"}},
	{call: "write(", has: "/cgroup.procs", Step: Step{"the process is not in the group", keepHost + ": nothing would bound it", "limits"}},
	{call: "write(", from: "linux.resources", Step: Step{"this limit is not there: the group has the kernel's default", "", "limits"}},
	{call: "bpf(", Step: Step{"the container may open every device for which it can make a node, a disk of the host's among them", keepHost, "limits"}},
	{call: "read(", has: "memory.current", Step: Step{"a limit below what is in use would be set without a word", keepNeeded, "limits"}},

	// Hooks, and what is taken for a mount.
	{call: "clone3(", from: "hooks.", Step: Step{"the hook does not run", keepHook, ""}},
	{call: "setns(", from: "hooks.", Step: Step{"the hook runs among the host's processes and files", keepHook, ""}},
	{call: "execve(", from: "hooks.", Step: Step{"what the hook would set up is missing", keepHook, ""}},
	{call: "clone3(", has: "CLONE_NEWUSER|CLONE_CLEAR_SIGHAND", from: "mounts", Step: Step{"nothing says whose files the mount shows as whose", keepIDs, "user"}},
	{call: "pidfd_send_signal(", from: "mounts", Step: Step{"a helper process waits in its user namespace for ever", "a process would be left over", "user"}},
	{call: "pidfd_getfd(", Step: Step{"the tmpfs is empty, or has a mode of its own, where the image has files", "the process waits at a gate with it", ""}},

	// Births.
	{call: "clone3(", has: "CLONE_PARENT", why: "PID namespace", Step: Step{"the process stays in its old PID namespace: only a child enters a new one", keepBirth, "pid"}},
	{call: "clone3(", has: "CLONE_PARENT", Step: Step{"the process stays outside: only a child enters these namespaces", keepBirth, "pid"}},
	{call: "clone3(", from: "linux.namespaces", Step: Step{"there is no process: nobody for whom anything could be isolated", keepBirth, "pid"}},
	{call: "clone3(", Step: Step{"there is no process", keepBirth, ""}},
	{call: "sched_setaffinity(", Step: Step{"the process runs on any processor until its group holds it", "the process is to be born there", "limits"}},
	{call: "rt_sigprocmask(", Step: Step{"all signals stay blocked, in the program too: stop and Ctrl-C do nothing, only SIGKILL ends it", "", ""}},
	{call: "close(<host's end", Step: Step{"should the host die, the process waits at its gate for ever", keepGate, ""}},
	{call: "prctl(PR_SET_DUMPABLE", Step: Step{"a process in the container could trace this one while it still holds descriptors of the host (CVE-2016-9962)", keepHost, ""}},

	// Gates.
	{call: "write(<sync>", Step: Step{"the host does not learn that it is its turn", keepGate, ""}},
	{call: "read(<sync>", Step: Step{"the process runs ahead of what the host does for it", keepGate, ""}},
	{call: "write(", why: "tell the host that the gate", Step: Step{"the host does not learn that it is its turn", keepGate, ""}},
	{call: "read(", why: "wait", Step: Step{"the process runs ahead of what the host does for it", keepGate, ""}},
	{call: "accept4(", Step: Step{"nobody can start the container", keepGate, ""}},
	{call: "dup3(", why: "gates", Step: Step{"the gates are those of a process that has ended", keepGate, ""}},

	// Namespaces and who one is in them.
	{call: "setns(", from: "linux.uidMappings", Step: Step{"the layers are mounted on the host, for everybody to see", keepHost, "mount"}},
	{call: "setns(", Step: Step{"the process stays in the host's namespaces of these types", keepHost, "pid"}},
	{call: "openat(", has: "/ns/", Step: Step{"there is no namespace to join", keepNeeded, ""}},
	{call: "unshare(CLONE_NEWCGROUP", Step: Step{"/proc/self/cgroup tells the container where it stands in the host's tree", "", "cgroup"}},
	{call: "unshare(CLONE_NEWTIME", Step: Step{"uptime in the container is the host's", "the clocks are shifted in what it makes", "time"}},
	{call: "unshare(", Step: Step{"the container shares this namespace with the host", keepHost, "pid"}},
	{call: "openat(", has: "timens_offsets", Step: Step{"uptime in the container is the host's", keepNeeded, "time"}},
	{call: "write(", from: "linux.timeOffsets", Step: Step{"the new clocks show the host's times", "", "time"}},
	{call: "write(", has: "/uid_map", Step: Step{"nobody inside is anybody: every file belongs to 65534, and nothing can be done as root", keepIDs, "user"}},
	{call: "write(", has: "/gid_map", Step: Step{"no group inside is one: every file belongs to 65534", keepIDs, "user"}},
	{call: "write(", has: "/setgroups", Step: Step{"the kernel refuses the map of groups with EPERM", keepIDs, "user"}},
	{from: "linux.uidMappings", Step: Step{"the layers' files belong to 65534 inside, and nothing can be written", keepIDs, "user"}},
	{from: "linux.gidMappings", Step: Step{"the layers' files belong to 65534 inside, and nothing can be written", keepIDs, "user"}},
	{call: "sethostname(", Step: Step{"the container has the host's name, in a UTS namespace of its own", "", "uts"}},
	{call: "setdomainname(", Step: Step{"the container has the host's NIS domain name", "", "uts"}},
	{call: "socket(AF_INET", Step: Step{"there is nothing to bring lo up with", keepNeeded, "net"}},
	{call: "ioctl(", has: "SIOCSIFFLAGS", Step: Step{"lo is down: 127.0.0.1 cannot be reached, not even by the container itself", "", "net"}},
	{call: "ip link set", from: "linux.netDevices", Step: Step{"the host keeps this interface", keepNeeded, "net"}},
	{call: "ip ", from: "linux.netDevices", Step: Step{"the interface that was moved lacks its addresses, or is down", "", "net"}},

	// The network.
	{call: "ip link add", has: "type bridge", Step: Step{"the network has no switch to which its containers could be connected", keepNeeded, "net"}},
	{call: "ip link add", Step: Step{"the container has lo alone: nothing outside can be reached", keepNeeded, "net"}},
	{call: "ip link set", has: "hairpin", Step: Step{"the container cannot reach itself through a port that it publishes", "", "net"}},
	{call: "ip link set", has: " up", Step: Step{"the interface is down and carries no packet", "", "net"}},
	{call: "ip link set", has: " mtu ", Step: Step{"packets are as long as the kernel thinks: longer ones may be lost on the way", "", "net"}},
	{call: "ip link", Step: Step{"the interface is not where, or not called as, the container expects it", keepNeeded, "net"}},
	{call: "ip addr add", Step: Step{"the interface has no address: it cannot be answered", "", "net"}},
	{call: "ip route", Step: Step{"the container reaches its own network only: everything else is unreachable (ENETUNREACH)", "", "net"}},
	{call: "sysctl -w net.ipv4.ip_forward=1", Step: Step{"the host passes no packets on: the container reaches the host, and nothing beyond", "", "net"}},
	{call: "sysctl -w net.ipv6.conf.all.forwarding=1", Step: Step{"the host passes no IPv6 packets on: the container reaches the host, and nothing beyond", "", "net"}},
	{call: "sysctl -w net.ipv6", Step: Step{"the interface has an IPv6 link-local address, by which neighbours can advertise routes to it", "", "net"}},
	{call: "sysctl ", Step: Step{"this parameter of the interface has the kernel's default", "", "net"}},
	{call: "conntrack ", Step: Step{"connections to the port go on to whoever had it before", "", "net"}},
	{call: "arping ", Step: Step{"neighbours who remember another address for it learn late", "", "net"}},
	{call: "add element", why: "which bridge", Step: Step{"the firewall takes the bridge for somebody else's: nothing keeps its containers apart from others, and their packets leave with addresses that nobody can answer", keepHost, "net"}},
	{call: "add element", Step: Step{"published ports lead nowhere, and a neighbour can send as this container", "another container could take its address", "net"}},
	{call: "add table", Step: Step{"no rule holds the networks apart, and names are not answered", keepHost, "net"}},
	{call: "table ", Step: Step{"names are not answered: 127.0.0.11 leads nowhere", keepNeeded, "net"}},
	{call: "delete table", Step: Step{"the rules of the resolver that was here before stay", keepNeeded, "net"}},
	{call: "glassrun attend", Step: Step{"names of other containers are not answered, and published ports are free for others to take", keepNeeded, "net"}},

	// A stop.
	{call: "pidfd_open(", Step: Step{"the signal goes to whoever has the number by then", "only a pidfd says for sure who is meant", ""}},
	{call: "pidfd_send_signal(<attendant>", Step: Step{"the process that answers names goes on for a container that is gone", keepNeeded, "net"}},
	{call: "pidfd_send_signal(", has: "SIGKILL", Step: Step{"the container goes on, and whoever ends it waits in vain", keepEnd, ""}},
	{call: "pidfd_send_signal(", from: "kill", Step: Step{"the program does not hear of it", "", ""}},
	{call: "pidfd_send_signal(", Step: Step{"the container is not told to end: the whole grace period passes, and then SIGKILL comes", "", ""}},
	{call: "write(", has: "/cgroup.freeze", Step: Step{"the container stays paused: its processes are told to end, and do not run", "", ""}},
	{call: "write(", has: "/cgroup.kill", Step: Step{"processes of the container that are not its first one go on", keepEnd, ""}},
	{call: "ppoll(", why: "grace", Step: Step{"SIGKILL comes at once, and the program has no time to put its things away", "", ""}},
	{call: "ppoll(", Step: Step{"what the container used would be taken away while it may still use it", keepNeeded, ""}},
	{call: "delete element", Step: Step{"the ports stay taken, and the address another's", "the next container that gets them would not be reached", "net"}},

	// What is inherited.
	{call: "rt_sigaction(", Step: Step{"the program ignores this signal, because our parent did: nohup goes through to it", "", ""}},
	{call: "setsid(", Step: Step{"the process is in the monitor's session and group: kill 0 in the container reaches the monitor on the host", keepHost, ""}},
	{call: "keyctl(", Step: Step{"the container can use, and see, the keys in the session keyring of whoever started it", keepHost, ""}},
	{call: "openat(", has: "oom_score_adj", Step: Step{"there is no file to write the score to", keepNeeded, "limits"}},
	{call: "write(", from: "process.oomScoreAdj", Step: Step{"when memory runs out, the kernel takes the container for as dear as whoever started it", "", "limits"}},
	{call: "prlimit64(", from: "process.rlimits", Step: Step{"the process has our own limit instead of the one that was asked for", "", "limits"}},
	{call: "prlimit64(", Step: Step{"the limit of whoever started the container is the container's", "", "limits"}},
	{call: "sched_", Step: Step{"the process is scheduled as whoever started it", "", "limits"}},
	{call: "ioprio_", Step: Step{"the process's reads and writes are as urgent as those of whoever started it", "", "limits"}},
	{call: "set_mempolicy", Step: Step{"the process's memory comes from any node", "", "limits"}},
	{call: "personality(", Step: Step{"the program runs as on this machine, not as on the one that was asked for", "", ""}},
	{call: "umask(", from: "process.user.umask", Step: Step{"the program's files are made with whatever mode it asks for", "", ""}},
	{call: "umask(", Step: Step{"directories and devices made for the container lack the bits that our own umask takes away", "", ""}},

	// Letting go of the host's tree.
	{call: "mount(NULL", has: "MS_REC", Step: Step{"where the host's mounts are shared, all that is mounted from here on appears on the host as well", keepHost, "propagation"}},
	{call: "mount_setattr(AT_FDCWD", from: "linux.rootfsPropagation", Step: Step{"mounts of the container may be passed on to others", keepHost, "propagation"}},
	{call: "mount(", from: "root.path", Step: Step{"the directory that is to become the root is empty, and none of the image's files are there", keepNeeded, "overlay"}},
	{call: "pivot_root(", Step: Step{"the container's root is the host's: every path leads into it", keepHost, "pivot_root"}},
	{call: "chroot(", Step: Step{"the container's root is the host's: every path leads into it", keepHost, "pivot_root"}},
	{call: "umount2(", from: "root.path", Step: Step{"the host's tree stays mounted below the container's root, and can be climbed into", keepHost, "pivot_root"}},
	{call: "umount2(", from: "mounts", Step: Step{"the place where the mount was made stays covered", keepNeeded, ""}},
	{call: "chdir(\"/\")", Step: Step{"the process still stands in the host's tree: what it makes next it makes there", keepHost, "pivot_root"}},
	{from: "root.path", Step: Step{"the root cannot be changed: the process does not stand in, or hold, the right directory", keepHost, "pivot_root"}},
	{call: "mount_setattr(", from: "root.readonly", Step: Step{"the root can be written, as it can after a run without --read-only", "", "overlay"}},

	// What is hidden.
	{call: "mkdirat(", from: "linux.maskedPaths", Step: Step{"there is no place to hide things under", keepHost, "mask"}},
	{from: "linux.maskedPaths", Step: Step{"the container can read or use this file of the host's kernel", keepHost, "mask"}},
	{from: "linux.readonlyPaths", Step: Step{"the container can write kernel parameters that are the whole machine's", keepHost, "mask"}},
	{call: "openat2(", from: "linux.sysctl", Step: Step{"there is no parameter to write", keepNeeded, ""}},
	{call: "write(", from: "linux.sysctl", Step: Step{"this kernel parameter has its default in the container's namespaces", "", ""}},

	// Devices.
	{call: "unlinkat(", Step: Step{"what the image has put there stays, and cannot be replaced", keepHost + ": an image may bring a device node or a link of its own", ""}},
	{call: "mknodat(", has: "S_IFCHR", Step: Step{"this device is missing in /dev: opening it fails with ENOENT", "", ""}},
	{call: "mknodat(", has: "S_IFBLK", Step: Step{"this device is missing in /dev: opening it fails with ENOENT", "", ""}},
	{call: "mknodat(", has: "S_IFIFO", Step: Step{"this named pipe is missing in /dev", "", ""}},
	{call: "mknodat(", has: "S_IFREG", Step: Step{"a file can only be mounted on a file: the start ends with ENOENT, unless the image has one there", "", ""}},
	{call: "mknod", Step: Step{"this device is missing in /dev: opening it fails with ENOENT", "", ""}},
	{call: "symlinkat(", Step: Step{"this link is missing in /dev: scripts that write to it find nothing", "", ""}},
	{call: "fchownat(", from: "linux.devices", Step: Step{"the device belongs to root, not to whom it was meant for", "", ""}},
	{call: "linkat(", from: "linux.devices", Step: Step{"the device has no name by which it could be found", "", ""}},
	{from: "linux.devices", Step: Step{"this device is missing", keepNeeded, ""}},

	// Mounts.
	{call: "fsconfig(", has: "FSCONFIG_CMD", Step: Step{"the file system is described, and not made: fsmount fails with EINVAL", keepNeeded, ""}},
	{call: "fsconfig(", has: "\"source\"", Step: Step{"it has no name in the first column of mount: none", "", ""}},
	{call: "fsconfig(", has: "\"ro\"", Step: Step{"the file system can be written, and it is one of the host's", keepHost, ""}},
	{call: "fsconfig(", has: "\"size\"", Step: Step{"the tmpfs may grow to half of the host's memory", "", ""}},
	{call: "fsconfig(", has: "\"mode\"", Step: Step{"the directory has the file system's default mode", "", ""}},
	{call: "fsconfig(", has: "\"gid\"", Step: Step{"terminals belong to the group of who opens them, not to tty", "", ""}},
	{call: "fsconfig(", has: "mode\"", Step: Step{"terminals, or the file that gives them, have the file system's default mode", "", ""}},
	{call: "fsconfig(", has: "context", Step: Step{"files in it have no SELinux label", keepRights, ""}},
	{call: "fsconfig(", Step: Step{"the file system has the kernel's default for this option", "", ""}},
	{call: "fsopen(\"proc\"", Step: Step{"the container has no /proc: ps, top and free find nothing", keepNeeded, "proc-mount"}},
	{call: "fsopen(\"sysfs\"", Step: Step{"the container has no /sys", keepNeeded, ""}},
	{call: "fsopen(\"devpts\"", Step: Step{"the container has no terminals of its own: script and ssh fail", keepNeeded, ""}},
	{call: "fsopen(", Step: Step{"this file system is missing", keepNeeded, ""}},
	{call: "fspick(", Step: Step{"the file system cannot be changed", keepNeeded, ""}},
	{call: "fsmount(", Step: Step{"the file system exists, and no mount shows it", keepNeeded, ""}},
	{call: "move_mount(", why: "put it at /proc", Step: Step{"/proc is empty: ps, top and free find nothing, and $(</proc/self/...) fails", "", "proc-mount"}},
	{call: "move_mount(", why: "put it at /dev/pts", Step: Step{"/dev/pts is empty: no further terminal can be had inside (script, ssh, screen)", "", ""}},
	{call: "move_mount(", why: "put it at /dev/shm", Step: Step{"/dev/shm is a directory of /dev: shm_open takes the room of its 64k tmpfs", "", "ipc"}},
	{call: "move_mount(", why: "put it at /dev/mqueue", Step: Step{"POSIX message queues can be used, and not listed", "", "ipc"}},
	{call: "move_mount(", why: "put it at /dev", Step: Step{"/dev is the image's directory: devices made next stay in the container's writable layer", "", ""}},
	{call: "move_mount(", why: "put it at /sys", Step: Step{"/sys is empty: no devices, no interfaces, no cgroups to look at", "", ""}},
	{call: "move_mount(", why: "cgroup", Step: Step{"/sys/fs/cgroup is empty: the container cannot look at its own limits", "", "cgroup"}},
	{call: "move_mount(", has: "</dev/", Step: Step{"this device is missing in /dev: it is an empty file", "", ""}},
	{call: "move_mount(", from: "process.terminal", Step: Step{"/dev/console is an empty file", "", ""}},
	{call: "move_mount(", from: "mounts", Step: Step{"the directory shows what the image has there, and what is written there goes when the container does", "", ""}},
	{call: "mount_setattr(", why: "owners", Step: Step{"files of the mount belong to 65534 inside", keepIDs, "user"}},
	{call: "mount_setattr(", why: "invisible", Step: Step{"what is mounted there appears elsewhere as well", keepHost, "propagation"}},
	{call: "mount_setattr(", why: "passed on", Step: Step{"what is mounted there on one side appears on the other as well", keepHost, "propagation"}},
	{call: "mount_setattr(", Step: Step{"the mount is not protected (ro, nosuid, nodev, noexec): what it shows of the host can be changed or used", keepHost, ""}},
	{call: "mount(", from: "volume", Step: Step{"the volume shows an empty directory of this machine's disk", keepNeeded, ""}},
	{call: "mount(", from: "mounts", Step: Step{"there is nothing to show at this place", keepNeeded, ""}},
	{call: "open_tree(", Step: Step{"there is nothing to mount at this place", keepNeeded, ""}},
	{call: "mkdirat(", from: "process.cwd", Step: Step{"the working directory is missing, unless the image has it: the start ends with ENOENT", "", ""}},
	{call: "mkdirat(", Step: Step{"there is nothing to mount on or to work in, unless the image has the directory: the start ends with ENOENT", "", ""}},
	{call: "openat", from: "process.terminal", why: "a new terminal", Step: Step{"the program has no terminal: no prompt, no Ctrl-C, no colours", keepNeeded, ""}},
	{call: "openat", why: "working directory", Step: Step{"there is no directory to stand in", keepNeeded, ""}},
	{call: "openat", Step: Step{"nothing holds the place, and what comes next could be led elsewhere by a link", keepNeeded, ""}},

	// The terminal and the streams.
	{call: "ioctl(", has: "TIOCSCTTY", Step: Step{"Ctrl-C and Ctrl-Z are just characters: the terminal belongs to no session", "", ""}},
	{call: "ioctl(", has: "TIOCSPTLCK", Step: Step{"the terminal stays locked: opening its other side fails with EIO", keepNeeded, ""}},
	{call: "ioctl(", has: "TIOCGPTPEER", Step: Step{"the process has no side of the terminal to read and write", keepNeeded, ""}},
	{call: "fchown(", from: "process.terminal", Step: Step{"the terminal belongs to root: the program, as another user, cannot open /dev/console", "", ""}},
	{call: "dup3(", why: "where the host finds", Step: Step{"the host finds no descriptor at the number that both know", keepGate, ""}},
	{call: "dup3(", Step: Step{"this stream is the monitor's: what the program writes goes to the host's log of the monitor", keepHost, ""}},
	{call: "dup(", Step: Step{"there is no second descriptor", keepNeeded, ""}},

	// Giving up rights.
	{call: "prctl(PR_CAPBSET_DROP", Step: Step{"a set-uid program in the container could get this capability", keepRights, "capabilities"}},
	{call: "prctl(PR_CAP_AMBIENT", Step: Step{"capabilities other than those asked for go through execve to another user's program", keepRights, "capabilities"}},
	{call: "prctl(PR_SET_KEEPCAPS", Step: Step{"the change of user takes all capabilities away, and capset then fails with EPERM", keepNeeded, "capabilities"}},
	{call: "prctl(PR_SET_SECUREBITS", Step: Step{"the change of user changes capabilities as well", keepRights, "capabilities"}},
	{call: "prctl(PR_SET_NO_NEW_PRIVS", Step: Step{"set-uid programs in the container give the rights of their owner", keepRights, "capabilities"}},
	{call: "capset(", Step: Step{"root in the container has every capability of the host's root: it may mount, load modules, set the clock", keepRights, "capabilities"}},
	{call: "setgroups(", Step: Step{"the program is in the groups of whoever started it, and may what those may", keepRights, "user"}},
	{call: "setresgid(", Step: Step{"the program has root's group", keepRights, "user"}},
	{call: "setresuid(", Step: Step{"the program runs as root", keepRights, "user"}},
	{call: "seccomp(", Step: Step{"every system call can be tried: keyctl, bpf, mount, a user namespace", keepRights, "seccomp"}},
	{call: "write(", why: "label", Step: Step{"the security module treats the program as it does whoever started it", keepRights, ""}},
	{call: "write(", has: "attr", Step: Step{"the security module treats the program as it does whoever started it", keepRights, ""}},
	{call: "close_range(", Step: Step{"descriptors of the host's stay open in the program (CVE-2024-21626: /proc/self/fd/8/../../..)", keepHost, ""}},
	{call: "fchdir(", from: "process.cwd", Step: Step{"the program starts in /", "", ""}},
	{call: "chdir(", from: "process.cwd", Step: Step{"the program starts in /", "", ""}},
	{call: "fchdir(", Step: Step{"the process does not stand where the next calls look", keepHost, ""}},
	{call: "execve", Step: Step{"the process ends without having become the program", keepBirth, ""}},
	{call: "pidfd_getfd(", Step: Step{"nobody answers for the calls that the filter passes on", keepNeeded, "seccomp"}},
	{call: "connect(", Step: Step{"the agent is not told of the filter", keepNeeded, "seccomp"}},
	{call: "close(", Step: Step{"one descriptor more stays open, until close_range before execve", "", ""}},
}
